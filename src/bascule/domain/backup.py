"""What a backup is: its streams, its manifest, and the line it has in a listing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

FORMAT = 2
"""The newest form of a manifest that this version reads and the one it writes. 2: streams that hold several tables."""

Compression = Literal["zstd"]
Scope = Literal["database", "tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStream:
    """What came out of storing one stream."""

    path: str
    """In the store."""
    plain_bytes: int
    """Before compression."""
    stored_bytes: int
    """Compressed, and encrypted where encryption is on."""
    sha256: str
    """Of the stored bytes, hexadecimal."""
    plain_sha256: str
    """Of the bytes before compression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of the tables of a bundle."""

    table: str
    """Qualified and quoted as the server prints it."""
    offset: int
    """Of its rows in the bundle, before compression. They end `plain_bytes` later."""
    rows: int
    plain_bytes: int
    plain_sha256: str
    """Of its rows alone. Empty while the sealed part of the manifest has not been opened."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """As of a stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One stored stream: a table, a part of one, several small ones, or a script of the schema."""

    name: str
    """``tables/0001``, given by the dumper; never from user input."""
    kind: str
    """``schema``, ``rows``, ``bundle``, ``sequences`` or ``sqlite``."""
    table: str | None = None
    """Qualified and quoted as the server prints it."""
    part: int = 0
    rows: int | None = None
    plain_bytes: int
    stored_bytes: int
    sha256: str
    plain_sha256: str
    """Empty while the sealed part of the manifest has not been opened."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the dumper wants to know again: columns, format…"""
    members: tuple[Member, ...] = ()
    """Of a bundle: its tables, in the order in which they lie in it."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> StreamRecord:
        """The inverse of `as_dict`. Raises TypeError where a field is missing or too many."""
        members = tuple(Member(**each) for each in values.get("members", ()))
        return StreamRecord(**{**values, "members": members})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDigest:
    """The content of one table at the moment of the snapshot."""

    rows: int
    columns: Mapping[str, str]
    """Digest by column name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that is known of one backup. Written last: a backup without one was never finished."""

    format: int = FORMAT
    id: str
    created_at: datetime
    """UTC, when the manifest was written."""
    until: datetime
    """UTC, the moment of the snapshot: what was written later is not in the backup."""
    target: str
    """Identity of the target, so that a backup of another database is known as one."""
    dialect: str
    server: str
    """Where it came from, for people; without password."""
    server_version: str
    tools: Mapping[str, str] = field(default_factory=dict)
    """Version by name of the programs that made it."""
    database: str
    scope: Scope
    tables: tuple[str, ...] = ()
    streams: tuple[StreamRecord, ...]
    compression: Compression = "zstd"
    encryption: Literal["age"] | None = None
    migration: str | None = None
    """The one it was taken for."""
    run: str | None = None
    way_back_of: tuple[str, ...] = ()
    """Migrations for which the plan chose this backup as the way back."""
    digests: Mapping[str, TableDigest] = field(default_factory=dict)
    """By table. Empty while the sealed part of an encrypted backup's manifest has not been opened."""
    bascule: str
    """Version of Bascule that took it."""

    @property
    def stored_bytes(self) -> int:
        """Of all streams together."""
        return sum(stream.stored_bytes for stream in self.streams)

    @property
    def large_objects(self) -> int:
        """How many the source had at that moment, of a whole database; none of them is in the backup. Zero also where
        an earlier version took it, or its sealed part has not been opened.
        """
        if self.scope != "database":
            return 0
        return max((int(stream.data.get("large_objects", 0)) for stream in self.streams), default=0)

    def plain_bytes(self, tables: Collection[str] | None = None) -> int:
        """Before compression: of these tables and of what belongs to none (None: of everything)."""
        if tables is None:
            return sum(stream.plain_bytes for stream in self.streams)
        whole = [stream for stream in self.streams if not stream.members]
        return sum(stream.plain_bytes for stream in whole if stream.table is None or stream.table in tables) + sum(
            member.plain_bytes for stream in self.streams for member in stream.members if member.table in tables
        )

    def stream(self, name: str) -> StreamRecord:
        """The stream of this name. Raises KeyError."""
        for record in self.streams:
            if record.name == name:
                return record
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupEntry:
    """One line of a listing, and what the retention rules look at."""

    id: str
    created_at: datetime
    until: datetime
    target: str
    scope: Scope
    tables: tuple[str, ...] = ()
    size_bytes: int
    """On the store, all streams."""
    encrypted: bool = False
    migration: str | None = None
    run: str | None = None
    way_back_of: tuple[str, ...] = ()
    verified_at: datetime | None = None
    """When it was last proved by reading it back; None: unverified."""


def missing_words(manifest: Manifest) -> tuple[str, ...]:
    """What the source had and the backup has not, in sentences without a final stop."""
    if not manifest.large_objects:
        return ()
    return (f"{manifest.large_objects} large objects are not in it: keep them with pg_dump",)


def entry_of(manifest: Manifest, *, verified_at: datetime | None = None) -> BackupEntry:
    """The line that a listing shows for this manifest."""
    return BackupEntry(
        id=manifest.id,
        created_at=manifest.created_at,
        until=manifest.until,
        target=manifest.target,
        scope=manifest.scope,
        tables=manifest.tables,
        size_bytes=manifest.stored_bytes,
        encrypted=manifest.encryption is not None,
        migration=manifest.migration,
        run=manifest.run,
        way_back_of=manifest.way_back_of,
        verified_at=verified_at,
    )
