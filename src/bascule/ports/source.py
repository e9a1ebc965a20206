"""A folder of migrations in some format.

How to implement one:

1. ``recognises(folder)`` looks at the listing only (names, not contents) and answers how sure it is, 0 to 100, with
the reason.
2. ``listing()`` answers every migration of the folder in the format's own order, without opening a migration file
   (a reader of 10,000 migrations must be done in tens of milliseconds). Duplicate versions raise `SourceError` naming
   both files.
   What is passed over (README, checksums, a ``future/`` folder) is answered by ``passed_over()``, never dropped in
   silence.
3. ``read(ref)`` opens one migration. It never runs it: Python files are read with ``ast``.
4. Run ``tests/conformance/source.py`` against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bascule.domain.migration import Migration, MigrationRef


class Source(Protocol):
    """A migrations folder, read in place. Nothing in it is ever written."""

    format: str
    """``bascule``, ``golang-migrate``, ``diesel``…"""
    folder: str

    def listing(self) -> Sequence[MigrationRef]:
        """All migrations in the format's own order. Raises `SourceError`."""

    def passed_over(self) -> Sequence[str]:
        """Files that are not migrations, with the reason, for people."""

    def read(self, ref: MigrationRef) -> Migration:
        """One migration with its scripts. Raises `SourceError` (unreadable, not UTF-8, broken markers)."""

    def fingerprint(self, ref: MigrationRef) -> str:
        """SHA-256 (hex) over the up file's bytes; what `Migration.exact_hash` holds, without parsing. Raises
        `SourceError`.
        """
