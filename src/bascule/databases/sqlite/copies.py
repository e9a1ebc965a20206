"""Copies of a database beside it, for as long as they are needed.

They lie on the disk that the database is on, in a folder that only its owner may enter. What a killed process leaves is
known by nobody's holding its lock any more.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".bascule-copy-"


@contextmanager
def copy_beside(database: Path) -> Iterator[Path]:
    """The path of a file that is not there yet; it and its folder are gone at the end. Raises OSError."""
    folder = database.with_name(f".{database.name}{_SUFFIX}{secrets.token_hex(8)}")
    folder.mkdir(mode=0o700)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder / "copy.db"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sweep_copies(database: Path) -> list[str]:
    """Remove what dead processes have left; answers the names of the folders."""
    found = []
    for folder in sorted(database.parent.glob(f".{_escaped(database.name)}{_SUFFIX}*")):
        try:
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # just being made, or just being removed
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
            found.append(folder.name)
        finally:
            os.close(handle)
    return found


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
