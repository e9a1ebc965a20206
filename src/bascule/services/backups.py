"""What the backup services share: where backups go and how, what the journal knows of them, and how one is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from bascule.backups.naming import backup_of, is_backup_id
from bascule.backups.reach import identity_sql
from bascule.domain.backup import BackupEntry, Manifest, entry_of, missing_words
from bascule.domain.event import Event
from bascule.domain.history import Fact
from bascule.domain.run import iso
from bascule.errors import Interrupted, Refused
from bascule.ports.database import WorkFailed
from bascule.ports.dump import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from bascule.backups.encryption import Encryption
    from bascule.backups.retention import RetentionPolicy
    from bascule.ports.backup_store import BackupStore
    from bascule.ports.dump import Dumper, Watch
    from bascule.services.context import Context

VerifyMode = Literal["full", "sampled", "hashes"]

UNTIL = "A backup holds what was committed up to its moment; what was written later is not in it."
KINDS = ("backup_created", "backup_verified", "backup_removed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """Where backups of one target are kept, who takes them, and by which rules."""

    store: BackupStore
    dumper: Dumper
    """Of the target."""
    elsewhere: Callable[[str], tuple[Dumper, str]]
    """For ``--to``: who makes the database that an address or a bare name means, and its name there."""
    encryption: Encryption | None
    verify: VerifyMode
    retention: RetentionPolicy
    version: str
    """Bascule's own."""
    schema: str
    """Bascule's own in PostgreSQL."""

    def stored(self, manifest: Manifest) -> Stored:
        """That backup of theirs, for who reads it."""
        return Stored(manifest, self.store, self.encryption)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the journal has of one backup."""

    digest: str
    """Of its manifest, when it was taken."""
    verified_at: datetime | None = None
    """When it was last proved by restoring it."""
    mode: str | None = None
    """How it was last looked at: ``full``, ``sampled`` or ``hashes``."""
    failed: str | None = None
    """Why its last verification failed."""
    differs: bool = False
    """It failed because the rows came back otherwise: only restoring it can prove that wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A backup as a listing and the JSON answers show it."""

    entry: BackupEntry
    path: str
    known: Known | None
    """None: this target's journal does not know it."""
    own: bool
    """It is of this target."""
    server: str = ""
    problem: str | None = None
    missing: tuple[str, ...] = ()
    """What the source had and the backup has not."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        """It was proved by restoring it, and nothing has failed since."""
        return self.known is not None and self.known.verified_at is not None and self.known.failed is None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the contract."""
        entry, known = self.entry, self.known
        return {
            "id": entry.id,
            "backupPath": self.path,
            "scope": entry.scope,
            "tables": list(entry.tables),
            "size": entry.size_bytes,
            "verified": self.verified,
            "verifiedAt": iso(known.verified_at) if known and known.verified_at else None,
            "verification": known.mode if known else None,
            "createdAt": iso(entry.created_at),
            "until": iso(entry.until),
            "encrypted": entry.encrypted,
            "target": entry.target,
            "ownTarget": self.own,
            "known": known is not None,
            "migration": entry.migration,
            "run": entry.run,
            "wayBackOf": list(entry.way_back_of),
            "problem": self.problem or (known.failed if known else None),
            **({"notes": list(self.missing)} if self.missing else {}),
            **self.extra,
        }


def means(context: Context) -> Backups:
    """Raises ConfigError for a wrong store or key."""
    assert context.backups is not None, "the wiring gives every command its backups"
    return context.backups()


def target_identity(context: Context) -> str:
    """What tells this target from every other one; empty where nothing does (a SQLite file Bascule never touched)."""
    try:
        rows = context.target.query(identity_sql(context.target.dialect), seconds=10.0)
    except WorkFailed:
        rows = ()
    if rows and rows[0][0]:
        return str(rows[0][0])
    # A server that keeps its identity to itself: its address is the next best.
    return context.target.describe().location if context.target.dialect == "postgresql" else ""


def known_backups(context: Context) -> dict[str, Known]:
    """By id, from the journal."""
    if not context.target.describe().prepared:
        return {}
    found: dict[str, Known] = {}
    for fact in context.target.journal(kinds=KINDS):
        _learn(found, fact)
    return found


def _learn(found: dict[str, Known], fact: Fact) -> None:
    backup_id, data = str(fact.data.get("id")), fact.data
    known = found.get(backup_id)
    if fact.kind == "backup_created":
        found[backup_id] = Known(digest=data["digest"])
    elif fact.kind == "backup_removed":
        found.pop(backup_id, None)
    elif known is not None:
        good, restored = bool(data.get("good")), data.get("mode") in ("full", "sampled")
        # Rows that came back otherwise than they were: that the bytes are the same says nothing of that.
        proved = good and (restored or not known.differs)
        found[backup_id] = Known(
            digest=known.digest,
            verified_at=fact.at if good and restored else known.verified_at,
            mode=data.get("mode") if good or known.mode is None else known.mode,
            failed=None if proved else known.failed if good else str(data.get("why") or "it failed"),
            differs=not proved and (bool(data.get("differs")) or (good and known.differs)),
        )


def named(backups: Backups, given: str) -> str:
    """The id that a person means by an id or a path. Raises `Refused` (``backup_path``, ``backup_missing``)."""
    backup_id = given if is_backup_id(given) else backup_of(backups.store.locate(given))
    if not backups.store.list(backup_id):
        raise Refused(
            f"There is no backup {backup_id} in {place_of(backups.store)}.",
            code="backup_missing",
            hint="`bascule backup list` shows the backups.",
        )
    return backup_id


def place_of(store: BackupStore) -> str:
    """The store as people write it: a folder's path, or its address."""
    if not store.address.startswith("file://"):
        return store.address.partition("?")[0]
    from urllib.parse import unquote

    return unquote(store.address.removeprefix("file://"))


def path_of(store: BackupStore, backup_id: str) -> str:
    """Where a backup stands, for people: what ``--backup`` takes."""
    return f"{place_of(store)}/{backup_id}"


def line_of(backups: Backups, manifest: Manifest, known: Known | None, identity: str, **extra: Any) -> Line:
    """The line of a backup that can be read."""
    return Line(
        # One that failed since counts as unverified: nothing may be given up in its favour.
        entry=entry_of(manifest, verified_at=known.verified_at if known and known.failed is None else None),
        path=path_of(backups.store, manifest.id),
        known=known,
        own=manifest.target == identity,
        server=manifest.server,
        missing=missing_words(manifest),
        extra=extra,
    )


def tell(context: Context, name: str, *, run_id: str = "", migration: str = "", **data: object) -> None:
    """Publish an event."""
    context.publish(Event(name=name, run_id=run_id, migration=migration, at=context.clock.now(), data=data))


def note(context: Context, kind: str, *, migration: str = "", run_id: str = "", **data: object) -> None:
    """Write a fact about a backup, to stay."""
    context.target.append((Fact(kind=kind, run_id=run_id, migration=migration, data=data),), durable=True)


def watching(context: Context) -> Watch:
    """A watch that breaks off when the process is told to stop. It raises `Interrupted`."""

    def watch(_what: str, _done: int, _of: int) -> None:
        if (signal := context.stopping()) is not None:
            raise Interrupted(f"Stopped by {signal}.", hint="Nothing was changed; nothing of it is kept.")

    return watch


def sized(count: int) -> str:
    """``12 kB``, ``3.4 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def listed(names: tuple[str, ...], most: int = 4) -> str:
    """A few of the names."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
