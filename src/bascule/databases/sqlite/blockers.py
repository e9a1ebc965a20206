"""Who stands in the way of a lock, in words. Looked at only after a wait has failed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_PROC = Path("/proc")
# The bytes SQLite locks. In the database file itself: pending, reserved, and the range all readers share.
_PENDING, _RESERVED = 0x40000000, 0x40000001
# In the -shm file of a database in WAL mode: the writer's, the checkpointer's and the recoverer's byte.
_WAL_BYTES = range(120, 123)
_PLAIN_ARGUMENT = re.compile(r"[\w./-]+")


def who_locks(path: Path) -> tuple[str, ...]:
    """The processes that keep others from writing (or, where nobody writes, from ending a write) to a database.

    The kernel's list of locks is asked first; where it names nobody (other systems, other containers), whoever has
    the file open. Empty where neither is to be known.
    """
    pids = _lock_holders(path) or openers(path)
    own = os.getpid()
    others = [pid for pid in pids if pid != own]
    if not others and own in pids:
        return (f"another connection of this same process (pid {own})",)
    return tuple(in_words(pid) for pid in others)


def in_words(pid: int) -> str:
    """A process for people. Only its program and a plain first argument are shown: the others may hold secrets."""
    folder = _PROC / str(pid)
    try:
        arguments = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        owner = folder.stat().st_uid
    except OSError:
        return f"pid {pid}"
    program = arguments[0].rpartition("/")[2] or "?"
    if len(arguments) > 1 and not arguments[1].startswith("-") and _PLAIN_ARGUMENT.fullmatch(arguments[1]):
        program += f" {arguments[1]}"
    frozen = ", stopped by a signal" if is_stopped(pid) else ""
    return f"pid {pid} ({program}, user {_user(owner)}{frozen})"


def is_stopped(pid: int) -> bool:
    """Frozen by SIGSTOP or a debugger: it keeps its locks and does nothing."""
    return (_stat(pid) or ["?"])[0] in ("T", "t")


def started(pid: int) -> str:
    """When the process began, in the kernel's ticks; with the pid it names a process for good. Empty where unknown."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name stands in parentheses and may itself hold any characters.
    return text.rpartition(")")[2].split()


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _lock_holders(path: Path) -> list[int]:
    try:
        lines = (_PROC / "locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    database, shared_memory = _inode(path), _inode(path.with_name(path.name + "-shm"))
    writers: list[int] = []
    readers: list[int] = []
    for mode, pid, inode, first in _posix_locks(lines):
        if inode is None or inode not in (database, shared_memory):
            continue
        if inode == shared_memory:
            if mode == "WRITE" and first in _WAL_BYTES:
                writers.append(pid)
        elif mode == "WRITE" and first in (_PENDING, _RESERVED):
            writers.append(pid)
        else:
            readers.append(pid)
    own = os.getpid()
    # At the end of a transaction the writer is this process itself, and readers are what it waits for.
    if any(pid != own for pid in writers):
        return _distinct(writers)
    return _distinct(readers + writers)


def _posix_locks(lines: Iterable[str]) -> Iterator[tuple[str, int, int | None, int]]:
    for line in lines:
        # 2: POSIX  ADVISORY  WRITE 14542 fe:00:2180514 1073741825 1073741825
        fields = line.split()
        if len(fields) == 8 and fields[1] == "POSIX" and int(fields[4]) > 0:
            yield fields[3], int(fields[4]), int(fields[5].rpartition(":")[2]), int(fields[6])


def openers(path: Path) -> list[int]:
    """Other processes that have the file open, as far as this one may see."""
    names = {str(path), f"{path}-wal"}
    found = []
    try:
        folders = [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]
    except OSError:
        return []
    for pid in folders:
        try:
            with os.scandir(f"/proc/{pid}/fd") as entries:
                if any(os.readlink(entry.path) in names for entry in entries):
                    found.append(pid)
        except OSError:
            continue  # another user's, or ended just now
    own = os.getpid()
    return [pid for pid in found if pid != own]


def times_open_here(path: Path) -> int:
    """How often this process itself has the file open; 0 where the system does not tell."""
    try:
        with os.scandir("/proc/self/fd") as entries:
            return sum(_link(entry.path) == str(path) for entry in entries)
    except OSError:
        return 0


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _distinct(pids: list[int]) -> list[int]:
    return list(dict.fromkeys(pids))
