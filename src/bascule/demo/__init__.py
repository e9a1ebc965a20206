"""The whole story on a throw-away SQLite database: told by doing it, with real files and real processes."""
