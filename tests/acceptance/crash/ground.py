"""Where histories are run: a database of its own for each run, made from the same beginning."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.crash.histories import History
from tests.acceptance.crash.truth import Truth, postgresql_truth, sqlite_truth

LEASE_TTL = 3.0
"""Seconds. Where a process that died cannot be told from one that is slow, the next one waits as long."""
_CONFIGURATION = f"""
[limits]
lease_ttl = {LEASE_TTL}
reconnect = 10
"""
_PATIENCE = 30.0


RUNS = {"MIGRATION_VALIDATION_ENABLED": "false"}
"""What the rows of the failing histories lack would be found beforehand, and here they are to fail while they run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One database under test, and the folder in which Bascule runs on it."""

    name: str
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A server process of a run."""

    pid: int
    waits: bool
    """For a lock, or asleep: it is in the middle of its statement."""
    statement: str


def backups_of(site: Site) -> Path:
    """The folder of its backups."""
    return Path(site.environment["MIGRATION_BACKUP_DIR"])


def _backups(folder: Path, name: str) -> dict[str, str]:
    return {"MIGRATION_BACKUP_DIR": str(folder / f"{name}-backups")}


class Ground(Protocol):
    """Makes databases, and looks at them without Bascule."""

    lease_outlives: float
    """Seconds for which the lease of a process that died may look held."""

    def project(self, history: History) -> Path:
        """A folder with the history's migrations and settings."""

    def begin(self, history: History, folder: Path) -> Site:
        """A database as the application has it before Bascule comes. It becomes the pattern of `copy`."""

    def copy(self, site: Site) -> Site:
        """Another one that is just like it."""

    def remove(self, site: Site) -> None:
        """Throw it away."""

    def settle(self, site: Site) -> None:
        """Return when nobody is at work in it any more. Raises TimeoutError."""

    def ask(self, site: Site, sql: str) -> Sequence[tuple[Any, ...]]:
        """Run SQL there, as the application would; answer rows where there are any."""

    def truth(self, site: Site) -> Truth:
        """What is really in it."""

    def scratch(self, site: Site) -> Sequence[str]:
        """What proving or restoring a backup has left beside it."""

    def close(self) -> None:
        """Let go of everything."""


def write_project(root: Path, history: History) -> Path:
    """The folder in which a history's commands run."""
    folder = root / history.name.replace(" ", "_").replace(",", "")
    (folder / "migrations").mkdir(parents=True)
    for name, text in history.files.items():
        (folder / "migrations" / name).write_text(text, encoding="utf-8")
    (folder / "bascule.toml").write_text(_CONFIGURATION, encoding="utf-8")
    return folder


class SqliteGround:
    """Files in a folder."""

    lease_outlives = 0.0

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = itertools.count(1)

    def project(self, history: History) -> Path:
        return write_project(self._root, history)

    def begin(self, history: History, folder: Path) -> Site:
        site = self._site(folder)
        with contextlib.closing(sqlite3.connect(self._file(site))) as connection:
            connection.executescript(history.before)
            # An empty database has no file until something was written.
            connection.execute("PRAGMA user_version = 0")
        return site

    def copy(self, site: Site) -> Site:
        copy = self._site(site.folder)
        for suffix in ("", ".bascule", "-journal", ".bascule-wal"):
            original = Path(f"{self._file(site)}{suffix}")
            if original.exists():
                shutil.copyfile(original, f"{self._file(copy)}{suffix}")
        return copy

    def remove(self, site: Site) -> None:
        for file in site.folder.glob(f"{site.name}.db*"):
            file.unlink()
        for folder in site.folder.glob(f".{site.name}.db.bascule-copy-*"):
            shutil.rmtree(folder)
        shutil.rmtree(backups_of(site), ignore_errors=True)

    def settle(self, site: Site) -> None:
        """SQLite works inside the process that is gone."""

    def ask(self, site: Site, sql: str) -> Sequence[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self._file(site), isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    def truth(self, site: Site) -> Truth:
        sidecar = Path(f"{self._file(site)}.bascule")
        with contextlib.ExitStack() as stack:
            main = stack.enter_context(contextlib.closing(sqlite3.connect(self._file(site), isolation_level=None)))
            beside = (
                stack.enter_context(contextlib.closing(sqlite3.connect(sidecar, isolation_level=None)))
                if sidecar.exists()
                else None
            )

            def ask(sql: str) -> Sequence[tuple[Any, ...]]:
                return main.execute(sql).fetchall()

            def ask_sidecar(sql: str) -> Sequence[tuple[Any, ...]]:
                assert beside is not None
                there = beside.execute("SELECT 1 FROM sqlite_master WHERE name = 'bascule_holder'").fetchone()
                return beside.execute(sql).fetchall() if there else []

            return sqlite_truth(ask, ask_sidecar if beside else None)

    def scratch(self, site: Site) -> Sequence[str]:
        return [each.name for each in site.folder.glob(f".{site.name}.db.bascule-copy-*")]

    def close(self) -> None:
        """Every connection was closed when it had been used."""

    def _site(self, folder: Path) -> Site:
        name = f"run{next(self._numbers)}"
        environment = {"DATABASE_URL": f"sqlite:///{folder}/{name}.db", **_backups(folder, name), **RUNS}
        return Site(name=name, folder=folder, environment=environment)

    @staticmethod
    def _file(site: Site) -> Path:
        return site.folder / f"{site.name}.db"


class PostgresqlGround:
    """Databases of one server."""

    def __init__(
        self,
        root: Path,
        server: PostgresServer,
        *,
        pooler: PgBouncer | None = None,
        state_elsewhere: bool = False,
    ) -> None:
        """Runs go through the `pooler`, where there is one. `state_elsewhere`: their journal is in another database."""
        self.server = server
        self._root = root
        self._way = pooler or server
        self._state_elsewhere = state_elsewhere
        # A pooler keeps connections open that nobody uses.
        self._at_work = "AND state <> 'idle'" if pooler else ""
        # Behind one nobody can see that a client is gone.
        self.lease_outlives = LEASE_TTL if pooler else 0.0
        # The same server may be under others' feet: names that nobody else takes.
        self._prefix = f"run_{os.urandom(4).hex()}_"
        self._numbers = itertools.count(1)
        self._administrator: psycopg.Connection[tuple[Any, ...]] | None = None
        # What forks inherit must never be closed by them, so every connection stays referenced.
        self._old: list[psycopg.Connection[tuple[Any, ...]]] = []

    def project(self, history: History) -> Path:
        return write_project(self._root, history)

    def begin(self, history: History, folder: Path) -> Site:
        site = self._site(folder)
        self.administrate(f"CREATE DATABASE {site.name}")
        if self._state_elsewhere:
            self.administrate(f"CREATE DATABASE {site.name}_state")
        if history.before:
            self.ask(site, history.before)
        return site

    def copy(self, site: Site) -> Site:
        copy = self._site(site.folder)
        if self._at_work:
            self.administrate(
                f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{site.name}'"
            )
        for suffix in ("", "_state") if self._state_elsewhere else ("",):
            self.administrate(f"CREATE DATABASE {copy.name}{suffix} TEMPLATE {site.name}{suffix} STRATEGY file_copy")
        return copy

    def remove(self, site: Site) -> None:
        for suffix in ("", "_state"):
            self.administrate(f"DROP DATABASE IF EXISTS {site.name}{suffix} WITH (FORCE)")
        shutil.rmtree(backups_of(site), ignore_errors=True)

    def settle(self, site: Site) -> None:
        until = time.monotonic() + _PATIENCE
        while sessions := self.sessions(site):
            if time.monotonic() > until:
                raise TimeoutError(f"A session is still there: {sessions}")
            time.sleep(0.005)
        if self._way is not self.server:
            self._wait_for_pooler(site, until)

    def ask(self, site: Site, sql: str) -> Sequence[tuple[Any, ...]]:
        with self.connect(site) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def truth(self, site: Site) -> Truth:
        with self.connect(site) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            return postgresql_truth(lambda sql: connection.execute(sql.encode()).fetchall())

    def scratch(self, site: Site) -> Sequence[str]:
        return [
            row[0] for row in self.administrate("SELECT datname FROM pg_database WHERE datname ~ '^bascule_scratch_'")
        ]

    def close(self) -> None:
        for connection in self._old:
            connection.close()

    # What only a server can do

    @contextlib.contextmanager
    def connect(self, site: Site) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A session of the application."""
        connection = psycopg.connect(self.server.url(site.name), autocommit=True, application_name="campaign")
        try:
            yield connection
        finally:
            connection.close()

    def administrate(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL in the server's own database; once more where a stopped server ended the session."""
        try:
            return self._administrate(sql)
        except psycopg.OperationalError:
            self._administrator = None
            return self._administrate(sql)

    def sessions(self, site: Site) -> list[Session]:
        """Every session but the application's, the oldest first."""
        rows = self.administrate(
            "SELECT pid, state = 'active' AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep'), query "
            f"FROM pg_stat_activity WHERE datname = '{site.name}' AND application_name <> 'campaign' "
            f"AND backend_type = 'client backend' {self._at_work} ORDER BY backend_start"
        )
        return [Session(pid=pid, waits=bool(waits), statement=statement) for pid, waits, statement in rows]

    def _wait_for_pooler(self, site: Site, until: float) -> None:
        """For a while after a server was away a pooler turns everybody down."""
        while True:
            try:
                with psycopg.connect(self._way.url(site.name)) as connection:
                    connection.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise TimeoutError("The pooler does not let anybody in.") from None
                time.sleep(0.1)
            else:
                return

    def _administrate(self, sql: str) -> list[tuple[Any, ...]]:
        if self._administrator is None:
            self._administrator = psycopg.connect(self.server.url(), autocommit=True)
            self._old.append(self._administrator)
        cursor = self._administrator.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    def _site(self, folder: Path) -> Site:
        name = f"{self._prefix}{next(self._numbers)}"
        environment = {"DATABASE_URL": self._way.url(name), **_backups(folder, name), **RUNS}
        if self._way is not self.server:
            # They need pg_dump, which a pooler in transaction mode is no place for.
            environment["MIGRATION_BACKUP_ENABLED"] = "false"
        if self._state_elsewhere:
            environment["BASCULE_STATE_URL"] = self.server.url(f"{name}_state")
        return Site(name=name, folder=folder, environment=environment)
