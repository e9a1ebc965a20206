"""Backups for tests, made as the real ones are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bascule.backups.encryption import Encryption
from bascule.backups.manifest import write_manifest
from bascule.backups.naming import new_backup_id, stream_path
from bascule.backups.pipeline import store_stream
from bascule.domain.backup import Manifest, Member, StreamRecord, TableDigest
from bascule.ports.backup_store import BackupStore

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TABLES: Mapping[str, bytes] = {
    "public.users": b"".join(b"%d\tuser%d@example.org\n" % (number, number) for number in range(3000)),
    "public.orders": b"".join(b"%d\t%d.50\tpaid\n" % (number, number % 97) for number in range(2000)),
    '"odd; name"': b"1\tone\n2\ttwo\n",
}
SMALL: Mapping[str, bytes] = {
    "public.kinds": b"1\tone\n2\ttwo\n",
    "public.hollow": b"",
    "public.tags": b"".join(b"%d\ttag%d\n" % (number, number) for number in range(60)),
}
"""Tables that share a stream."""


def manifest(**changed: Any) -> Manifest:
    values: dict[str, Any] = {
        "id": new_backup_id(NOON),
        "created_at": NOON,
        "until": NOON,
        "target": "7f0c",
        "dialect": "postgresql",
        "server": "db.example.org:5432",
        "server_version": "15.18",
        "tools": {"pg_dump": "15.18"},
        "database": "shop",
        "scope": "tables",
        "tables": tuple(TABLES),
        "streams": (),
        "migration": "20260101000000_AddUsers",
        "digests": {"public.users": TableDigest(rows=3000, columns={"id": "17", "email": "99"})},
        "bascule": "0.1.0",
    }
    return Manifest(**values | changed)


def stored(
    store: BackupStore,
    *,
    encryption: Encryption | None = None,
    tables: Mapping[str, bytes] = TABLES,
    small: Mapping[str, bytes] | None = None,
    backup_id: str | None = None,
    **changed: Any,
) -> tuple[Manifest, str]:
    """Store one, and answer its manifest with the digest that is kept elsewhere."""
    name = backup_id or new_backup_id(NOON)
    streams = []
    for number, (table, content) in enumerate(tables.items(), 1):
        stream = f"tables/{number:04d}"
        path = stream_path(name, stream, encrypted=encryption is not None)
        put = store_stream(store, path, [content], encryption=encryption)
        streams.append(
            StreamRecord(
                name=stream,
                kind="rows",
                table=table,
                rows=content.count(b"\n"),
                plain_bytes=put.plain_bytes,
                stored_bytes=put.stored_bytes,
                sha256=put.sha256,
                plain_sha256=put.plain_sha256,
                data={"columns": ["id", "email"], "format": "text"},
            )
        )
    if small:
        streams.append(bundle(store, name, small, encryption=encryption))
    made = manifest(
        id=name,
        streams=tuple(streams),
        tables=(*tables, *(small or ())),
        encryption="age" if encryption is not None else None,
        **changed,
    )
    return made, write_manifest(store, made, encryption=encryption)


def bundle(
    store: BackupStore, backup_id: str, tables: Mapping[str, bytes], *, encryption: Encryption | None = None
) -> StreamRecord:
    """Store these tables in one stream."""
    path = stream_path(backup_id, "bundles/00001", encrypted=encryption is not None)
    put = store_stream(store, path, tables.values(), encryption=encryption)
    members: list[Member] = []
    for table, content in tables.items():
        members.append(
            Member(
                table=table,
                offset=sum(member.plain_bytes for member in members),
                rows=content.count(b"\n"),
                plain_bytes=len(content),
                plain_sha256=hashlib.sha256(content).hexdigest(),
                data={"columns": ["id", "name"], "format": "text"},
            )
        )
    return StreamRecord(
        name="bundles/00001",
        kind="bundle",
        plain_bytes=put.plain_bytes,
        stored_bytes=put.stored_bytes,
        sha256=put.sha256,
        plain_sha256=put.plain_sha256,
        members=tuple(members),
    )
