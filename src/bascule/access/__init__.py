"""Who may do what, by which token, and the log that shows who did. Pure: no IO, no clock."""
