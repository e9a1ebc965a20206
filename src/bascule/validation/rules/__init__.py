"""The built-in rules, one a file."""
