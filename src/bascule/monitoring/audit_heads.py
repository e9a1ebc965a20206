"""Number and code of the audit log's newest line, in a file outside of the database: whoever cuts the tail off the log
does not have this file too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from bascule.access.audit_chain import Head, read_head

_NAME = re.compile(r"[0-9a-f-]{32,36}")


class HeadFolder:
    """One file a target, of mode 0600 in a folder of mode 0700."""

    def __init__(self, folder: Path | None, address: str = "") -> None:
        """`folder` None: ``$XDG_STATE_HOME/bascule/audit``, or ``~/.local/state/bascule/audit``. `address`: of the
        database, which whoever writes into it cannot change; only its digest is kept.
        """
        self.folder = folder or _home() / "bascule" / "audit"
        self._at = hashlib.sha256(address.encode()).hexdigest() if address else ""

    def read(self, target: str) -> Head | None:
        """What was noted of this target, None where nothing was. Raises OSError, ValueError for a damaged file."""
        try:
            return read_head(self._path(target).read_text(encoding="ascii").partition("\n")[0])
        except FileNotFoundError:
            return None

    def others(self, target: str) -> Mapping[str, Head]:
        """What was noted at the same address of targets that called themselves otherwise. Raises OSError, ValueError
        for a damaged file.
        """
        if not self._at or not self.folder.is_dir():
            return {}
        found = {}
        for path in sorted(self.folder.glob("*.head")):
            told, _, at = path.read_text(encoding="ascii").partition("\n")
            if path.stem != target and at.strip() == self._at:
                found[path.stem] = read_head(told)
        return found

    def note(self, target: str, head: Head) -> None:
        """Keep it, unless a newer one is kept. Raises OSError, ValueError."""
        path = self._path(target)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._one_at_a_time():
            known = self.read(target)
            if known is None or known.number < head.number:
                _put(path, f"{head}\n{self._at}".strip())

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Where a file system has no locks, a head may be overtaken by the one before it. It is none the less true.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _path(self, target: str) -> Path:
        # An identity comes out of the database, where somebody may have written anything into it.
        if not _NAME.fullmatch(target):
            raise ValueError(f"{target!r} is no identity of a target")
        return self.folder / f"{target}.head"


def _put(path: Path, text: str) -> None:
    """All of it or nothing."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _home() -> Path:
    given = os.environ.get("XDG_STATE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path(os.path.expanduser("~")) / ".local" / "state"
