"""Hashes of files that were hashed before, so that a look at a long history reads only what changed.

One file per migrations folder in the user's cache folder (``$XDG_CACHE_HOME/bascule`` or ``~/.cache/bascule``, rights
0700). A hash is taken from it only while size, modification time, change time and inode of the file are what they were.
It is an aid and never a source of errors: damaged, foreign, missing or not writable, everything is hashed again.
Whoever relies on a hash to change a database hashes the file itself (`Source.fingerprint`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable

from bascule.domain.migration import MigrationRef
from bascule.errors import SourceError
from bascule.sources.reading import digest, digest_of

_HEADER = b"bascule-fingerprints 1\n"

# A file can change twice within one tick of its clock; one changed so recently is not remembered (file systems with
# the coarsest clocks count in two seconds).
_SETTLED_NS = 2_000_000_000


class FingerprintCache:
    """What is remembered of one migrations folder."""

    def __init__(self, folder: str, *, home: str | None = None) -> None:
        """`folder`: the migrations folder, as its refs name it. `home`: the cache folder, the user's by default."""
        real = os.path.realpath(folder)
        self.home = home or cache_home()
        self._prefix = folder.rstrip("/") + "/"
        self.path = f"{self.home}/{digest(os.fsencode(real))[:40]}"
        self._known = _load(self.path)
        self._fresh: dict[str, str] = {}
        self._changed = False

    def fingerprint(self, path: str) -> str:
        """SHA-256 (hex) over a file's bytes, remembered or taken now. Raises `SourceError`."""
        try:
            state = os.stat(path)
        except (OSError, ValueError) as exc:
            raise SourceError(
                f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}.",
                code="unreadable",
                hint="Check that the file is there and that this user may read it.",
                details={"path": path},
            ) from exc
        look = f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino} "
        name = path.removeprefix(self._prefix)
        known = self._known.get(name)
        if known is not None and known.startswith(look):
            self._fresh[name] = known
            return known[len(look) :]
        taken = digest_of(path)
        if time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) > _SETTLED_NS:
            self._fresh[name] = look + taken
            self._changed = True
        return taken

    def save(self) -> None:
        """Write what was learnt, if anything was. Whole or not at all; where it cannot be written, nothing happens."""
        if not self._changed:
            return
        # Another target may have other files applied, so what was not asked for stays, until most of it is of no use.
        kept = self._fresh if len(self._known) > 2 * len(self._fresh) + 100 else self._known | self._fresh
        body = "".join(f"{line}\t{name}\n" for name, line in kept.items() if name.isprintable())
        data = _HEADER + body.encode("utf-8", errors="surrogateescape")
        temporary = f"{self.path}.{os.getpid()}"
        try:
            os.makedirs(self.home, mode=0o700, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data + digest(data).encode("ascii") + b"\n")
            os.replace(temporary, self.path)
        except OSError:
            _discard(temporary)


def fingerprints_cached(refs: Iterable[MigrationRef], cache: FingerprintCache) -> dict[str, str]:
    """The fingerprint of each migration by name; only files that changed are read. Raises `SourceError`."""
    answer = {ref.name: cache.fingerprint(ref.path) for ref in refs}
    cache.save()
    return answer


def cache_home() -> str:
    """The user's folder for what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path there is invalid by the standard, and would scatter caches over working folders.
    if not base.startswith("/"):
        base = os.path.expanduser("~/.cache")
    return f"{base}/bascule"


def _load(path: str) -> dict[str, str]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            state = os.fstat(handle)
            # Somebody else's file could make an edited migration look unedited.
            if not stat.S_ISREG(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022:
                return {}
            data = file.read()
    except OSError:
        return {}
    body, check = data[:-65], data[-65:]
    if not body.startswith(_HEADER) or check != digest(body).encode("ascii") + b"\n":
        return {}
    try:
        lines = body[len(_HEADER) :].decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return {}
    return {name: line for line, _, name in (entry.partition("\t") for entry in lines) if name}


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
