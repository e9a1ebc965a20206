"""When a target is healthy: one condition a file, each a function from what was seen to what is wrong with it."""
