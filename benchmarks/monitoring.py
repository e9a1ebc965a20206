"""What watching a run costs it: with monitoring and without, side by side.

::

    python -m benchmarks.monitoring [--database postgresql|sqlite] [--rounds 9] [--postgres BIN_DIR]

Two kinds of runs: 300 small migrations, where what is done for each of them shows, and three that work for a second or
two each, where what is done all the time shows. Whole processes, in rounds that take turns; what counts is the median
of the rounds' ratios, of the clock and of the processor. The bar is 1.02 of a run's time. On runs of a fraction of a
second the clock of a busy machine says little: run it while nothing else works.

The exit code is 1 where a bar was missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.contenders import Contender, bascule
from benchmarks.many import Small, small_migrations
from benchmarks.places import PostgresPlace, SqlitePlace
from benchmarks.rounds import Results, take_turns
from benchmarks.timing import spread, table

BAR = 1.02
WITH, WITHOUT = "with monitoring", "without"
SMALL = 300
_ROWS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500000) SELECT i FROM n"


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.monitoring", description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--postgres", metavar="BIN_DIR", help="folder of the server's programs")
    given = parser.parse_args(arguments)
    missed = []
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bascule-monitoring-")))
        place: PostgresPlace | SqlitePlace
        if given.database == "postgresql":
            place = stack.enter_context(PostgresPlace(given.postgres))
        else:
            place = SqlitePlace(home / "databases")
        for label, migrations in (("small", small_migrations(SMALL)), ("long", _long())):
            (home / label).mkdir()
            contenders = _both(bascule(place.dialect, migrations, home / label))
            results = take_turns(
                place, contenders, rounds=given.rounds, count=len(migrations), database=place.fresh, label=label
            )
            print(f"{len(migrations)} {label} migrations, {given.rounds} rounds, {given.database}")
            missed += [f"{label}: {words}" for words in _judged(results)]
    for words in missed:
        print(f"MISSED: {words}")
    return 1 if missed else 0


def _long() -> list[Small]:
    names = ("a", "b", "c")
    return [
        replace(small, up=f"{small.up};\nCREATE TABLE rows_{name} (i integer);\nINSERT INTO rows_{name} {_ROWS};")
        for name, small in zip(names, small_migrations(len(names)), strict=True)
    ]


def _both(contender: Contender) -> list[Contender]:
    def switched(on: str) -> Callable[[str], dict[str, str]]:
        return lambda url: {**contender.environment(url), "MIGRATION_MONITORING_ENABLED": on}

    return [
        replace(contender, name=WITHOUT, environment=switched("false")),
        replace(contender, name=WITH, environment=switched("true")),
    ]


def _judged(results: Results) -> Sequence[str]:
    pairs = list(zip(results.runs[WITH], results.runs[WITHOUT], strict=True))
    times = {
        "wall": spread([mine.wall / other.wall for mine, other in pairs]).median,
        "processor": spread([mine.cpu / other.cpu for mine, other in pairs]).median,
    }
    rows = [["", "wall s, median", "processor s"]]
    for name in (WITHOUT, WITH):
        walls, cpus = ([getattr(run, what) for run in results.runs[name]] for what in ("wall", "cpu"))
        rows.append([name, f"{spread(walls).median:.3f}", f"{spread(cpus).median:.3f}"])
    rows.append(["times", f"{times['wall']:.3f}", f"{times['processor']:.3f}"])
    print(table(rows), flush=True)
    return [f"{times['wall']:.3f} times as long (bar {BAR})"] if times["wall"] > BAR else []


if __name__ == "__main__":
    sys.exit(main())
