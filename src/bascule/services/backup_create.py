"""Take a backup, write down what it is, and prove it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bascule.backups.catalog import require_room
from bascule.backups.manifest import write_manifest
from bascule.backups.naming import new_backup_id
from bascule.domain.backup import Manifest
from bascule.errors import BasculeError, MigrationFailed
from bascule.ports.dump import Dumped, DumpRequest
from bascule.services.backup_verify import verify_one
from bascule.services.backups import (
    Backups,
    Known,
    Line,
    line_of,
    means,
    note,
    path_of,
    target_identity,
    tell,
    watching,
)

if TYPE_CHECKING:
    from bascule.services.context import Context

_SHARE = 3
"""The store needs about this part of the tables' size: rows compress three to five times. Looked at beforehand so that
what cannot fit is not begun; a store that runs full on the way stops the backup all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """What is to be in it, and why."""

    tables: tuple[str, ...] | None = None
    """None: the whole database."""
    migration: str | None = None
    """The one it is taken for."""
    way_back_of: tuple[str, ...] = ()
    why: str = "asked for"


def create(context: Context, request: CreateRequest) -> Line:
    """Take it and prove it, as the settings say. Killed at any moment, it leaves no backup, only what `prune` removes.

    Raises:
        Refused: no such table, no right, no pg_dump.
        MigrationFailed: no room, the dump failed, or it could not be proved (``backup_unverified``): then it stays, and
            is called so.
        TargetUnreachable, LockNotAvailable, ConfigError, Interrupted: as they say.
    """
    backups, begun = means(context), context.clock.monotonic()
    context.target.prepare()
    identity = target_identity(context)
    for left in backups.dumper.sweep():
        context.say(f"Removed {left}, which a process that died had left.")
    require_room(backups.store, sum(backups.dumper.sizes(request.tables).values()) // _SHARE)
    manifest, dumped, digest = _taken(context, backups, request, identity)
    note(
        context,
        "backup_created",
        migration=request.migration or "",
        id=manifest.id,
        digest=digest,
        path=path_of(backups.store, manifest.id),
        until=manifest.until.isoformat(),
        scope=manifest.scope,
        tables=list(manifest.tables),
        size=manifest.stored_bytes,
        why=request.why,
    )
    tell(
        context,
        "migration.backup_created",
        migration=request.migration or "",
        id=manifest.id,
        backupPath=path_of(backups.store, manifest.id),
        scope=manifest.scope,
        size=manifest.stored_bytes,
        executionTime=round((context.clock.monotonic() - begun) * 1000),
    )
    proof = verify_one(context, backups, manifest.id, Known(digest=digest), identity)
    if not proof.good:
        raise MigrationFailed(
            f"The backup {manifest.id} was taken, and could not be proved: {proof.why}",
            code="backup_unverified",
            hint="It stays in the store and is called unverified. Look at the cause, then take another one.",
        )
    line = line_of(backups, manifest, proof.known, identity)
    notes = [*dumped.notes, *proof.notes]
    return line_of(backups, manifest, line.known, identity, digest=digest, seconds=round(proof.seconds, 3), notes=notes)


def _taken(context: Context, backups: Backups, request: CreateRequest, identity: str) -> tuple[Manifest, Dumped, str]:
    backup_id = new_backup_id(context.clock.now())
    try:
        dumped = backups.dumper.dump(
            DumpRequest(backup_id=backup_id, tables=request.tables, digests=not backups.dumper.proves_by_bytes),
            store=backups.store,
            encryption=backups.encryption,
            watch=watching(context),
        )
        manifest = Manifest(
            id=backup_id,
            created_at=context.clock.now(),
            until=dumped.until,
            target=identity,
            dialect=backups.dumper.dialect,
            server=dumped.server,
            server_version=dumped.server_version,
            tools=dumped.tools,
            database=dumped.database,
            scope=dumped.scope,
            tables=dumped.tables,
            streams=dumped.streams,
            encryption="age" if backups.encryption is not None else None,
            migration=request.migration,
            way_back_of=request.way_back_of,
            digests=dumped.digests,
            bascule=backups.version,
        )
        return manifest, dumped, write_manifest(backups.store, manifest, encryption=backups.encryption)
    except BaseException:
        # Without a manifest it is no backup; what cannot be removed now is removed by `prune`.
        with suppress(BasculeError):
            for each in backups.store.list(backup_id):
                backups.store.delete(each.path)
        raise
