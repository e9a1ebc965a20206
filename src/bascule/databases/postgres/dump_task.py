"""One table of a dump, a range of it, or several small ones: rows into a stream of the store, and their digests.

Rows are copied as text. Binary is no faster (the server spends the same, the client compresses a fifth more bytes), it
is tied to the types' internal forms, some types have none, and psql could not read it.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bascule.backups.encryption import Encryption
from bascule.backups.pipeline import store_stream
from bascule.databases.postgres.copies import copied_out
from bascule.databases.postgres.dump_catalog import Column, Table, locks_given_back
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
class Range:
    """A table, or some of its blocks."""

    table: Table
    part: int = 0
    first: int = 0
    """Block of the table that the range begins with."""
    end: int | None = None
    """The block it ends before; None: to the end of the table, also where that grows."""

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Range:
        """The inverse of `asdict`."""
        table = values["table"]
        columns = tuple(Column(**column) for column in table["columns"])
        table = {**table, "columns": columns, "parents": tuple(table["parents"]), "key": tuple(table["key"])}
        return Range(**{**values, "table": Table(**table)})

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one stream holds: a range, or several tables as wholes."""

    name: str
    path: str
    ranges: tuple[Range, ...]
    size: int
    """Bytes, about."""
    digest: bool

    @property
    def is_bundle(self) -> bool:
        """It holds several tables."""
        return len(self.ranges) > 1

    @property
    def words(self) -> str:
        """What it holds, for people."""
        first = self.ranges[0].table.name
        return f"{first} and {len(self.ranges) - 1} more" if self.is_bundle else first

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Task:
        """The inverse of `as_dict`."""
        return Task(**{**values, "ranges": tuple(Range.from_dict(each) for each in values["ranges"])})


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
    counted = [_Counted() for _ in task.ranges]
    pieces = _together(task, connection, counted) if task.is_bundle else _alone(task, connection, psql, counted[0])
    stored = store_stream(store, task.path, pieces, encryption=encryption, level=level, threads=0)
    answers = [each.answer() for each in counted]
    if task.digest:
        _digest(connection(), task, answers)
    return {**asdict(stored), "name": task.name, "ranges": answers}


class _Counted:
    """What is known of the rows that went by."""

    def __init__(self) -> None:
        self._hash: Any = None
        self._rows = self._size = 0

    def count(self, piece: bytes) -> None:
        """In COPY's text every row ends in a line feed, and no value holds one."""
        self._rows += piece.count(b"\n")

    def hash(self, piece: bytes) -> None:
        """For a table of a bundle: a stream's own is computed where it is stored."""
        self._hash = self._hash or hashlib.sha256()
        self._hash.update(piece)
        self._size += len(piece)

    def answer(self) -> dict[str, Any]:
        """JSON-able."""
        digest = (self._hash or hashlib.sha256()).hexdigest()
        return {"rows": self._rows, "plain_bytes": self._size, "plain_sha256": digest}


def _together(task: Task, connection: Callable[[], Connection], counted: Sequence[_Counted]) -> Iterator[bytes]:
    import psycopg

    number = 0
    try:
        with locks_given_back(connection()):
            for number, piece in copied_out(connection(), [each.copy_sql for each in task.ranges]):
                counted[number].count(piece)
                counted[number].hash(piece)
                yield piece
    except psycopg.Error as exc:
        raise _failed(_after(task, number), str(exc)) from exc


def _after(task: Task, number: int) -> str:
    """Which table it was the server says in its own words, for most errors; it was not one before this one."""
    return task.ranges[number].table.name + (" or of a table after it" if number + 1 < len(task.ranges) else "")


def _alone(
    task: Task,
    connection: Callable[[], Connection],
    psql: tuple[str, Mapping[str, str], str] | None,
    counted: _Counted,
) -> Iterator[bytes]:
    (one,) = task.ranges
    if psql and task.size >= WORTH_PSQL:
        pieces = _from_psql(one, *psql)
    else:
        pieces = copied_by_driver(connection(), one.copy_sql, table=one.table.name)
    for piece in pieces:
        counted.count(piece)
        yield piece


def _digest(connection: Connection, task: Task, answers: Sequence[dict[str, Any]]) -> None:
    from bascule.databases.postgres.digests import read_digests

    digests = read_digests(connection, [(each.table, each.where) for each in task.ranges])
    for each, answer, digest in zip(task.ranges, answers, digests, strict=True):
        if digest.rows != answer["rows"]:
            raise MigrationFailed(
                f"{each.table.name} has {digest.rows} rows in the snapshot, and {answer['rows']} came out of it.",
                code="dump_failed",
                hint="Nothing was changed. An index or the table may be damaged: look at it with amcheck.",
            )
        answer["digest"] = dict(digest.columns)


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


def _from_psql(one: Range, program: str, environment: Mapping[str, str], snapshot: str) -> Iterator[bytes]:
    yield from copied_by_psql(
        program, environment, one.copy_sql, table=one.table.name, begin=f"SET TRANSACTION SNAPSHOT '{snapshot}'"
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
