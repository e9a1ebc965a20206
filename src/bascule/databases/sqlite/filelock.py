"""An exclusive lock on a file, freed by the kernel when its owner dies, on a file that SQLite has open as well.

The danger: closing *any* descriptor of a file drops all POSIX locks this process holds on it, SQLite's among them;
another process would then take the database for unused. So a descriptor made here is closed only once no connection
of this process has the file open (`Users`); until then it is kept for the next lock on that file. flock, which is
used here, is another kind of lock: it belongs to the descriptor and does not meet SQLite's.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

FileKey = tuple[int, int]
"""Device and inode."""


def file_key(status: os.stat_result) -> FileKey:
    """What tells a file from another of the same name."""
    return status.st_dev, status.st_ino


def key_of(path: Path) -> FileKey | None:
    """The file that has this name now; None when none has."""
    try:
        return file_key(path.stat())
    except FileNotFoundError:
        return None


class Users:
    """Counts the SQLite connections of this process to each file, and keeps descriptors open while there are any."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._connections: dict[FileKey, int] = {}
        self._idle: dict[FileKey, list[int]] = {}
        self._descriptors: set[int] = set()
        self._watches_forks = False

    def enter(self, key: FileKey) -> None:
        """A connection to the file is about to be used."""
        with self._guard:
            self._connections[key] = self._connections.get(key, 0) + 1

    def leave(self, key: FileKey) -> None:
        """A connection to the file has been closed."""
        with self._guard:
            self._connections[key] -= 1
            if self._connections[key] == 0:
                del self._connections[key]
                for descriptor in self._idle.pop(key, []):
                    self._close(descriptor)

    def descriptor(self, path: Path) -> tuple[int, FileKey]:
        """A descriptor of the file that nobody else in this process uses. Raises OSError where the file cannot be
        opened.
        """
        with self._guard:
            key = key_of(path)
            if key is not None and self._idle.get(key):
                return self._idle[key].pop(), key
            # flock asks for no right to write.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._descriptors.add(descriptor)
            if not self._watches_forks:
                # A forked child shares the lock, and would keep it after its parent died.
                os.register_at_fork(after_in_child=self._forget)
                self._watches_forks = True
            return descriptor, file_key(os.fstat(descriptor))

    def give_back(self, descriptor: int, key: FileKey) -> None:
        """The descriptor, unlocked, is no longer needed."""
        with self._guard:
            if key in self._connections:
                self._idle.setdefault(key, []).append(descriptor)
            else:
                self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._descriptors.discard(descriptor)
        os.close(descriptor)

    def _forget(self) -> None:
        self._guard = threading.Lock()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        self._idle.clear()


users = Users()
"""Of this process."""


class FileLock:
    """An exclusive flock on one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._key: FileKey | None = None
        self._pid = 0
        """Who took it: a forked child has the object, but no lock."""

    def take(self) -> bool:
        """Try once. False when another descriptor, of this or another process, has it. Raises OSError."""
        if self._descriptor is not None:
            return True
        descriptor, key = users.descriptor(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            users.give_back(descriptor, key)
            if isinstance(exc, BlockingIOError):
                return False
            raise
        if key_of(self._path) != key:
            # The file was replaced between opening and locking: what was locked is nobody's any more.
            users.give_back(descriptor, key)
            return False
        self._descriptor, self._key, self._pid = descriptor, key, os.getpid()
        return True

    def holds(self) -> bool:
        """We have it, and on the file that has the name now."""
        if self._descriptor is None or self._pid != os.getpid():
            return False
        return key_of(self._path) == self._key

    def give_back(self) -> None:
        """Unlock. Does nothing without the lock."""
        if self._descriptor is None or self._key is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if self._pid != os.getpid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        users.give_back(descriptor, self._key)


def is_locked(path: Path) -> bool:
    """Somebody has the lock. Looks by trying to share it for an instant; who takes it must try more than once.
    Raises OSError.
    """
    descriptor, key = users.descriptor(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
    finally:
        users.give_back(descriptor, key)
