"""One table of a dump, or a range of it: its rows into a stream of the store, and their digest.

Rows are copied as text. Binary is no faster (the server spends the same, the client compresses a fifth more bytes), it
is tied to the types' internal forms, some types have none, and psql could not read it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bascule.backups.encryption import Encryption
from bascule.backups.pipeline import store_stream
from bascule.databases.postgres.dump_catalog import Column, Table
from bascule.errors import MigrationFailed
from bascule.ports.backup_store import BackupStore

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

WORTH_PSQL = 8 << 20
"""Bytes of a table from which on starting psql is worth it: in Python every row costs as much as two in the server."""

SETTINGS: Mapping[str, str] = {
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",
    "extra_float_digits": "3",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "timezone": "UTC",
    "xmloption": "content",
    "client_min_messages": "warning",
    "synchronize_seqscans": "off",
}
"""What makes values look the same wherever they are printed, and lets no row be left out in silence."""

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one stream holds."""

    name: str
    path: str
    table: Table
    part: int
    first: int = 0
    """Block of the table that the range begins with."""
    end: int | None = None
    """The block it ends before; None: to the end of the table, also where that grows."""
    size: int
    """Bytes, about."""
    digest: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Task:
        """The inverse of `as_dict`."""
        table = values["table"]
        columns = tuple(Column(**column) for column in table["columns"])
        table = {**table, "columns": columns, "parents": tuple(table["parents"]), "key": tuple(table["key"])}
        return Task(**{**values, "table": Table(**table)})

    @property
    def where(self) -> str:
        """The range as a condition; empty for the whole table."""
        bounds = [f"ctid >= '({self.first},0)'::pg_catalog.tid"] if self.first else []
        bounds += [f"ctid < '({self.end},0)'::pg_catalog.tid"] if self.end is not None else []
        return f" WHERE {' AND '.join(bounds)}" if bounds else ""

    @property
    def copy_sql(self) -> str:
        """The statement that answers the rows."""
        return copy_out(self.table, self.table.name, where=self.where)


def copy_out(table: Table, name: str, *, where: str = "") -> str:
    """The statement that answers the rows of the table under that name."""
    columns = ", ".join(column.quoted for column in table.columns)
    if where:
        return f"COPY (SELECT {columns} FROM ONLY {name}{where}) TO STDOUT"
    return f"COPY {name}{f' ({columns})' if columns else ''} TO STDOUT"


def settings_sql() -> str:
    """The settings, for one transaction."""
    return ";".join(f"SET LOCAL {name} = '{value}'" for name, value in SETTINGS.items())


def begin_in_snapshot(connection: Connection, snapshot: str) -> None:
    """A transaction that sees what the one that exported the snapshot sees. Raises psycopg.Error."""
    connection.execute(
        f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'; {settings_sql()}"
    )


def run_task(
    task: Task,
    *,
    store: BackupStore,
    encryption: Encryption | None,
    level: int,
    connection: Callable[[], Connection],
    psql: tuple[str, Mapping[str, str], str] | None,
) -> dict[str, Any]:
    """Do it, and answer what becomes of it in the manifest. `connection` is in the snapshot; `psql`: the program, its
    environment, the snapshot. Raises what storing raises, and `MigrationFailed` (``dump_failed``).
    """
    counted = _Counting(_from_psql(task, *psql) if psql and task.size >= WORTH_PSQL else _from_driver(task, connection))
    stored = store_stream(store, task.path, counted, encryption=encryption, level=level, threads=0)
    answer: dict[str, Any] = {**asdict(stored), "name": task.name, "rows": counted.rows}
    if task.digest:
        from bascule.databases.postgres.digests import read_digest

        digest = read_digest(connection(), task.table, where=task.where)
        if digest.rows != counted.rows:
            raise MigrationFailed(
                f"{task.table.name} has {digest.rows} rows in the snapshot, and {counted.rows} came out of it.",
                code="dump_failed",
                hint="Nothing was changed. An index or the table may be damaged: look at it with amcheck.",
            )
        answer["digest"] = dict(digest.columns)
    return answer


class _Counting:
    """The pieces, and the rows in them: in COPY's text every row ends in a line feed, and no value holds one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.rows = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.rows += piece.count(b"\n")
            yield piece


def _from_driver(task: Task, connection: Callable[[], Connection]) -> Iterator[bytes]:
    yield from copied_by_driver(connection(), task.copy_sql, table=task.table.name)


def copied_by_driver(connection: Connection, copy: str, *, table: str) -> Iterator[bytes]:
    """What COPY answers, in pieces. Raises `MigrationFailed` (``dump_failed``)."""
    import psycopg

    try:
        with connection.cursor() as cursor, cursor.copy(copy) as rows:
            gathered, size = [], 0
            for row in rows:
                gathered.append(bytes(row))
                size += len(row)
                if size >= _PIECE >> 2:
                    yield b"".join(gathered)
                    gathered, size = [], 0
            yield b"".join(gathered)
    except psycopg.Error as exc:
        raise _failed(table, str(exc)) from exc


def _from_psql(task: Task, program: str, environment: Mapping[str, str], snapshot: str) -> Iterator[bytes]:
    yield from copied_by_psql(
        program, environment, task.copy_sql, table=task.table.name, begin=f"SET TRANSACTION SNAPSHOT '{snapshot}'"
    )


def copied_by_psql(
    program: str, environment: Mapping[str, str], copy: str, *, table: str, begin: str = ""
) -> Iterator[bytes]:
    """What COPY answers, in pieces; `begin` is run first. Raises `MigrationFailed` (``dump_failed``)."""
    statements = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", *([begin] if begin else []), settings_sql(), copy)
    command = [program, "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1"]
    for statement in statements:
        command += ["-c", statement]
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, bufsize=0
        )
        assert process.stdout is not None, "asked for"
        _widen(process.stdout.fileno())
        try:
            while piece := process.stdout.read(_PIECE):
                yield piece
        finally:
            process.stdout.close()
            if process.poll() is None and _ended_early(process):
                process.kill()
            process.wait()
        if process.returncode:
            words.seek(0)
            raise _failed(table, words.read(4000).decode(errors="replace"))


def _ended_early(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        return True
    return False


def _widen(pipe: int) -> None:
    """A pipe holds 64 KiB, which is a switch between two programs every 500 rows."""
    import fcntl
    from contextlib import suppress

    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if set_size is not None:
        with suppress(OSError):
            fcntl.fcntl(pipe, set_size, _PIECE)


def _failed(table: str, words: str) -> MigrationFailed:
    return MigrationFailed(
        f"The rows of {table} could not be read: {' '.join(words.split())}.",
        code="dump_failed",
        hint="Nothing was changed. Look at the server's words; the role needs SELECT on every table of the backup, and "
        "no row security that hides rows from it.",
    )
