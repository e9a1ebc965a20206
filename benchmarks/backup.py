"""A whole backup and its way back, beside the database's own tools in the same run.

::

    python -m benchmarks.backup [--rows 5000000] [--tables 3000] [--rounds 3] [--only postgresql|tables|sqlite]

PostgreSQL (`BASCULE_TEST_PG` or the wheel's): a child of that many realistic rows and a parent of a fifth as many;
``pg_dump -Fp | zstd -1 -T2`` and ours (rows and schema, hashed; with digests; encrypted; the parent alone), then
``pg_restore -j2`` of a ``-Fd -Z1`` dump and ours into a new database and in the tables' own place. SQLite: its backup
API and ``zstd -1 -T2``, and ours. In rounds that take turns; whole processes.

``tables``: that many tables of five rows each; ``pg_dump -Fp | zstd -1 -T2`` and ours, then psql with that dump, and
ours.

The bars: a backup at most 1.0 times ``pg_dump | zstd``, 1.2 encrypted, and of one table its share of the bytes and half
a second; a restore to a new database at most 1.0 times ``pg_restore -j2``; SQLite at most 1.3 times; digests at least
1.5 million rows a second and connection; our process under 150 MiB. Of many tables a backup at most 2.0 times ``pg_dump
| zstd`` and half a second; a restore and a verification at most 1.0 times psql. The exit code is 1 where a bar was
missed.
"""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.timing import python, spread, table, timed

if TYPE_CHECKING:
    from bascule.domain.backup import Manifest

MEMORY_BAR = 150 << 20
DIGEST_BAR = 1.5e6
_START = 0.5
"""Seconds that a backup of nothing may take: Python, connections, the schema."""
_SCHEMA = """
CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL, balance numeric(12, 2));
CREATE TABLE child (
  id bigint PRIMARY KEY, parent_id int NOT NULL, status text NOT NULL, amount numeric(12, 2), quantity int,
  at timestamptz NOT NULL, email text, note text, data jsonb
);
INSERT INTO parent SELECT g, 'customer ' || md5(g::text), timestamptz '2020-01-01' + g * interval '1 minute', g % 99999
FROM generate_series(1, {parents}) g;
INSERT INTO child SELECT g, 1 + g % {parents}, (ARRAY['new', 'paid', 'sent', 'returned'])[1 + g % 4],
  (g % 1000003) / 100.0, g % 17, timestamptz '2020-01-01' + g * interval '7 seconds',
  'user' || g * 7919 % 1000003 || '@example.org',
  substr(md5(g::text), 1, (g % 24)::int), jsonb_build_object('k', g % 1000, 't', 'v' || g % 97)
FROM generate_series(1::bigint, {rows}) g;
CREATE INDEX child_parent ON child (parent_id);
ALTER TABLE child ADD FOREIGN KEY (parent_id) REFERENCES parent;
VACUUM (ANALYZE, FREEZE) parent;
VACUUM (ANALYZE, FREEZE) child
"""

_SMALL_TABLE = """CREATE TABLE t{0} (id serial PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now());
INSERT INTO t{0} (name) SELECT 'name ' || g FROM generate_series(1, 5) g"""


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.backup", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tables", type=int, default=3000)
    parser.add_argument("--only", choices=["postgresql", "tables", "sqlite"])
    parser.add_argument("--act", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.act:
        return _act(*given.act)
    with tempfile.TemporaryDirectory(prefix="bascule-backup-") as home:
        missed = _postgres(Path(home), given.rows, given.rounds) if given.only in (None, "postgresql") else []
        missed += _many_tables(Path(home), given.tables, given.rounds) if given.only in (None, "tables") else []
        missed += _sqlite(Path(home), given.rows, given.rounds) if given.only in (None, "sqlite") else []
    for words in missed:
        print(f"  MISSED: {words}")
    return 1 if missed else 0


def _postgres(home: Path, rows: int, rounds: int) -> list[str]:
    import psycopg

    from bascule.testing.postgres import PostgresServer

    settings = {"shared_buffers": "1GB", "max_wal_size": "8GB", "maintenance_work_mem": "256MB"}
    with PostgresServer(os.environ.get("BASCULE_TEST_PG"), settings=settings) as server:
        url = server.create_database("app")
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in _SCHEMA.format(rows=rows, parents=rows // 5).split(";\n"):
                connection.execute(statement.encode())
            ((child, parent),) = connection.execute("SELECT pg_table_size('child'), pg_table_size('parent')").fetchall()
        size, share = child + parent, parent / (child + parent)
        print(f"PostgreSQL {server.major}, {rows:,} rows, {size / 1e6:.0f} MB, {os.cpu_count()} processors")
        tool = f"{server.bin_dir}/pg_dump -d {url}"
        runs: dict[str, list[str]] = {
            "pg_dump -Fp | zstd -1 -T2": [
                "sh",
                "-c",
                f"{tool} | zstd -q -f -1 -T2 -o {home}/plain.zst && sync {home}/plain.zst",
            ],
            "backup": _ours("dump", url, home / "a"),
            "backup with digests": _ours("dump", url, home / "b", "digests"),
            "backup, encrypted": _ours("dump", url, home / "c", "encrypted"),
            "backup of the parent alone": _ours("dump", url, home / "d", "parent"),
        }
        found = _rounds(home, runs, rounds, before=lambda: _clean(home, "abcd"))
        timed(["sh", "-c", f"{tool} -Fd -Z1 -j2 -f {home}/directory"], cwd=_ROOT)
        restores: dict[str, list[str]] = {
            "pg_restore -j2 (-Fd)": [
                "sh",
                "-c",
                f"{server.bin_dir}/pg_restore -j2 -d {server.url('restored')} {home}/directory",
            ],
            "restore to a new database": _ours("restore_to", url, home / "b", "anew"),
            "restore in place": _ours("restore", url, home / "b"),
            "verify": _ours("verify", url, home / "a"),
            "verify, with digests": _ours("verify", url, home / "b"),
        }

        def make_room() -> None:
            for name in ("restored", "anew"):
                server.drop_database(name)
            server.create_database("restored")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CHECKPOINT")

        found |= _rounds(home, restores, max(1, rounds - 1), before=make_room)
        rate = _digest_rate(url, rows)
    base, back = found["pg_dump -Fp | zstd -1 -T2"], found["pg_restore -j2 (-Fd)"]
    bars = {"backup": (base, 1.0), "backup, encrypted": (base, 1.2), "restore to a new database": (back, 1.0)}
    missed = _against(found, bars)
    part, most = found["backup of the parent alone"], share * found["backup"] + _START
    print(f"  backup of {share:.0%} of the data: {part:.2f} s (bar {most:.2f})")
    missed += ["backup of the parent alone"] if part > most else []
    print(f"  digests: {rate / 1e6:.2f} million rows a second on one connection (bar {DIGEST_BAR / 1e6})")
    if rate < DIGEST_BAR:
        missed.append("digests")
    return missed + _memory(home)


def _many_tables(home: Path, count: int, rounds: int) -> list[str]:
    import psycopg

    from bascule.testing.postgres import PostgresServer

    # All are made anew in one transaction where they are restored in their place.
    settings = {"shared_buffers": "512MB", "max_wal_size": "8GB", "max_locks_per_transaction": str(max(64, count // 8))}
    with PostgresServer(os.environ.get("BASCULE_TEST_PG"), settings=settings) as server:
        url = server.create_database("app")
        with psycopg.connect(url, autocommit=True) as connection:
            for first in range(1, count + 1, 100):
                numbers = range(first, min(first + 100, count + 1))
                connection.execute(";".join(_SMALL_TABLE.format(number) for number in numbers).encode())
            connection.execute("VACUUM (ANALYZE)")
        print(f"PostgreSQL {server.major}, {count:,} tables of five rows, {os.cpu_count()} processors")
        stored = home / "tables.zst"
        tool = f"{server.bin_dir}/pg_dump -d {url} | zstd -q -f -1 -T2 -o {stored} && sync {stored}"
        runs: dict[str, list[str]] = {
            "pg_dump -Fp | zstd -1 -T2": ["sh", "-c", tool],
            "backup": _ours("dump", url, home / "g"),
            "backup, encrypted": _ours("dump", url, home / "h", "encrypted"),
            "backup of one table": _ours("dump", url, home / "i", "t1"),
        }
        found = _rounds(home, runs, rounds, before=lambda: _clean(home, "ghi"))
        print(f"  {_files(home / 'g')} files")
        reads = f"zstd -q -dc {stored} | {server.bin_dir}/psql -q -o /dev/null -v ON_ERROR_STOP=1 -d"
        restores: dict[str, list[str]] = {
            "psql": ["sh", "-c", f"{reads} {server.url('restored')}"],
            "restore to a new database": _ours("restore_to", url, home / "g", "anew"),
            "verify": _ours("verify", url, home / "g"),
            "restore in place": _ours("restore", url, home / "g"),
            "restore of one table": _ours("restore", url, home / "g", "t1"),
        }

        def make_room() -> None:
            for name in ("restored", "anew"):
                server.drop_database(name)
            server.create_database("restored")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CHECKPOINT")

        found |= _rounds(home, restores, max(1, rounds - 1), before=make_room)
    base, back = found["pg_dump -Fp | zstd -1 -T2"], found["psql"]
    missed = _against(found, {"restore to a new database": (back, 1.0), "verify": (back, 1.0)})
    most = 2.0 * base + _START
    print(f"  backup: {found['backup'] / base:.2f} times pg_dump | zstd, {found['backup']:.2f} s (bar {most:.2f})")
    missed += ["backup of many tables"] if found["backup"] > most else []
    return missed + _memory(home)


def _files(store: Path) -> int:
    return sum(path.is_file() for path in store.glob("*/**/*"))


def _sqlite(home: Path, rows: int, rounds: int) -> list[str]:
    path = home / "app.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE child "
        "(id INTEGER PRIMARY KEY, parent INT, status TEXT, amount REAL, email TEXT, note TEXT, more TEXT)"
    )
    connection.execute(
        "INSERT INTO child WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < ?) "
        "SELECT g, g % 1000, 'status ' || g % 4, (g % 1000003) / 100.0, "
        "'user' || g * 7919 % 1000003 || '@example.org', "
        "substr(hex(g * 40503) || hex(g * 7919), 1, g % 24), 'some words of a note, ' || g % 977 FROM n",
        (rows,),
    )
    connection.execute("CREATE INDEX child_parent ON child (parent)")
    connection.commit()
    connection.close()
    print(f"SQLite {sqlite3.sqlite_version}, {rows:,} rows, {path.stat().st_size / 1e6:.0f} MB")
    peer = (
        f"import sqlite3, os; a = sqlite3.connect('{path}'); b = sqlite3.connect('{home}/copy.db'); a.backup(b); "
        f"b.close(); os.system('zstd -q -f -1 -T2 {home}/copy.db -o {home}/copy.zst && sync {home}/copy.zst')"
    )
    runs = {
        "backup API, zstd -1 -T2": [python(), "-c", peer],
        "backup": _ours("dump", str(path), home / "e"),
        "backup with digests": _ours("dump", str(path), home / "f", "digests"),
    }
    found = _rounds(home, runs, rounds, before=lambda: _clean(home, "ef"))
    missed = _against(found, {"backup": (found["backup API, zstd -1 -T2"], 1.3)})
    return missed + _memory(home)


_ROOT = Path(__file__).parents[1]


def _ours(*what: object) -> list[str]:
    return [python(), "-m", "benchmarks.backup", "--act", *map(str, what)]


def _rounds(home: Path, runs: dict[str, list[str]], rounds: int, *, before: Callable[[], object]) -> dict[str, float]:
    """Medians by name; each round makes room first."""
    walls: dict[str, list[float]] = {name: [] for name in runs}
    cpus: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        before()
        for name, command in runs.items():
            result = timed(command, cwd=_ROOT)
            walls[name].append(result.wall)
            cpus[name].append(result.cpu)
    lines = [["", "wall min s", "median", "max", "CPU s"]]
    for name, values in walls.items():
        wall = spread(values)
        lines.append(
            [name, f"{wall.low:.2f}", f"{wall.median:.2f}", f"{wall.high:.2f}", f"{spread(cpus[name]).median:.2f}"]
        )
    print(table(lines), flush=True)
    return {name: spread(values).median for name, values in walls.items()}


def _against(found: dict[str, float], bars: dict[str, tuple[float, float]]) -> list[str]:
    missed = []
    for name, (base, bar) in bars.items():
        print(f"  {name}: {found[name] / base:.2f} times (bar {bar})")
        if found[name] / base > bar:
            missed.append(name)
    return missed


def _memory(home: Path) -> list[str]:
    used = {path.stem: int(path.read_text(encoding="ascii")) for path in home.glob("*.memory")}
    most = max(used.values())
    print(f"  peak memory of one of our processes: {most >> 20} MiB (bar {MEMORY_BAR >> 20})")
    for path in home.glob("*.memory"):
        path.unlink()
    return ["memory"] if most > MEMORY_BAR else []


def _clean(home: Path, stores: str) -> None:
    for name in stores:
        shutil.rmtree(home / name, ignore_errors=True)


def _digest_rate(url: str, rows: int) -> float:
    from bascule.databases.postgres.dumper import PostgresDumper

    begun = time.perf_counter()
    PostgresDumper(url).digests(["child"])
    return rows / (time.perf_counter() - begun)


def _act(what: str, url: str, store: str, how: str = "") -> int:
    """The measured process."""
    from bascule.backups.encryption import Encryption, new_key
    from bascule.backups.naming import new_backup_id
    from bascule.backups.stores.local import LocalStore
    from bascule.ports.dump import Dumper, DumpRequest, Stored

    dumper: Dumper
    if url.startswith("postgresql"):
        from bascule.databases.postgres.dumper import PostgresDumper

        dumper = PostgresDumper(url)
    else:
        from bascule.databases.sqlite.dumper import SqliteDumper

        dumper = SqliteDumper(url)
    kept, place = LocalStore(store), Path(store)
    if what == "dump":
        keys = Encryption(recipients=(new_key()[1],)) if how == "encrypted" else None
        backup_id = new_backup_id(datetime.now(UTC))
        request = DumpRequest(
            backup_id=backup_id, tables=(how,) if how in ("parent", "t1") else None, digests=how == "digests"
        )
        dumped = dumper.dump(request, store=kept, encryption=keys)
        (place / "dumped").write_bytes(pickle.dumps((backup_id, dumped)))
    else:
        manifest = _manifest(place, dumper.dialect)
        if what == "restore_to":
            dumper.restore_to(Stored(manifest, kept), how)
        elif what == "verify" and not dumper.verify(Stored(manifest, kept)).is_good:
            return 1
        elif what == "restore":
            dumper.restore(Stored(manifest, kept), tables=[how] if how else None)
    used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    (place.parent / f"{what}-{how}-{place.name}.memory").write_text(str(used * 1024), encoding="ascii")
    return 0


def _manifest(place: Path, dialect: str) -> Manifest:
    from bascule.domain.backup import Manifest

    backup_id, dumped = pickle.loads((place / "dumped").read_bytes())
    return Manifest(
        id=backup_id,
        created_at=datetime.now(UTC),
        until=dumped.until,
        target="target",
        dialect=dialect,
        server=dumped.server,
        server_version=dumped.server_version,
        database=dumped.database,
        scope=dumped.scope,
        tables=dumped.tables,
        streams=dumped.streams,
        digests=dumped.digests,
        bascule="0",
    )


if __name__ == "__main__":
    sys.exit(main())
