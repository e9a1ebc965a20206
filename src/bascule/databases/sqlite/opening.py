"""Opening a database file, and saying what is wrong with it where that fails."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

from bascule.databases.sqlite.errors import is_busy, unreachable
from bascule.databases.sqlite.location import Location, sqlite_uri
from bascule.errors import Refused, TargetUnreachable

OLDEST = (3, 35, 0)
"""The first with RETURNING and ALTER TABLE … DROP COLUMN, which migrations rely on."""

_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ncpfs",
    "afs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
}


def require_version() -> None:
    """Raises `TargetUnreachable` when Python's SQLite is too old."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise TargetUnreachable(
            f"Python's SQLite is {sqlite3.sqlite_version}; Bascule needs {'.'.join(map(str, OLDEST[:2]))} or newer.",
            code="sqlite_too_old",
            hint="Use a Python that was built with a newer SQLite.",
        )


def open_database(
    location: Location, *, read_only: bool, wait: float, on_progress: Callable[[], int] | None, every: int
) -> sqlite3.Connection | None:
    """A connection to the file; None when there is none. Creates nothing.

    `wait`: seconds for one try at a lock. `on_progress` is asked every `every` of SQLite's steps whether to go on.

    Raises:
        TargetUnreachable: the path is no readable SQLite database, or its folder is not there.
        sqlite3.OperationalError: another connection has the database locked (see `is_busy`).
    """
    if not _is_there(location.path):
        return None
    # "rw" where reading would do: what a crashed writer left must be rolled back before anything can be read. SQLite
    # opens for reading by itself when the file may not be written. Neither ever creates the file.
    connection = connect(location.path, mode="rw", wait=wait)
    try:
        connection.execute("SELECT count(*) FROM main.sqlite_master").fetchone()
        if read_only:
            connection.execute("PRAGMA query_only = 1")
        if location.foreign_keys is not None:
            connection.execute(f"PRAGMA foreign_keys = {int(location.foreign_keys)}")
    except sqlite3.Error as exc:
        connection.close()
        if is_busy(exc):
            raise
        raise unreachable(exc, path=location.path) from exc
    connection.set_progress_handler(on_progress, every)
    return connection


def connect(path: Path, *, mode: str, wait: float) -> sqlite3.Connection:
    """A connection that leaves transactions to us. Raises `TargetUnreachable`."""
    try:
        # Any one thread at a time may use it: SQLite is built for that, and the target's protocol asks for it.
        return sqlite3.connect(
            sqlite_uri(path, mode), uri=True, timeout=wait, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as exc:
        raise unreachable(exc, path=path) from exc


def create_file(path: Path, *, like: os.stat_result | None = None) -> None:
    """An empty file, which is an empty database, for its owner alone. Does nothing when it is there.

    `like`: whose owner it gets where we are root, as SQLite does with the journals it makes.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        if like is not None and os.geteuid() == 0:
            os.fchown(descriptor, like.st_uid, like.st_gid)
    finally:
        # Just made by us, so SQLite cannot have locks on it that this would drop.
        os.close(descriptor)
    _make_lasting(path.parent)


def refuse_unwritable(location: Location, *, read_only: bool) -> None:
    """Say in advance why nothing can be written. Looks, writes nothing.

    Raises:
        Refused: codes ``read_only`` and ``network_filesystem``.
    """
    path, folder = location.path, location.path.parent
    if read_only:
        raise _read_only(f"{path} was opened for reading only.", "Take the read-only setting out of the address.")
    network = network_filesystem(path)
    if network:
        raise Refused(
            f"{path} is on a network file system ({network}), where SQLite's locks do not hold.",
            code="network_filesystem",
            hint="Migrate the database on the machine whose disk it is on.",
        )
    if path.exists() and not allows(path, os.W_OK):
        raise _read_only(
            f"{path} cannot be written by this process.", "Look at its owner and mode, and at the file system's."
        )
    if not allows(folder, os.W_OK | os.X_OK):
        raise _read_only(
            f"The folder {folder} cannot be written by this process.",
            "SQLite makes its journal there, and Bascule its sidecar. Look at the folder's owner and mode, and at the "
            "file system's.",
        )


def network_filesystem(path: Path, *, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The type of the network file system the path is on; None when it is on another, or the system does not tell."""
    kind = filesystem(path, mounts=mounts)
    return kind if kind in _NETWORK else None


def filesystem(path: Path, *, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The type of the file system the path is on; None when the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = "", None
    for line in lines:
        _, point, type_, *_ = line.split(" ")
        # A space in a mount point is written \040.
        point = point.replace("\\040", " ")
        if len(point) >= len(best) and (point == "/" or str(path) == point or str(path).startswith(point + "/")):
            best, kind = point, type_
    return kind


def _is_there(path: Path) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        _require_folder(path)
        return False
    except NotADirectoryError as exc:
        raise _wrong(path, "a part of this path is a file, not a folder") from exc
    except OSError as exc:
        raise _wrong(path, (exc.strerror or str(exc)).lower()) from exc
    if stat.S_ISDIR(status.st_mode):
        raise _wrong(path, "this is a folder, not a database file")
    if not stat.S_ISREG(status.st_mode):
        raise _wrong(path, "this is not a regular file")
    if not allows(path, os.R_OK):
        raise _wrong(path, "this process may not read the file", hint="Look at its owner and mode.")
    return True


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise _wrong(path, f"there is no folder {path.parent}", hint="Create the folder, or correct the path.")


def allows(path: Path, mode: int) -> bool:
    """Whether this process may: `mode` as of os.access, but asked for the user it acts as."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _make_lasting(folder: Path) -> None:
    """The new name must survive a power loss, not only the file's contents."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _wrong(path: Path, what: str, *, hint: str = "Check the path.") -> TargetUnreachable:
    return TargetUnreachable(f"{path}: {what}.", hint=hint, details={"path": str(path)})


def _read_only(message: str, hint: str) -> Refused:
    return Refused(message, code="read_only", hint=hint)
