"""Backups as streams: compressed, encrypted, hashed, stored, and read back only after they were proved whole."""
