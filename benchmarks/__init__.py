"""Figures that Bascule promises, each printed by a command of its own, side by side with whom it is compared to."""
