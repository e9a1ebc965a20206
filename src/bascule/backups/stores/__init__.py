"""Places where backups are kept: one file a kind."""
