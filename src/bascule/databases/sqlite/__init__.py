"""SQLite as a target: the ledger in the file itself, everything else in the sidecar beside it."""
