"""What a command takes before and beside its work: help, status, and an `up` with nothing to do.

::

    python -m benchmarks.startup [--rounds 7] [--postgres BIN_DIR]

Whole processes, started as a user starts them, in rounds that take turns. The bars:

* on SQLite, `bascule status` and an `up` with nothing to do take less than 150 ms of processor time;
* on PostgreSQL they take at most 1.3 times as long as a Python that imports psycopg, connects and selects 1;
* with 10,000 applied migrations they take at most 0.45 s, and grow linearly: from 1,000 to 10,000 a migration costs no
  more than half as much again as from 1,000 to 3,000.

The exit code is 1 where a bar was missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from bascule.testing.postgres import PostgresServer
from benchmarks.many import Small, small_migrations, write_native
from benchmarks.timing import DidNotWork, Timed, environment, python, spread, table, timed

CPU_BAR = 0.150
TIMES_BAR = 1.3
MANY_BAR = 0.45
SIZES = (1_000, 3_000, 10_000)
GROWTH_BAR = 1.5

Command = list[str | Path]
Row = tuple[str, str, str, int, str, str, str, str, bool, str]

BASE = "python: psycopg, connect, select 1"
_BASE = "import sys, psycopg\nwith psycopg.connect(sys.argv[1]) as c: c.execute('SELECT 1').fetchone()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One command in one folder."""

    name: str
    command: Command
    folder: Path


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.startup", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--postgres", metavar="BIN_DIR")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bascule-startup-")))
        server = stack.enter_context(PostgresServer(given.postgres, fsync=True))
        cases = list(_cases(home, server))
        for case in cases:
            # Twice: the first run compiles modules, and fills the cache of fingerprints that the second one relies on.
            for _ in range(2):
                timed(case.command, cwd=case.folder)
        results: dict[str, list[Timed]] = {case.name: [] for case in cases}
        for _ in range(given.rounds):
            for case in cases:
                results[case.name].append(timed(case.command, cwd=case.folder))
    print(f"Python {sys.version.split()[0]}, PostgreSQL {server.major}, {given.rounds} rounds")
    print(_table(results))
    verdicts = list(_verdicts(results))
    for words, held in verdicts:
        print(f"  {'ok    ' if held else 'MISSED'}  {words}")
    return 0 if all(held for _, held in verdicts) else 1


def _cases(home: Path, server: PostgresServer) -> Iterator[Case]:
    script = Path(python()).with_name("bascule")
    few = home / "few"
    write_native(few / "migrations", small_migrations(3))
    sqlite, postgres = f"sqlite:///{few / 'few.db'}", server.create_database("few")
    for url in (sqlite, postgres):
        timed([*_bascule("up", url), "--no-progress"], cwd=few)
    yield Case(name="python: nothing", command=[python(), "-c", "pass"], folder=few)
    yield Case(name=BASE, command=[python(), "-c", _BASE, postgres], folder=few)
    yield Case(name="bascule --help", command=[python(), "-m", "bascule", "--help"], folder=few)
    if script.is_file():
        command: Command = [python(), script, "status", "--database-url", sqlite]
        yield Case(name="SQLite: status, by the console script", command=command, folder=few)
    for label, url in (("SQLite", sqlite), ("PostgreSQL", postgres)):
        for verb in ("status", "up"):
            yield Case(name=f"{label}: {verb}", command=_bascule(verb, url), folder=few)
    for size in SIZES:
        folder = home / str(size)
        migrations = small_migrations(size)
        write_native(folder / "migrations", migrations)
        for label, url in (
            ("SQLite", f"sqlite:///{folder / 'many.db'}"),
            ("PostgreSQL", server.create_database(f"many_{size}")),
        ):
            _fill(url, folder, migrations)
            _look(url, folder, size)
            for verb in ("status", "up"):
                yield Case(name=f"{label}: {verb}, {size:,} applied", command=_bascule(verb, url), folder=folder)


def _bascule(verb: str, url: str) -> Command:
    return [python(), "-m", "bascule", verb, "--database-url", url]


def _fill(url: str, folder: Path, migrations: Sequence[Small]) -> None:
    """Write the ledger as if all of them had run: the first one is run to have one, the others are rows like it."""
    aside = folder / "aside"
    write_native(aside / "migrations", list(migrations[:1]))
    timed([*_bascule("up", url), "--no-progress"], cwd=aside)
    shutil.rmtree(aside)
    rows = [_row(folder, each) for each in migrations[1:]]
    if url.startswith("sqlite"):
        _fill_sqlite(url, rows)
    else:
        _fill_postgres(url, rows)


_COLUMNS = "name, version, run_id, execution_ms, exact_hash, semantic_hash, parser, how, repeatable, script"


def _row(folder: Path, each: Small) -> Row:
    exact = hashlib.sha256((folder / "migrations" / f"{each.name}.sql").read_bytes()).hexdigest()
    version, run = each.name.partition("_")[0], f"{each.name}_1763850000000"
    return (each.name, version, run, 3, exact, exact, "bascule-lexer 1", "run", False, f"{each.up};\n")


def _look(url: str, folder: Path, size: int) -> None:
    """Raises `DidNotWork` where the ledger that was written is not one of `size` applied migrations to Bascule."""
    command = [*map(str, _bascule("status", url)), "--json"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    summary = json.loads(done.stdout)["summary"] if done.returncode == 0 else done.stderr
    if not isinstance(summary, dict) or (summary["completed"], summary["pending"]) != (size, 0):
        raise DidNotWork(f"expected {size} applied migrations, found {summary}")


def _fill_sqlite(url: str, rows: Sequence[Row]) -> None:
    import sqlite3

    marks = ",".join("?" * len(rows[0]))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.executemany(
            f"INSERT INTO bascule_ledger ({_COLUMNS}, applied_at) VALUES ({marks}, '2026-01-01T00:00:00.000Z')", rows
        )
        connection.commit()


def _fill_postgres(url: str, rows: Sequence[Row]) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        with connection.cursor().copy(f"COPY bascule.ledger ({_COLUMNS}, applied_at) FROM STDIN") as copy:
            for row in rows:
                copy.write_row((*row, "2026-01-01 00:00:00+00"))
        connection.execute("ANALYZE bascule.ledger")


def _table(results: Mapping[str, Sequence[Timed]]) -> str:
    rows = [["", "wall min s", "median", "max", "CPU min s", "median", "max"]]
    for name, runs in results.items():
        wall, cpu = spread([each.wall for each in runs]), spread([each.cpu for each in runs])
        figures = (wall.low, wall.median, wall.high, cpu.low, cpu.median, cpu.high)
        rows.append([name, *(f"{figure:.3f}" for figure in figures)])
    return table(rows)


def _verdicts(results: Mapping[str, Sequence[Timed]]) -> Iterator[tuple[str, bool]]:
    wall = {name: spread([each.wall for each in runs]).median for name, runs in results.items()}
    cpu = {name: spread([each.cpu for each in runs]).median for name, runs in results.items()}
    for verb in ("status", "up"):
        used = cpu[f"SQLite: {verb}"]
        yield f"SQLite: {verb} takes {used * 1000:.0f} ms of CPU; bar {CPU_BAR * 1000:.0f}", used < CPU_BAR
    for verb in ("status", "up"):
        times = wall[f"PostgreSQL: {verb}"] / wall[BASE]
        yield f"PostgreSQL: {verb} takes {times:.2f} times the bare connection; bar {TIMES_BAR}", times <= TIMES_BAR
    for label in ("SQLite", "PostgreSQL"):
        for verb in ("status", "up"):
            names = [f"{label}: {verb}, {size:,} applied" for size in SIZES]
            words = f"{label}: {verb} with {SIZES[-1]:,} applied takes {wall[names[-1]]:.2f} s; bar {MANY_BAR}"
            yield words, wall[names[-1]] <= MANY_BAR
            one, three, ten = (spread([each.cpu for each in results[name]]).low for name in names)
            early = (three - one) / (SIZES[1] - SIZES[0])
            late = (ten - one) / (SIZES[2] - SIZES[0])
            words = (
                f"{label}: {verb} costs {early * 1e6:.0f} µs of CPU a migration up to 3,000, "
                f"{late * 1e6:.0f} up to 10,000; bar {GROWTH_BAR} times"
            )
            yield words, late <= GROWTH_BAR * max(early, 1e-6)


if __name__ == "__main__":
    sys.exit(main())
