"""Every extension point, one small Protocol a file, with the instructions for implementing it above it."""
