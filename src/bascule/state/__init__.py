"""Where what happened is remembered outside of a target. Every target keeps its own journal, so this room is empty."""
