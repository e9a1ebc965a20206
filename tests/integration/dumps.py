"""What tests of dumps share: a manifest around a dump, and looking at what a database's own program says of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bascule.backups.encryption import Encryption
from bascule.backups.naming import new_backup_id
from bascule.backups.stores.local import LocalStore
from bascule.domain.backup import Manifest
from bascule.ports.dump import Dumped, Dumper, DumpRequest


def manifest_of(dumped: Dumped, backup_id: str, *, dialect: str, encrypted: bool = False) -> Manifest:
    """As the service makes it."""
    return Manifest(
        id=backup_id,
        created_at=datetime.now(UTC),
        until=dumped.until,
        target="target",
        dialect=dialect,
        server=dumped.server,
        server_version=dumped.server_version,
        tools=dumped.tools,
        database=dumped.database,
        scope=dumped.scope,
        tables=dumped.tables,
        streams=dumped.streams,
        encryption="age" if encrypted else None,
        digests=dumped.digests,
        bascule="0",
    )


def taken(
    dumper: Dumper,
    store: LocalStore,
    *,
    tables: Sequence[str] | None = None,
    encryption: Encryption | None = None,
    digests: bool = True,
) -> Manifest:
    """A backup."""
    backup_id = new_backup_id(datetime.now(UTC))
    request = DumpRequest(backup_id=backup_id, tables=None if tables is None else tuple(tables), digests=digests)
    dumped = dumper.dump(request, store=store, encryption=encryption)
    return manifest_of(dumped, backup_id, dialect=dumper.dialect, encrypted=encryption is not None)


def store_in(folder: Path) -> LocalStore:
    """A store that does not ask for room to spare."""
    return LocalStore(folder / "store", reserve=0)
