"""Backups in a folder: files of mode 0600 in folders of mode 0700.

Every step down from the root is taken by folder handle and without following symbolic links, so nobody who can write
in the folder can lead us out of it.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bascule.backups.naming import segments
from bascule.errors import MigrationFailed, Refused
from bascule.ports.backup_store import Sink, StoredObject

RESERVE = 64 << 20
"""Bytes that are never used up: the database may live on the same disk."""

_PARTIAL = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.partial")
_PIECE = 1 << 20
_LOOK_EVERY = 64 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalStore:
    """A `BackupStore` in a folder. It is made when the first object is written."""

    def __init__(self, root: str | Path, *, reserve: int = RESERVE) -> None:
        self._root = Path(os.path.realpath(os.path.expanduser(root)))
        self._reserve = reserve
        self.address = self._root.as_uri()

    @contextmanager
    def create(self, path: str) -> Generator[Sink, None, None]:
        *folders, name = segments(path)
        # Only our own errors are mapped: what the block raises is no trouble of the store's.
        with ExitStack() as stack:
            with self._mapped(path):
                folder = stack.enter_context(self._folder(folders, create=True))
                if _is_there(folder, name):
                    raise _exists(path)
                self._require_room(path)
                partial = stack.enter_context(_Partial(folder, name))
            yield _File(partial.handle, lambda: self._require_room(path), lambda exc: self._failed(exc, path))
            with self._mapped(path):
                partial.put_in_place(path)

    def read(self, path: str) -> Iterator[bytes]:
        *folders, name = segments(path)
        with self._mapped(path), self._folder(folders) as folder:
            # O_NONBLOCK: a pipe that somebody put here must not let us wait for ever.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            handle = os.open(name, flags, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise _missing(path)
        return self._pieces(handle, path)

    def size(self, path: str) -> int | None:
        *folders, name = segments(path)
        try:
            with self._mapped(path), self._folder(folders) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except Refused as exc:
            if exc.code == "backup_missing":
                return None
            raise
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        if prefix:
            segments(prefix)
        return [each for each in self._walk() if not prefix or f"{each.path}/".startswith(f"{prefix}/")]

    def delete(self, path: str) -> None:
        *folders, name = path.split("/")
        if not _PARTIAL.fullmatch(name):
            segments(path)
        elif folders:
            segments("/".join(folders))
        with self._mapped(path), suppress(FileNotFoundError), self._folder(folders) as folder:
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)
        self._remove_empty(folders)

    def leftovers(self) -> Sequence[StoredObject]:
        return [each for each in self._walk(partial=True) if self._writer_is_dead(each.path)]

    def free_bytes(self) -> int | None:
        place = self._root
        while not place.exists() and place != place.parent:
            place = place.parent
        found = os.statvfs(place)
        return max(0, found.f_bavail * found.f_frsize - self._reserve)

    def locate(self, given: str) -> str:
        named = given.removeprefix("file://") if given.startswith("file:///") else given
        outside = Refused(
            f"{given!r} is not inside the backup store {self._root}.",
            code="backup_path",
            hint="Name a backup by its id (`bascule backup list`) or by its folder in the store.",
        )
        if ".." in Path(named).parts or "\0" in named:
            raise outside
        beside = self._root / named
        place = beside if _lexists(beside) else Path.cwd() / Path(named).expanduser()
        real = Path(os.path.realpath(place))
        if real == self._root or not real.is_relative_to(self._root):
            raise outside
        path = real.relative_to(self._root).as_posix()
        segments(path)
        return path

    # --- writing -----------------------------------------------------------------------------------------------------

    def _require_room(self, path: str) -> None:
        if not self.free_bytes():
            raise _no_room(path, f"less than {self._reserve >> 20} MiB would be left on the disk of {self._root}")

    def _failed(self, exc: OSError, path: str) -> MigrationFailed | Refused:
        match exc.errno:
            case number if number in _NO_ROOM:
                return _no_room(path, f"{self._root}: {exc.strerror}")
            case errno.ENOENT | errno.ENOTDIR | errno.ELOOP:
                return _missing(path)
            case _:
                return MigrationFailed(
                    f"The backup store {self._root} does not take or give {path}: {exc.strerror}.",
                    code="backup_store",
                    hint="Check the folder, its owner and its disk.",
                )

    @contextmanager
    def _mapped(self, path: str) -> Generator[None, None, None]:
        try:
            yield
        except OSError as exc:
            raise self._failed(exc, path) from exc

    # --- folders -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _folder(self, names: Sequence[str], *, create: bool = False) -> Generator[int, None, None]:
        """A handle of the folder."""
        if create:
            _make_root(self._root)
        handle = os.open(self._root, _FOLDER)
        try:
            for name in names:
                if create:
                    _make_folder(name, handle)
                below = os.open(name, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def _walk(self, *, partial: bool = False) -> builtins.list[StoredObject]:
        """The objects, or what began to be one. Symbolic links are neither."""
        found = []
        for folder, names, files in os.walk(self._root, followlinks=False):
            names[:] = [name for name in names if not name.startswith(".")]
            for name in files:
                if bool(_PARTIAL.fullmatch(name)) != partial or (not partial and name.startswith(".")):
                    continue
                place = Path(folder, name)
                with suppress(FileNotFoundError):
                    seen = place.lstat()
                    if stat.S_ISREG(seen.st_mode):
                        path = place.relative_to(self._root).as_posix()
                        modified = datetime.fromtimestamp(seen.st_mtime, UTC)
                        found.append(StoredObject(path=path, size=seen.st_size, modified=modified))
        return sorted(found, key=lambda each: each.path)

    def _writer_is_dead(self, path: str) -> bool:
        *folders, name = path.split("/")
        try:
            with self._folder(folders) as folder:
                handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    def _remove_empty(self, folders: Sequence[str]) -> None:
        for depth in range(len(folders), 0, -1):
            try:
                with self._folder(folders[: depth - 1]) as above:
                    os.rmdir(folders[depth - 1], dir_fd=above)
            except OSError:
                # Not empty, or gone: both are as they should be.
                return

    def _pieces(self, handle: int, path: str) -> Iterator[bytes]:
        with open(handle, "rb", buffering=0) as file, self._mapped(path):
            while piece := file.read(_PIECE):
                yield piece


class _Partial:
    """The file under its temporary name; nothing of that name is left when the block ends."""

    def __init__(self, folder: int, name: str) -> None:
        self._folder, self._name = folder, name
        self._partial = f".{name}.{secrets.token_hex(8)}.partial"

    def __enter__(self) -> _Partial:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.handle = os.open(self._partial, flags, 0o600, dir_fd=self._folder)
        # The kernel lets go of the lock when we die, however that happens: `leftovers` asks for it.
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        return self

    def put_in_place(self, path: str) -> None:
        os.fsync(self.handle)
        _put_in_place(self._folder, self._partial, self._name, path)
        os.fsync(self._folder)

    def __exit__(self, *_: object) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._partial, dir_fd=self._folder)
        os.close(self.handle)


class _File:
    """A `Sink` that looks now and then how much room is left."""

    def __init__(self, handle: int, look: Callable[[], None], failed: Callable[[OSError], Exception]) -> None:
        self._handle, self._look, self._failed = handle, look, failed
        self._until_look = _LOOK_EVERY

    def write(self, data: bytes, /) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as exc:
            raise self._failed(exc) from exc
        self._until_look -= len(data)
        if self._until_look <= 0:
            self._look()
            self._until_look = _LOOK_EVERY


def _put_in_place(folder: int, partial: str, name: str, path: str) -> None:
    """Give the finished file its name, never over another one."""
    try:
        # A rename would replace what another writer has put there meanwhile; a link fails.
        os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        _rename(folder, partial, name, path)


def _rename(folder: int, partial: str, name: str, path: str) -> None:
    """For file systems without hard links: whoever makes the empty file may replace it."""
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
    except FileExistsError:
        raise _exists(path) from None
    os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)


def _make_root(root: Path) -> None:
    for place in [*reversed(root.parents), root]:
        if not place.is_dir():
            place.mkdir(mode=0o700, exist_ok=True)
            _sync(place.parent)


def _sync(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folder(name: str, above: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        return
    os.fsync(above)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _lexists(place: Path) -> bool:
    try:
        return os.path.lexists(place)
    except ValueError:
        return False


def _exists(path: str) -> Refused:
    return Refused(
        f"{path} is in the backup store already, and nothing there is ever overwritten.",
        code="backup_exists",
        hint="Take the backup again: it gets a name of its own.",
    )


def _missing(path: str) -> Refused:
    return Refused(
        f"{path} is not in the backup store.",
        code="backup_missing",
        hint="`bascule backup list` shows the backups; this one is incomplete or gone.",
    )


def _no_room(path: str, why: str) -> MigrationFailed:
    return MigrationFailed(
        f"There is not enough room to store {path} ({why}). Nothing of it was kept.",
        code="backup_no_room",
        hint="Make room, let `bascule backup prune` remove old backups, or keep them elsewhere.",
    )
