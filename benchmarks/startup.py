"""How long the everyday commands take from nothing to their answer.

::

    python -m benchmarks.startup [--rounds 7] [--postgres BIN_DIR]

Whole processes, in turns. On SQLite the bar is processor time (150 ms) for ``--help``, ``status`` and an ``up`` with
nothing
to do; on PostgreSQL 1.3 times the wall time of a Python that imports psycopg, connects and selects; with 10,000 applied
migrations 0.45 s, growing linearly. Ends with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bascule import Bascule
from bascule.testing.postgres import PostgresServer
from benchmarks.many import small_migrations, write_native
from benchmarks.timing import Timed, python, table, timed

SQLITE_CPU = 0.150
POSTGRESQL_TIMES = 1.3
MANY = 0.45
BARE = "import psycopg, sys; c = psycopg.connect(sys.argv[1]); c.execute('select 1').fetchone(); c.close()"


@dataclass(slots=True, kw_only=True)
class Case:
    """One command in one place."""

    title: str
    command: list[str]
    folder: Path
    runs: list[Timed] = field(default_factory=list)

    def wall(self) -> float:
        """Median, in seconds."""
        return statistics.median(each.wall for each in self.runs)

    def cpu(self) -> float:
        """Median, in seconds."""
        return statistics.median(each.cpu for each in self.runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--postgres", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bascule-startup-") as place, PostgresServer(options.postgres) as server:
        folder = Path(place)
        small = _project(folder / "small", 10)
        sqlite = _sqlite(small)
        postgresql = server.create_database("startup")
        Bascule(url=postgresql, migrations_dir=small / "migrations", say=_silent).migrations.execute_pending()
        first = [
            Case(title="--help", command=[*_bascule(), "--help"], folder=small),
            Case(title="status, SQLite", command=_on(sqlite, "status"), folder=small),
            Case(title="up, nothing to do, SQLite", command=_on(sqlite, "up"), folder=small),
            Case(title="psycopg: connect, select", command=[python(), "-c", BARE, postgresql], folder=small),
            Case(title="status, PostgreSQL", command=_on(postgresql, "status"), folder=small),
            Case(title="up, nothing to do, PostgreSQL", command=_on(postgresql, "up"), folder=small),
        ]
        _measure(first, options.rounds)
        grown = [case for count in (1_000, 10_000) for case in _grown(folder, server, count)]
        _measure(grown, options.rounds)
        return _print(first, grown)


def _bascule() -> list[str]:
    return [python(), "-m", "bascule"]


def _on(url: str, verb: str) -> list[str]:
    return [*_bascule(), "--database-url", url, verb]


def _project(folder: Path, count: int) -> Path:
    write_native(folder / "migrations", small_migrations(count))
    return folder


def _sqlite(project: Path) -> str:
    url = f"sqlite:///{project / 'app.db'}"
    Bascule(url=url, migrations_dir=project / "migrations", say=_silent).migrations.execute_pending()
    return url


def _grown(folder: Path, server: PostgresServer, count: int) -> list[Case]:
    """A target with so many applied migrations: one is applied as it should be, the others' rows are copied from it."""
    project = _project(folder / f"many{count}", count)
    sqlite = f"sqlite:///{project / 'app.db'}"
    postgresql = server.create_database(f"many_{count}")
    for url in (sqlite, postgresql):
        Bascule(url=url, migrations_dir=project / "migrations", say=_silent).migrations.execute_pending(steps=1)
    hashes = _hashes(sqlite, project)
    connection = sqlite3.connect(project / "app.db")
    connection.executemany(
        "INSERT INTO bascule_ledger (name, version, run_id, applied_at, execution_ms, exact_hash, semantic_hash, "
        "parser, how, repeatable, script) SELECT ?, ?, run_id || ?, applied_at, 1, ?, semantic_hash, parser, how, 0, "
        "'' FROM bascule_ledger WHERE position = 1",
        [(name, version, name, exact) for name, version, exact in hashes[1:]],
    )
    connection.commit()
    connection.close()
    _fill_postgresql(postgresql, hashes[1:])
    return [
        Case(title=f"{verb}, {count:,} applied, {where}", command=_on(url, verb), folder=project)
        for where, url in (("SQLite", sqlite), ("PostgreSQL", postgresql))
        for verb in ("status", "up")
    ]


def _hashes(url: str, project: Path) -> list[tuple[str, str, str]]:
    from bascule.sources.detect import open_source

    source = open_source(str(project / "migrations"))
    return [(ref.name, ref.version, source.fingerprint(ref)) for ref in source.listing()]


def _fill_postgresql(url: str, rows: Sequence[tuple[str, str, str]]) -> None:
    import psycopg

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO bascule.ledger (name, version, run_id, applied_at, execution_ms, exact_hash, semantic_hash, "
            "parser, how, repeatable, script) SELECT %s, %s, run_id || %s, applied_at, 1, %s, semantic_hash, parser, "
            "how, false, '' FROM bascule.ledger ORDER BY position LIMIT 1",
            [(name, version, name, exact) for name, version, exact in rows],
        )


def _measure(cases: Sequence[Case], rounds: int) -> None:
    for number in range(rounds + 1):
        for case in cases:
            run = timed(case.command, cwd=case.folder)
            # The first round fills the caches of bytecode, files and catalog.
            if number:
                case.runs.append(run)


def _print(first: Sequence[Case], grown: Sequence[Case]) -> int:
    bare = next(case for case in first if case.title.startswith("psycopg"))
    rows = [["", "wall s", "CPU s", "bar", ""]]
    missed = 0
    for case in (*first, *grown):
        bar, kept = _bar(case, bare)
        missed += not kept
        rows.append(
            [case.title, f"{case.wall():.3f}", f"{case.cpu():.3f}", bar, "" if not bar else "ok" if kept else "MISSED"]
        )
    print(table(rows))
    return 1 if missed else 0


def _bar(case: Case, bare: Case) -> tuple[str, bool]:
    if case is bare:
        return "", True
    if "10,000" in case.title:
        return f"{MANY:.2f} s", case.wall() <= MANY
    if "applied" in case.title:
        return "", True
    if "PostgreSQL" in case.title:
        return f"{case.wall() / bare.wall():.2f} of {POSTGRESQL_TIMES}", case.wall() <= POSTGRESQL_TIMES * bare.wall()
    return f"{SQLITE_CPU * 1000:.0f} ms CPU", case.cpu() <= SQLITE_CPU


def _silent(_words: str) -> None:
    """The table says it all."""


if __name__ == "__main__":
    sys.exit(main())
