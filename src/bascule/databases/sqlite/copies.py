"""Copies of a database beside it, for as long as they are needed.

They lie on the disk that the database is on, in a folder that only its owner may enter. What a killed process leaves is
known by nobody's holding its lock any more.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SUFFIX = ".bascule-copy-"


@contextmanager
def copy_beside(database: Path) -> Iterator[Path]:
    """The path of a file that is not there yet; it and its folder are gone at the end. Raises OSError."""
    folder, handle = _made(database)
    try:
        yield folder / "copy.db"
    finally:
        _remove(folder)
        os.close(handle)


def sweep_copies(database: Path) -> list[str]:
    """Remove what dead processes have left; answers the names of the folders."""
    found = []
    for folder in sorted(database.parent.glob(f".{_escaped(database.name)}{_SUFFIX}*")):
        try:
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # The lock is made first and goes last, so there is nothing in it; a maker that misses it makes another one.
            with suppress(OSError):
                folder.rmdir()
                found.append(folder.name)
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            _remove(folder)
            found.append(folder.name)
        finally:
            os.close(handle)
    return found


def _made(database: Path) -> tuple[Path, int]:
    """A folder, and the handle that locks it."""
    while True:
        folder = database.with_name(f".{database.name}{_SUFFIX}{secrets.token_hex(8)}")
        folder.mkdir(mode=0o700)
        try:
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # swept before it had its lock
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return folder, handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # swept before the lock was held


def _remove(folder: Path) -> None:
    """Its lock goes last: killed in between, the rest is still known to be nobody's."""
    with suppress(OSError):
        for each in folder.iterdir():
            if each.name != "lock":
                each.unlink(missing_ok=True)
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
