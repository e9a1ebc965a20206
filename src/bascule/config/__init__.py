"""Settings: what can be set, where it may be set, and what came out of it."""
