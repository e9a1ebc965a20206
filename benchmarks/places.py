"""Where many small migrations are run: an empty database for each run, and a look at what came of it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from bascule.testing.postgres import PostgresServer
from benchmarks.many import expected

FILLED = "filled"


class Wrong(Exception):
    """A run ended well and left something else than it was to leave."""


class Place(Protocol):
    """One kind of database."""

    dialect: str

    def fresh(self, name: str) -> str:
        """URL of a new database."""

    def made(self, url: str) -> dict[str, int]:
        """Tables, columns and indexes that the migrations have made."""

    def query(self, url: str, sql: str) -> list[tuple[object, ...]]:
        """Rows."""


class PostgresPlace:
    """A server of its own whose commits reach the disk.

    No database is dropped before the end: the file system passes over the inodes of files deleted a minute ago, one by
    one, and making a table's files after a thousand were deleted takes several times as long. Each run begins after a
    checkpoint, so that nobody pays for what the one before has left to be written.
    """

    dialect = "postgresql"

    def __init__(self, bin_dir: str | None) -> None:
        self._server = PostgresServer(bin_dir, fsync=True, settings={"shared_buffers": "512MB", "max_wal_size": "4GB"})
        self._filled_with = 0
        self.major = self._server.major
        self.bin_dir = self._server.bin_dir

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()

    def fresh(self, name: str) -> str:
        return self._checkpointed(self._server.create_database(name))

    def filled(self, name: str, tables: int) -> str:
        """A new database with so many tables in it already. Always the same number for one place."""
        if not self._filled_with:
            self._fill(tables)
            self._filled_with = tables
        return self._checkpointed(self._server.create_database(name, template=FILLED))

    def made(self, url: str) -> dict[str, int]:
        ((tables, columns, indexes),) = self.query(
            url,
            """SELECT
              (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'item\\_%'),
              (SELECT count(*) FROM pg_attribute WHERE attname = 'note' AND NOT attisdropped),
              (SELECT count(*) FROM pg_class WHERE relkind = 'i' AND relname LIKE 'item\\_%\\_name')""",
        )
        return {"tables": int(str(tables)), "columns": int(str(columns)), "indexes": int(str(indexes))}

    def query(self, url: str, sql: str) -> list[tuple[object, ...]]:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def _fill(self, tables: int) -> None:
        url = self._server.create_database(FILLED)
        for start in range(1, tables + 1, 1000):
            end = min(start + 999, tables)
            self.query(
                url,
                f"DO $$ BEGIN FOR i IN {start} .. {end} LOOP "
                "EXECUTE format('CREATE TABLE there_%s (id bigint PRIMARY KEY, name text NOT NULL)', i); "
                "END LOOP; END $$",
            )
        self.query(url, "VACUUM ANALYZE")

    def _checkpointed(self, url: str) -> str:
        self.query(url, "CHECKPOINT")
        return url


class SqlitePlace:
    """Files in a folder, with SQLite's own settings."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)

    def fresh(self, name: str) -> str:
        return f"sqlite:///{self._folder / name}.db"

    def made(self, url: str) -> dict[str, int]:
        rows = self.query(
            url,
            "SELECT sum(type = 'table'), sum(type = 'table' AND sql LIKE '%note text%'), sum(type = 'index') "
            "FROM sqlite_master WHERE name LIKE 'item\\_%' ESCAPE '\\'",
        )
        tables, columns, indexes = (int(str(each or 0)) for each in rows[0])
        return {"tables": tables, "columns": columns, "indexes": indexes}

    def query(self, url: str, sql: str) -> list[tuple[object, ...]]:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(sql).fetchall()


def check(place: Place, url: str, count: int, *, recorded: str | None) -> None:
    """Raises `Wrong` where not everything is there once. `recorded`: a query for the number of recorded migrations."""
    found = place.made(url)
    if found != expected(count):
        raise Wrong(f"expected {expected(count)}, found {found}")
    if recorded is not None and (rows := int(str(place.query(url, recorded)[0][0]))) != count:
        raise Wrong(f"expected {count} recorded migrations, found {rows}")
