"""Needs of PostgreSQL's statements, by their parse tree."""
