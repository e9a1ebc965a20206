"""The SQL that an `up` would run, with its ledger rows, for people who have to run it by hand."""
