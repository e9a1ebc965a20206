"""The command line: one file per verb under `verbs`, and what they share."""
