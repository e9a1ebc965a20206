"""What safety costs: many small migrations by Bascule, by a bare loop, and by other tools, in turns.

::

    python -m benchmarks.overhead [--database postgresql|sqlite] [--count 1000] [--rounds 3] [--peers] [--postgres
    BIN_DIR]
                                  [--tables 10000]

Each contender is a whole process on an empty database, as a user starts it; the result is looked at after each. The
figure is
the ratio of medians to the loop (BEGIN, the statement, a ledger row, COMMIT: see loops.py); the bar is 1.10.
`--peers` also
runs Alembic, Django, yoyo and dbmate where they can be had, `--tables` first fills the database with so many tables of
somebody else's. Ends with 1 when the bar is missed or a peer is quicker.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bascule.testing.postgres import PostgresServer
from benchmarks.many import Small, expected, small_migrations, write_native
from benchmarks.peers import alembic, dbmate, django, yoyo
from benchmarks.timing import Timed, environment, python, spread, table, timed

BAR = 1.10
HERE = Path(__file__).parent


_COUNT = """
SELECT
  count(*) FILTER (WHERE relkind = 'r'),
  count(*) FILTER (WHERE relkind = 'i' AND relname LIKE '%_name'),
  (SELECT count(*) FROM pg_attribute WHERE attname = 'note')
FROM pg_class WHERE relname LIKE 'item_%'
"""


class Wrong(Exception):
    """A contender ended well and did not do what it should."""


@dataclass(slots=True, kw_only=True)
class Contender:
    """Somebody who applies the migrations. `command` is asked for each database anew."""

    name: str
    command: Callable[[str], list[str]]
    cwd: Path
    env: Callable[[str], dict[str, str]]
    runs: list[Timed] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 1 when a bar is missed."""
    options = _parser().parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bascule-overhead-")))
        migrations = small_migrations(options.count)
        place: Place
        if options.database == "sqlite":
            place = Files(folder)
        else:
            settings = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
            server = PostgresServer(options.postgres, fsync=True, settings=settings)
            place = Databases(stack.enter_context(server), options.tables)
        contenders = _contenders(folder, migrations, options.database)
        if options.peers:
            contenders += _peers(folder, migrations, options.database)
        for number in range(options.rounds):
            for contender in contenders:
                _run(contender, place, number, options.count)
        return _print(contenders, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__.split("\n")[0])
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--postgres", type=Path)
    parser.add_argument("--tables", type=int, default=0)
    return parser


class Place:
    """Where empty databases come from, and where what was made in them is looked at."""

    def new(self, name: str) -> str:
        """URL of an empty database."""
        raise AssertionError

    def count(self, url: str) -> dict[str, int]:
        """Tables, added columns and indexes of the migrations that are there."""
        raise AssertionError


class Databases(Place):
    """On a server of our own, whose commits wait for the disk."""

    def __init__(self, server: PostgresServer, tables: int) -> None:
        self._server = server
        self._template = None
        if tables:
            url = server.create_database("crowded")
            _fill(url, tables)
            self._template = "crowded"

    def new(self, name: str) -> str:
        """URL of an empty (or crowded) database."""
        return self._server.create_database(name, template=self._template)

    def count(self, url: str) -> dict[str, int]:
        """As the catalog has it."""
        import psycopg

        with psycopg.connect(url) as connection:
            row = connection.execute(_COUNT).fetchone()
        assert row is not None
        return {"tables": row[0], "columns": row[2], "indexes": row[1]}


def _fill(url: str, tables: int) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(0, tables, 1000):
            made = ";".join(
                f"CREATE TABLE other_{each} (id bigint PRIMARY KEY, a text, b int)"
                for each in range(number, number + 1000)
            )
            connection.execute(made)
        connection.execute("ANALYZE")


class Files(Place):
    """SQLite files with SQLite's own defaults."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self, name: str) -> str:
        """URL of a file that is not there yet."""
        return f"sqlite:///{self._folder / name}.db"

    def count(self, url: str) -> dict[str, int]:
        """As sqlite_schema has it."""
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        rows = connection.execute(
            "SELECT type, sql FROM sqlite_schema WHERE name LIKE 'item\\_%' ESCAPE '\\'"
        ).fetchall()
        connection.close()
        return {
            "tables": sum(kind == "table" for kind, _ in rows),
            "columns": sum(kind == "table" and "note" in sql for kind, sql in rows),
            "indexes": sum(kind == "index" for kind, _ in rows),
        }


def _contenders(folder: Path, migrations: list[Small], database: str) -> list[Contender]:
    project = folder / "bascule"
    write_native(project / "migrations", migrations)
    plain = folder / "plain"
    plain.mkdir()
    for each in migrations:
        (plain / f"{each.name}.sql").write_text(f"{each.up};\n")
    loop = HERE / "loops.py"

    def place(url: str) -> str:
        return url.removeprefix("sqlite:///") if database == "sqlite" else url

    return [
        Contender(
            name="loop",
            command=lambda url: [python(), str(loop), database, place(url), str(plain)],
            cwd=folder,
            env=lambda url: environment(),
        ),
        Contender(
            name="Bascule",
            command=lambda url: [python(), "-m", "bascule", "--database-url", url, "up", "--no-progress", "--json"],
            cwd=project,
            env=lambda url: environment(),
        ),
    ]


def _peers(folder: Path, migrations: list[Small], database: str) -> list[Contender]:
    found = []
    for peer in (alembic, django, yoyo, dbmate):
        place = folder / peer.__name__.rsplit(".", 1)[1]
        place.mkdir()
        try:
            made = peer.prepare(place, migrations, database)
        except peer_problems() as problem:
            print(f"not run: {place.name}: {problem}")
            continue
        found += [Contender(name=each.name, command=each.command, cwd=each.cwd, env=each.env) for each in made]
    return found


def peer_problems() -> tuple[type[Exception], ...]:
    """Why a peer cannot be had here."""
    import subprocess

    return (OSError, subprocess.SubprocessError, ImportError)


def _run(contender: Contender, place: Place, number: int, count: int) -> None:
    name = "".join(letter if letter.isalnum() else "_" for letter in contender.name.lower())
    url = place.new(f"{name}_{number}")
    run = timed(contender.command(url), cwd=contender.cwd, env=contender.env(url))
    found = place.count(url)
    if found != expected(count):
        raise Wrong(f"{contender.name} made {found}, not {expected(count)}")
    contender.runs.append(run)


def _print(contenders: Sequence[Contender], options: argparse.Namespace) -> int:
    loop = spread([each.wall for each in contenders[0].runs]).median
    rows = [["", "min s", "median s", "max s", "of the loop", "CPU s"]]
    ratios = {}
    for contender in contenders:
        wall = spread([each.wall for each in contender.runs])
        cpu = spread([each.cpu for each in contender.runs])
        ratios[contender.name] = wall.median / loop
        figures = [wall.low, wall.median, wall.high, wall.median / loop, cpu.median]
        rows.append([contender.name, *(f"{figure:.2f}" for figure in figures)])
    print(f"{options.count} small migrations, one transaction each, {options.database}, {options.rounds} rounds")
    print(table(rows))
    own = ratios["Bascule"]
    quicker = [name for name, ratio in ratios.items() if name not in ("loop", "Bascule") and ratio <= own]
    print(f"Bascule: {own:.2f} of the loop, bar {BAR:.2f}: {'ok' if own <= BAR else 'MISSED'}")
    if quicker:
        print(f"quicker than Bascule: {', '.join(quicker)}")
    return 0 if own <= BAR and not quicker else 1


if __name__ == "__main__":
    sys.exit(main())
