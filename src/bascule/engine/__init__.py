"""Pure: what to do next, given a plan and what is known to have happened. Nothing here does IO or reads a clock."""
