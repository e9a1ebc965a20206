"""What the statements of pending migrations will need of the rows that are there today."""
