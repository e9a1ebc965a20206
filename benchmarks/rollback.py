"""Roll back every migration of a real history with rows in its tables, and look at schema and data by other means.

::

    python -m benchmarks.rollback FOLDER [--postgres BIN_DIR] [--rows N] [--only NAME] [--backup]

Each migration runs on a clone of the history before it, whose tables have been filled with generated rows
(`benchmarks.rows`), and is rolled back. What is compared is not what Bascule looks at: the schema by ``pg_dump
--schema-only`` before and after, the data as all rows of all tables as JSON. Printed are the migrations that do not end
exact in schema (the order of columns apart) and data, whether each was announced before its up ran, and every "exact"
that was not so, which makes the command fail, as does a share below ``--bar``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bascule import Bascule, BasculeError
from benchmarks.histories import Databases, _prepare, _silent
from benchmarks.rows import fill

GOOD = ("exact", "column_order")
_CLAIMS = ("exact", "column_order", "cosmetic")
"""Verdicts that say that every row is as it was."""
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('bascule', 'information_schema', 'pg_catalog', 'pg_toast')
"""

Data = Mapping[str, Counter[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one migration."""

    name: str
    verdict: str
    """Bascule's own."""
    schema: str
    """``exact``, ``column_order`` or ``differs``, by the dumps."""
    data: tuple[str, ...]
    """Tables of which the rows differ, in words."""
    announced: tuple[str, ...]
    """What was said before the up."""
    words: tuple[str, ...]
    rows: int

    @property
    def whole(self) -> bool:
        """Schema and data are as they were."""
        return self.schema in GOOD and not self.data and self.verdict in _CLAIMS

    @property
    def false(self) -> bool:
        """It says more than is true."""
        return (self.verdict in _CLAIMS and bool(self.data)) or (self.verdict in GOOD and self.schema == "differs")


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when the share is reached and nothing claimed falsely."""
    options = _parser().parse_args(arguments)
    from bascule.testing.postgres import PostgresServer

    begun = time.perf_counter()
    with PostgresServer(options.postgres) as server:
        outcomes = list(_outcomes(options, Databases(server)))
    return _print(outcomes, options.bar, time.perf_counter() - begun)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--postgres", type=Path, help="bin folder of a PostgreSQL; default: the newest that is found")
    parser.add_argument("--prepare", type=Path, help="a SQL file run on the empty database first")
    parser.add_argument("--rows", type=int, default=5, help="rows for each table")
    parser.add_argument("--only", action="append", default=[], help="look at these migrations alone")
    parser.add_argument("--backup", action="store_true", help="with the backups that a user gets by default")
    parser.add_argument("--bar", type=float, default=0.98, help="share that must end exact")
    return parser


def _outcomes(options: argparse.Namespace, place: Databases) -> Iterator[Outcome]:
    url = place.empty("history")
    _prepare(url, options.prepare)
    line = Bascule(url=url, migrations_dir=options.folder, say=_silent, **{"backup.enabled": False})
    names = line.migrations.status().pending
    for number, name in enumerate(names):
        if not options.only or any(each in name for each in options.only):
            yield _one(options, place, url, name)
            print(f"\r{number + 1} of {len(names)}  {name[:70]:<70}", end="", file=sys.stderr, flush=True)
        line.migrations.execute_migration(name, accept_data_loss=True)
    print(file=sys.stderr)


def _one(options: argparse.Namespace, place: Databases, url: str, name: str) -> Outcome:
    failed: tuple[str, ...] = ()
    for seed, rows in ((1, options.rows), (2, options.rows), (3, 1), (4, 0)):
        copy = place.clone(url, "clone")
        try:
            made = _filled(copy, rows, seed)
            bascule = _open(copy, options)
            before = dump(options.postgres, copy), data(copy)
            announced = _announced(bascule, name)
            try:
                bascule.migrations.execute_migration(name, accept_data_loss=True)
            except BasculeError as error:
                failed = tuple(error.message.splitlines())
                continue
            verdict, words = _down(bascule, name)
            after = dump(options.postgres, copy), data(copy)
            return Outcome(
                name=name,
                verdict=verdict,
                schema=_same_schema(before[0], after[0]),
                data=tuple(_differences(before[1], after[1])),
                announced=announced,
                words=words,
                rows=sum(made.values()),
            )
        finally:
            place.drop("clone")
    return Outcome(name=name, verdict="not applied", schema="differs", data=(), announced=(), words=failed, rows=0)


def _open(url: str, options: argparse.Namespace) -> Bascule:
    settings: dict[str, Any] = {"backup.enabled": options.backup}
    return Bascule(url=url, migrations_dir=options.folder, say=_silent, **settings)


def _filled(url: str, rows: int, seed: int) -> Mapping[str, int]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        return fill(connection, rows=rows, seed=seed) if rows else {}


def _announced(bascule: Bascule, name: str) -> tuple[str, ...]:
    backs = bascule.migrations.create_migration_plan((name,)).ways_back
    return tuple(words for one, back in backs.items() for words in (*back.losses, *back.notices(one)))


def _down(bascule: Bascule, name: str) -> tuple[str, tuple[str, ...]]:
    try:
        run = bascule.migrations.rollback_migration(name, accept_data_loss=True)
    except BasculeError as error:
        return "error", tuple(error.message.splitlines())
    return run.verdict or "unverified", (*run.differences, *run.notes)


def dump(binaries: Path | None, url: str) -> str:
    """The schema in pg_dump's own words, without what differs each time."""
    tool = "pg_dump" if binaries is None else str(binaries / "pg_dump")
    done = subprocess.run(
        [tool, "--schema-only", "--exclude-schema=bascule", "--dbname", url], capture_output=True, text=True, check=True
    )
    return "\n".join(
        line for line in done.stdout.splitlines() if line and not line.startswith(("--", "\\restrict", "\\unrestrict"))
    )


def data(url: str) -> Data:
    """All rows of all tables."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        tables = [row[0] for row in connection.execute(_TABLES)]
        return {
            table: Counter(
                row[0]
                for row in connection.execute(f"SELECT to_jsonb(t)::text FROM {table} AS t")  # type: ignore[arg-type]
            )
            for table in tables
        }


def _same_schema(before: str, after: str) -> str:
    if before == after:
        return "exact"
    one, other = (sorted(line.strip().rstrip(",;") for line in text.splitlines()) for text in (before, after))
    return "column_order" if one == other else "differs"


def _differences(before: Data, after: Data) -> Iterator[str]:
    for table in sorted({*before, *after}):
        old, new = before.get(table, Counter()), after.get(table, Counter())
        gone, come = old - new, new - old
        if gone or come:
            sample = next(iter(gone or come))
            counts = f"{sum(gone.values())} rows gone or changed, {sum(come.values())} others there"
            yield f"{table}: {counts}: {sample[:150]}"


def _print(outcomes: list[Outcome], bar: float, seconds: float) -> int:
    whole = sum(each.whole for each in outcomes)
    false = [each for each in outcomes if each.false]
    for each in outcomes:
        if not each.whole:
            print(f"{each.verdict:<13} {each.name}  (schema by pg_dump: {each.schema}; {each.rows} rows)")
            for words in (*each.data[:4], *(f"announced: {one}" for one in each.announced[:4]), *each.words[:6]):
                print(f"              {words[:400]}")
            if not each.announced:
                print("              NOT ANNOUNCED")
    for each in false:
        print(f"FALSE EXACT   {each.name}")
    share = whole / len(outcomes) if outcomes else 0.0
    verdicts = Counter(each.verdict for each in outcomes)
    print(
        f"{whole} of {len(outcomes)} exact in schema (column order apart) and data: {share:.1%}; "
        f"{len(false)} false; verdicts: {dict(verdicts)}; {seconds:.0f} s"
    )
    return 0 if share >= bar and not false else 1


if __name__ == "__main__":
    sys.exit(main())
