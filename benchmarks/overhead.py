"""Many small migrations, one transaction each: what Bascule takes, side by side with a bare loop and other tools.

::

    python -m benchmarks.overhead [--database postgresql|sqlite] [--count 1000] [--rounds 3] [--postgres BIN_DIR]
                                  [--peers | --only NAME,…] [--keep FOLDER] [--tables 10000]

Each run is a whole process on an empty database of its own, its result is checked, and the rounds take turns. Bascule
runs as a user runs it, with everything that makes a run safe. It may take 1.10 times as long as the loop (see
loops.py), and has to be quicker than every peer: what counts is the median of the rounds' ratios. `psql -1`, which
records nothing, is shown as a reference.

`--tables` does it twice, in empty databases and beside so many tables of somebody else's (PostgreSQL only, 300
migrations unless `--count` says otherwise).

The exit code is 1 where a bar was missed. Few migrations say little: below a few hundred the start of the processes
outweighs the work.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contenders import BASCULE, LOOP, Contender, bascule, loop
from benchmarks.growth import growth
from benchmarks.many import Small, small_migrations
from benchmarks.peers import NAMES, find_peers
from benchmarks.places import PostgresPlace, SqlitePlace
from benchmarks.rounds import Results, take_turns
from benchmarks.timing import spread, table

BAR = 1.10
"""Times the loop."""
COUNT = 1000
COUNT_BESIDE_TABLES = 300
ALWAYS = ("loop", "bascule")


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    given = _arguments(arguments)
    count = given.count or (COUNT_BESIDE_TABLES if given.tables else COUNT)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bascule-overhead-")))
        place: PostgresPlace | SqlitePlace
        if given.database == "postgresql":
            place = stack.enter_context(PostgresPlace(given.postgres))
            where = f"PostgreSQL {place.major}, commits on the disk"
        else:
            place = SqlitePlace(home / "databases")
            where = f"SQLite {sqlite3.sqlite_version} in Python, its default journal"
        migrations = small_migrations(count)
        contenders = [loop(place.dialect, migrations, home), bascule(place.dialect, migrations, home)]
        contenders += _peers(given, place, migrations, home)
        print(f"{count} migrations, {given.rounds} rounds, {where}", flush=True)
        if given.tables and isinstance(place, PostgresPlace):
            missed = _beside_tables(place, contenders, given.rounds, count, given.tables)
        else:
            missed = _in_empty_databases(place, contenders, given.rounds, count)
    for words in missed:
        print(f"MISSED: {words}")
    if not missed:
        print("No bar was missed.")
    return 1 if missed else 0


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.overhead", description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--count", type=int, help=f"migrations ({COUNT}; {COUNT_BESIDE_TABLES} with --tables)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", metavar="BIN_DIR", help="folder of the server's programs")
    parser.add_argument("--tables", type=int, default=0, help="so many tables are there before (PostgreSQL)")
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--peers", action="store_true", help=f"also run {', '.join(NAMES)}")
    whom.add_argument("--only", metavar="NAME,…", help="of these only the named ones; loop and bascule always run")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="install the peers there and keep them (else in a temporary folder)"
    )
    given = parser.parse_args(arguments)
    given.wanted = given.only.split(",") if given.only else list(NAMES) if given.peers else []
    if unknown := set(given.wanted) - {*NAMES, *ALWAYS}:
        parser.error(f"--only knows {', '.join((*ALWAYS, *NAMES))}, not {', '.join(sorted(unknown))}")
    if given.tables and given.database != "postgresql":
        parser.error("--tables is about PostgreSQL")
    return given


def _peers(
    given: argparse.Namespace, place: PostgresPlace | SqlitePlace, migrations: list[Small], home: Path
) -> list[Contender]:
    tools = (given.keep.resolve() if given.keep else home) / "bascule-peers"
    programs = place.bin_dir if isinstance(place, PostgresPlace) else None
    found = find_peers(
        given.wanted, dialect=place.dialect, migrations=migrations, home=home, tools=tools, server_programs=programs
    )
    if found.versions:
        print("with " + ", ".join(found.versions))
    for name, reason in found.missing.items():
        print(f"not run: {name} ({reason})")
    return found.contenders


def _in_empty_databases(
    place: PostgresPlace | SqlitePlace, contenders: Sequence[Contender], rounds: int, count: int
) -> list[str]:
    results = take_turns(place, contenders, rounds=rounds, count=count, database=place.fresh, label="run")
    _show(results)
    print(growth(place, results))
    return _judge(results, contenders)


def _beside_tables(
    place: PostgresPlace, contenders: Sequence[Contender], rounds: int, count: int, tables: int
) -> list[str]:
    empty = take_turns(place, contenders, rounds=rounds, count=count, database=place.fresh, label="empty")
    print("In an empty database:")
    _show(empty)
    beside = take_turns(
        place, contenders, rounds=rounds, count=count, database=lambda name: place.filled(name, tables), label="beside"
    )
    print(f"Beside {tables:,} tables:")
    _show(beside)
    here, there = ((results.wall(BASCULE) - results.wall(LOOP)) / results.count * 1000 for results in (empty, beside))
    print(f"Bascule adds {here:+.2f} ms to a migration in the empty one, {there:+.2f} ms beside the tables.")
    return [
        *(f"in an empty database: {words}" for words in _judge(empty, contenders)),
        *(f"beside {tables:,} tables: {words}" for words in _judge(beside, contenders)),
    ]


def _show(results: Results) -> None:
    rows = [["", "min s", "median", "max", "ms each", "client CPU s", "× loop"]]
    for name in sorted(results.runs, key=results.wall):
        wall, cpu = (spread(each) for each in zip(*((run.wall, run.cpu) for run in results.runs[name]), strict=True))
        each = wall.median / results.count * 1000
        figures = (wall.low, wall.median, wall.high, each, cpu.median, results.times(name, LOOP))
        rows.append([name, *(f"{figure:.2f}" for figure in figures)])
    print(table(rows))
    for name, reason in results.failed.items():
        print(f"failed: {name}: {reason}")
    sys.stdout.flush()


def _judge(results: Results, contenders: Sequence[Contender]) -> list[str]:
    """Which bars were missed, in words."""
    times = results.times(BASCULE, LOOP)
    missed = [f"{times:.2f} times the loop, where {BAR:.2f} is allowed"] if times > BAR else []
    peers = [each.name for each in contenders if each.is_peer and each.name in results.runs]
    against = {name: results.times(BASCULE, name) for name in peers}
    return missed + [f"{times:.2f} times as long as {name}" for name, times in against.items() if times >= 1]


if __name__ == "__main__":
    sys.exit(main())
