"""What SQLite statements are and touch, read from their tokens."""
