"""Fifty processes at once, the owner killed, the owner frozen; on SQLite, PostgreSQL, and through PgBouncer.

    python -m tests.acceptance.concurrency.fifty [--processes N] [--way WAY]

Ends with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency.meetings import MEETINGS
from tests.acceptance.concurrency.scenes import WAYS, on_postgresql, on_sqlite


def main(arguments: Sequence[str]) -> int:
    """Run all; answers the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.concurrency.fifty", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--processes", type=int, default=50, metavar="N", help="how many at once")
    parser.add_argument("--way", action="append", choices=WAYS, help="this way to the database only")
    chosen = parser.parse_args(arguments)
    wrong = 0
    print(f"{'way':<28}  {'what happens':<31}  {'processes':>9}  {'wrong':>5}  {'s':>6}")
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bascule-many-")))
        server = stack.enter_context(PostgresServer(os.environ.get("BASCULE_TEST_PG")))
        pooler = stack.enter_context(PgBouncer(server))
        for title, meeting in MEETINGS.items():
            for way in meeting.ways:
                if chosen.way and way not in chosen.way:
                    continue
                begun = time.monotonic()
                folder = root / f"{title} {way}".replace(" ", "-").replace(",", "")
                folder.mkdir()
                through = pooler if "PgBouncer" in way else None
                place = (
                    on_sqlite(folder) if way == "SQLite" else on_postgresql(folder, server, through, kind=meeting.kind)
                )
                with place as scene:
                    faults = meeting.run(scene, chosen.processes)
                wrong += len(faults)
                seconds = time.monotonic() - begun
                print(f"{way:<28}  {title:<31}  {chosen.processes:>9}  {len(faults):>5}  {seconds:>6.1f}", flush=True)
                for fault in faults:
                    print(f"  WRONG: {fault}", file=sys.stderr)
    print(f"PostgreSQL {server.major}: {wrong or 'nothing'} wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
