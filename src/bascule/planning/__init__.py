"""From files, history and the words of a command to a plan: pure functions, no IO and no clock."""
