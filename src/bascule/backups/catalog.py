"""The backups in a store: listed, verified by their hashes, removed; and what dead writers left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bascule.backups.encryption import Encryption
from bascule.backups.manifest import read_manifest
from bascule.backups.naming import MANIFEST, is_backup_id, manifest_path, stream_path
from bascule.backups.pipeline import verify_stored
from bascule.domain.backup import Manifest, StreamRecord
from bascule.errors import BasculeError, MigrationFailed
from bascule.ports.backup_store import BackupStore, StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A backup as it stands in the store; `manifest` is None where it cannot be read, and `problem` says why."""

    id: str
    size_bytes: int
    manifest: Manifest | None = None
    problem: BasculeError | None = None


def list_backups(store: BackupStore) -> Sequence[Listed]:
    """All finished backups, old to new, by the moment they were begun. Only manifests are read.

    Raises MigrationFailed (``backup_store``).
    """
    sizes: dict[str, int] = {}
    finished = set()
    for each in store.list():
        backup_id, _, name = each.path.partition("/")
        sizes[backup_id] = sizes.get(backup_id, 0) + each.size
        if name == MANIFEST and is_backup_id(backup_id):
            finished.add(backup_id)
    return [_listed(store, backup_id, sizes[backup_id]) for backup_id in sorted(finished)]


def path_of(manifest: Manifest, record: StreamRecord) -> str:
    """Where a stream of the backup stands. Raises Refused (``backup_path``) where its name is not one of ours."""
    return stream_path(manifest.id, record.name, encrypted=manifest.encryption is not None)


def verify_backup(
    store: BackupStore, backup_id: str, *, expected_digest: str | None, encryption: Encryption | None = None
) -> Manifest:
    """Read all of it and compare every hash, before anything of it is used. Streams need no key for that.

    Raises `Refused` as `read_manifest` and `verify_stored`.
    """
    manifest = read_manifest(store, backup_id, expected_digest=expected_digest, encryption=encryption)
    for record in manifest.streams:
        verify_stored(store, path_of(manifest, record), record=record, others=manifest.streams)
    return manifest


def remove_backup(store: BackupStore, backup_id: str) -> int:
    """Remove all of it, the manifest first: what is left by an interruption is no backup any more. Bytes given back."""
    manifest = manifest_path(backup_id)
    objects = store.list(backup_id)
    for each in sorted(objects, key=lambda each: each.path != manifest):
        store.delete(each.path)
    return sum(each.size for each in objects)


def leftovers(store: BackupStore, *, now: datetime, unfinished_after: timedelta) -> Sequence[StoredObject]:
    """What `prune` may remove besides backups: pieces of dead writers, and backups that were never finished.

    A backup without a manifest may be one under way: it counts when none of its objects is younger than
    `unfinished_after`.
    """
    by_backup: dict[str, list[StoredObject]] = {}
    for each in store.list():
        by_backup.setdefault(each.path.partition("/")[0], []).append(each)
    abandoned = [
        each
        for backup_id, objects in by_backup.items()
        if is_backup_id(backup_id)
        and all(each.path != manifest_path(backup_id) for each in objects)
        and now - max(each.modified for each in objects) > unfinished_after
        for each in objects
    ]
    return [*store.leftovers(), *abandoned]


def require_room(store: BackupStore, needed_bytes: int) -> None:
    """Raises MigrationFailed (``backup_no_room``) where the store tells that it has less. Asked before a backup."""
    free = store.free_bytes()
    if free is not None and free < needed_bytes:
        raise MigrationFailed(
            f"The backup may take {needed_bytes} bytes, and {free} are free in {store.address}. Nothing was started.",
            code="backup_no_room",
            hint="Make room, let `bascule backup prune` remove old backups, or keep them elsewhere.",
        )


def _listed(store: BackupStore, backup_id: str, size: int) -> Listed:
    try:
        manifest = read_manifest(store, backup_id, expected_digest=None)
    except BasculeError as exc:
        return Listed(id=backup_id, size_bytes=size, problem=exc)
    return Listed(id=backup_id, size_bytes=size, manifest=manifest)
