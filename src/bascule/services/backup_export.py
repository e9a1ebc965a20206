"""Write a backup as a plain dump, which the database's own tools restore without Bascule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bascule.backups.manifest import read_manifest
from bascule.domain.backup import Manifest
from bascule.services.backups import known_backups, means, named

if TYPE_CHECKING:
    from bascule.services.context import Context


def export(context: Context, given: str, write: Callable[[bytes], object]) -> Manifest:
    """Every stream is verified before its first byte is written. Raises `Refused` as reading a backup does."""
    backups = means(context)
    backup_id = named(backups, given)
    known = known_backups(context).get(backup_id)
    manifest = read_manifest(
        backups.store, backup_id, expected_digest=known.digest if known else None, encryption=backups.encryption
    )
    backups.dumper.export(backups.stored(manifest), write=write)
    return manifest
