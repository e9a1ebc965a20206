"""Needs of SQLite's statements, by their words."""
