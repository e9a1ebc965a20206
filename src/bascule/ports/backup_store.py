"""A place where backups are kept.

How to implement one:

1. A path is some names with ``/`` between them, made by `bascule.backups.naming`. Refuse every other one: what a store
   is given may have been read from a manifest that somebody rewrote.
2. ``create`` writes an object whole or not at all, and never over another one, also when two writers want the same
   path at the same time. What a writer that was killed leaves behind is no object; ``leftovers`` names it, and only
   when its writer is dead.
3. Nobody but the owner may read what is stored, and an object that ``create`` has finished survives a loss of power.
4. Map the library's errors to `bascule.errors`: codes ``backup_exists``, ``backup_missing``, ``backup_no_room``,
   ``backup_path``, ``backup_store``.
5. Memory stays flat whatever the size.
6. Run ``tests/conformance/backup_store.py`` against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object, or what is left of one."""

    path: str
    size: int
    """Bytes."""
    modified: datetime
    """UTC."""


class Sink(Protocol):
    """An object being written."""

    def write(self, data: bytes, /) -> object:
        """Append. Raises `MigrationFailed` (``backup_no_room``, ``backup_store``)."""


class BackupStore(Protocol):
    """Objects by path. Safe to use from several processes; an object is written by one."""

    address: str
    """What opens it again (`bascule.backups.stores.opening.open_store`), also in another process; holds no secret."""

    def create(self, path: str) -> AbstractContextManager[Sink]:
        """Write a new object: it is there when the block ends well, and nothing of it when the block raises.

        Raises `Refused` (``backup_exists``, ``backup_path``), `MigrationFailed` (``backup_no_room``,
        ``backup_store``).
        """

    def read(self, path: str) -> Iterator[bytes]:
        """The object's bytes, in pieces.

        Raises `Refused` (``backup_missing``) at once, `MigrationFailed` (``backup_store``) at any piece.
        """

    def size(self, path: str) -> int | None:
        """Bytes of the object, None where there is none."""

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        """All objects whose path is the prefix or below it, by path."""

    def delete(self, path: str) -> None:
        """Remove an object, or what `leftovers` named. That it is gone already is no error."""

    def leftovers(self) -> Sequence[StoredObject]:
        """What writers that are dead have left behind, by path."""

    def free_bytes(self) -> int | None:
        """Room for more, None where the place does not tell."""

    def locate(self, given: str) -> str:
        """The path in this store that a person means by a path or an address.

        Raises `Refused` (``backup_path``) where it is not inside the store, also by ``..`` or a symbolic link.
        """
