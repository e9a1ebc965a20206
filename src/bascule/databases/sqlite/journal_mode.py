"""How SQLite protects our transactions: as cheaply as is safe while a run lasts, and afterwards as it was.

A database in the default mode (``delete``) writes each changed page twice and waits for the disk four times a
transaction. Two things are better and as safe (https://sqlite.org/wal.html):

* The journal's file is kept between transactions (``persist``): a tenth less, and nobody else notices.
* While many migrations follow one another, the write-ahead log: one wait for the disk a transaction, and readers are
  not held up. But that mode belongs to the file, and can only be left by whoever is alone with it. So it is taken only
  where nobody else has the file open and the folder is on a disk of this machine (over a network two machines would
  each have their own idea of the log), and what the mode was is written down first, so that the next run takes it back
  where a killed one could not.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from bascule.databases.sqlite.blockers import openers, times_open_here
from bascule.databases.sqlite.memory import forget_meta, read_word, write_meta

_KEY = "journal_mode"
_LOCAL = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "ramfs", "bcachefs"))
_PATIENCE = 1.0
"""Seconds to wait for others to leave a database whose mode is to be set back."""


class JournalMode:
    """Of one connection. Only to be used outside a transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._tried = False
        self._ours = self._mode() == "wal" and read_word(connection, _KEY) == "delete"

    def keep(self) -> None:
        """Let the rollback journal's file stay. Where the author chose another mode, nothing is done."""
        if self._mode() == "delete":
            self._set("PERSIST")

    def hurry(self) -> None:
        """Many transactions follow: take the write-ahead log, where that is safe."""
        if self._tried or self._ours:
            return
        self._tried = True
        if self._mode() != "persist" or not is_local(self._path) or self._is_shared():
            return
        with contextlib.suppress(sqlite3.Error):
            write_meta(self._connection, _KEY, "delete")
            self._ours = self._set("WAL") == "wal"
            if not self._ours:
                forget_meta(self._connection, _KEY)

    def as_the_author_has_it(self) -> None:
        """What comes next may depend on the mode, or set one: none of ours is in its way. Later ones do not hurry."""
        self._tried = True
        if self._ours and self._leave(_PATIENCE):
            self.keep()

    def restore(self) -> None:
        """At the end. Leaves a journal where another connection is writing: it is that one's now."""
        if self._ours and not self._leave(_PATIENCE):
            import logging  # hardly ever needed

            logging.getLogger("bascule.sqlite").warning(
                "%s stays in WAL mode for now, because another program has opened it meanwhile. That is safe. The next "
                "run sets it back to journal_mode=delete.",
                self._path,
            )
            return
        with contextlib.suppress(sqlite3.Error):
            if self._mode() == "persist":
                self._set("DELETE")

    def _is_shared(self) -> bool:
        return times_open_here(self._path) != 1 or bool(openers(self._path))

    def _leave(self, patience: float) -> bool:
        """Go back from the log."""
        self._ours = not _again_and_again(lambda: self._set("DELETE") == "delete", patience)
        if not self._ours:
            with contextlib.suppress(sqlite3.Error):
                forget_meta(self._connection, _KEY)
        return not self._ours

    def _mode(self) -> str:
        return str(self._connection.execute("PRAGMA main.journal_mode").fetchone()[0])

    def _set(self, mode: str) -> str:
        return str(self._connection.execute(f"PRAGMA main.journal_mode = {mode}").fetchone()[0])


def is_local(path: Path) -> bool:
    """Whether the file is on a disk of this machine, as far as the system tells; where it does not, no."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        folder = path.resolve().parent
    except OSError:
        return False
    kinds: dict[str, str] = {}
    for line in lines:
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw   (proc(5))
        place, _, source = line.partition(" - ")
        # The later of two mounts on one place hides the earlier one.
        kinds[place.split()[4].replace("\\040", " ")] = source.split()[0]
    for place_of in (folder, *folder.parents):
        if str(place_of) in kinds:
            return kinds[str(place_of)] in _LOCAL
    return False


def _again_and_again(attempt: Callable[[], bool], patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            if attempt():
                return True
        except sqlite3.OperationalError:
            pass  # another connection is still there
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
