"""Working copies of a database, for as long as they are needed.

They lie on the disk that the database is on, in a folder that only its owner may enter. Where backups are encrypted
they are kept in memory instead, in a file system that the system has for that, so that nothing unencrypted comes to lie
on a disk; where none has room, that is refused. What a restore puts back comes to lie on the database's disk anyway, so
that its copy may lie there where it has no room elsewhere. What a killed process leaves is known by nobody's holding
its lock any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bascule.databases.sqlite.opening import filesystem
from bascule.errors import Refused

_SUFFIX = ".bascule-copy-"
_MEMORY = Path("/dev/shm")
_SPARE = 64 << 20


@contextmanager
def copy_beside(database: Path, *, hidden: int | None = None, only: bool = True) -> Iterator[Path]:
    """The path of a file that is not there yet; it and its folder are gone at the end. Raises OSError, `Refused`.

    `hidden`: it must not come to lie on a disk, and this is how many bytes it will take. `only`: rather not at all.
    """
    folder, handle = _made(database, _place(database, hidden, only=only))
    try:
        yield folder / "copy.db"
    finally:
        _remove(folder)
        os.close(handle)


def sweep_copies(database: Path) -> list[str]:
    """Remove what dead processes have left; answers the names of the folders."""
    found = []
    beside = database.parent.glob(f".{_escaped(database.name)}{_SUFFIX}*")
    hidden = (each for memory in _memories() for each in memory.glob(f"{_hidden_name(database)}{_SUFFIX}*"))
    for folder in sorted({*beside, *hidden}):
        try:
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            continue  # somebody else's
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


def is_in_memory(path: Path) -> bool:
    """The copy lies on no disk."""
    return any(path.is_relative_to(memory) for memory in _memories())


def _place(database: Path, hidden: int | None, *, only: bool = True) -> Path:
    """How the folder's path begins. Raises `Refused` (``no_room_in_memory``)."""
    beside = database.with_name(f".{database.name}")
    if hidden is None:
        return beside
    for memory in _memories():
        if _has_room(memory, hidden):
            return memory / _hidden_name(database)
    if only:
        need = (2 * hidden + _SPARE) >> 20
        raise Refused(
            f"Backups are encrypted, so that the working copy of {database.name} may not lie on a disk; and in memory "
            f"there is no room for the {need} MiB that it needs ({', '.join(map(str, _memories()))}).",
            code="no_room_in_memory",
            hint="Nothing was written. Give that file system more room (mount -o remount,size=… /dev/shm, or "
            "docker run --shm-size), or work where there is more memory; of a few tables a backup takes less.",
        )
    return beside


def _memories() -> list[Path]:
    """Where files lie in memory, if the system has such a place."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    return [_MEMORY, *([Path(own)] if own and Path(own).is_absolute() else [])]


def _hidden_name(database: Path) -> str:
    return f".{hashlib.sha256(os.fsencode(database.resolve())).hexdigest()[:16]}"


def _has_room(memory: Path, size: int) -> bool:
    """There, for the copy, its journal, and whatever else runs here."""
    try:
        if filesystem(memory) != "tmpfs" or not os.access(memory, os.W_OK | os.X_OK):
            return False
        room = os.statvfs(memory)
        free = min(room.f_bavail * room.f_frsize, _available())
    except (OSError, ValueError):
        return False
    return 2 * size + _SPARE < free


def _available() -> int:
    """Bytes of memory that may be taken before the system begins to swap."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) << 10
    return 0


def _made(database: Path, place: Path) -> tuple[Path, int]:
    """A folder, and the handle that locks it."""
    while True:
        folder = Path(f"{place}{_SUFFIX}{secrets.token_hex(8)}")
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
