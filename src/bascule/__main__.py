"""`python -m bascule`."""

from __future__ import annotations

import sys

from bascule.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
