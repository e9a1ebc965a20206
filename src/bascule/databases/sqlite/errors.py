"""The one door for SQLite's errors: every code, what it means for the work at hand, and what to do about it.

SQLite's names (``SQLITE_BUSY_SNAPSHOT``) begin with the name of their family (``SQLITE_BUSY``); the table is read by
family.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bascule.errors import BasculeError, Refused, TargetUnreachable
from bascule.ports.database import FailureKind, WorkFailed

SENDING_ERRORS = (sqlite3.Error, UnicodeEncodeError)
"""What sending a text may raise: the driver's errors, and Python's for a text that cannot be sent as UTF-8."""

_DISK = "Look at the free space, the quota and the file size limit of this process (ulimit -f)."
_FAMILIES: tuple[tuple[str, FailureKind, str, str], ...] = (
    # family, kind, what it means (empty: SQLite's own words say it), what to do
    ("SQLITE_BUSY", "lock_timeout", "Another connection holds the database's lock.", ""),
    ("SQLITE_PROTOCOL", "lock_timeout", "Another connection holds the database's lock.", ""),
    ("SQLITE_FULL", "full", "There is no space left for the database or its journal.", _DISK),
    ("SQLITE_IOERR", "error", "The operating system could not read or write the database file.", _DISK),
    ("SQLITE_INTERRUPT", "cancelled", "The statement was stopped on request.", ""),
    (
        "SQLITE_READONLY_DBMOVED",
        "error",
        "The database file was moved, replaced or deleted while it was open.",
        "Run again: the file that is there now will be opened.",
    ),
    (
        "SQLITE_READONLY",
        "error",
        "The database cannot be written.",
        "This process needs the right to write the file and its folder, and the file system must not be read-only.",
    ),
    (
        "SQLITE_CANTOPEN",
        "error",
        "SQLite could not open the database or the journal it needs beside it.",
        "This process needs the right to write the folder that holds the database.",
    ),
    (
        "SQLITE_PERM",
        "error",
        "The operating system denies access to the database file.",
        "Look at the file's owner and mode.",
    ),
    (
        "SQLITE_NOTADB",
        "error",
        "The file is not a SQLite database (or an encrypted one).",
        "Check the path. If it should be a database, restore it from a backup.",
    ),
    (
        "SQLITE_CORRUPT",
        "error",
        "The database file is damaged.",
        "Run PRAGMA integrity_check with the sqlite3 shell; restore it from a backup, or save what .recover can read.",
    ),
    ("SQLITE_NOMEM", "error", "There was not enough memory.", ""),
    ("SQLITE_CONSTRAINT_FOREIGNKEY", "error", "", "PRAGMA foreign_key_check lists the rows that point nowhere."),
    (
        "SQLITE_LOCKED",
        "error",
        "",
        "A statement of this same connection is still reading, or the script detaches a database it is using.",
    ),
)
_PLACEHOLDER = "A ? or :name outside quotes is a placeholder to SQLite; migrations have no values to put there."
_SYNTAX = re.compile(r'near "(.*)": syntax error', re.DOTALL)


def error_name(exc: BaseException) -> str:
    """SQLite's name of the error; empty where the driver itself refused."""
    return getattr(exc, "sqlite_errorname", None) or ""


def is_busy(exc: BaseException) -> bool:
    """Another connection was in the way; the same call may succeed later."""
    return error_name(exc).startswith(("SQLITE_BUSY", "SQLITE_PROTOCOL"))


def is_io_error(exc: BaseException) -> bool:
    """The operating system failed underneath SQLite."""
    return error_name(exc).startswith("SQLITE_IOERR")


def work_failed(
    exc: BaseException,
    *,
    path: Path,
    statement: int | None = None,
    text: str = "",
    blockers: Sequence[str] = (),
    detail: str = "",
) -> WorkFailed:
    """What the driver raised, as the ports know it. The caller raises it ``from exc``."""
    kind, meaning, hint = _read(exc, path)
    words = str(exc)
    return WorkFailed(
        kind,
        f"{meaning} SQLite says: {words}." if meaning else words,
        statement=statement,
        position=_position(words, text),
        sqlstate=error_name(exc),
        detail=detail,
        hint=hint,
        blockers=blockers,
    )


def refusal(exc: BaseException, *, path: Path, doing: str) -> BasculeError:
    """An error while Bascule wrote what it keeps itself. `doing` goes on after "Bascule could not"."""
    kind, meaning, hint = _read(exc, path)
    name = error_name(exc)
    message = f"Bascule could not {doing}: {meaning or ''} SQLite says: {exc}.".replace(":  ", ": ")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return TargetUnreachable(message, code="not_a_database", hint=hint)
    code = "disk_full" if kind == "full" else "refused"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        code = "read_only"
    return Refused(message, code=code, hint=hint, details={"path": str(path)})


def unreachable(exc: BaseException, *, path: Path) -> TargetUnreachable:
    """An error while opening or first reading the file."""
    _, meaning, hint = _read(exc, path)
    code = "not_a_database" if error_name(exc).startswith("SQLITE_NOTADB") else "unreachable"
    return TargetUnreachable(
        f"{path}: {meaning or exc}".rstrip(".") + ".", code=code, hint=hint, details={"path": str(path)}
    )


def _read(exc: BaseException, path: Path) -> tuple[FailureKind, str, str]:
    name = error_name(exc)
    if name.startswith("SQLITE_IOERR") and _no_room(path):
        # A write beyond a quota or a file size limit comes as an I/O error, not as "full".
        name = "SQLITE_FULL"
    for family, kind, meaning, hint in _FAMILIES:
        if name.startswith(family):
            return kind, meaning, hint
    if not name and "bindings" in str(exc):
        return "error", "", _PLACEHOLDER
    return "error", "", ""


def _no_room(path: Path) -> bool:
    import resource

    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        return True
    try:
        space = os.statvfs(path.parent)
    except OSError:
        return False  # the folder is gone: another kind of trouble
    return space.f_bavail * space.f_frsize < 1_000_000


def _position(words: str, text: str) -> int | None:
    """SQLite's driver gives no offset; the token it names is one where it stands in the statement only once."""
    found = _SYNTAX.fullmatch(words)
    if found is None or not found[1] or text.count(found[1]) != 1:
        return None
    return text.index(found[1])
