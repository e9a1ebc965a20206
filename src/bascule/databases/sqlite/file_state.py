"""Whether a database file may have been written to, without opening it.

What the file system says of the database, its log and its journal is taken together: every write changes a file's
change time, which no program can set. Two writes within one tick of its clock look like one, so a file that was written
to just now says nothing. SQLite's own counter is not asked: in WAL mode it need not count, and to read it the file
would have to be opened, whose closing ends all locks that this process holds on it.

The log is another matter: SQLite, run by root, changes its change time whenever it opens it. Of it the time of the last
write counts, and its header, which is another one each time the log begins anew. Nobody locks that file.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

SETTLED_NS: Final = 2_000_000_000
"""File systems with the coarsest clocks count in two seconds."""
_LOG: Final = "-wal"
_HEADER: Final = 32
"""Bytes of the log's header."""


def file_state(path: Path) -> str | None:
    """Another text after every write; None: it was written to just now, or is not there."""
    parts = []
    for suffix in ("", _LOG, "-journal"):
        try:
            known = os.stat(f"{path}{suffix}")
            more = _header(f"{path}{suffix}") if suffix == _LOG else str(known.st_ctime_ns)
        except FileNotFoundError:
            if not suffix:
                return None
            parts.append("-")
            continue
        except OSError:
            return None
        written = known.st_mtime_ns if suffix == _LOG else max(known.st_mtime_ns, known.st_ctime_ns)
        if time.time_ns() - written <= SETTLED_NS:
            return None
        parts.append(f"{known.st_dev}:{known.st_ino}:{known.st_size}:{known.st_mtime_ns}:{more}")
    return " ".join(parts)


def _header(path: str) -> str:
    """Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(handle, _HEADER, 0).hex()
    finally:
        os.close(handle)
