"""`python -m bascule`."""

from __future__ import annotations

from bascule.cli.main import entry

if __name__ == "__main__":
    entry()
