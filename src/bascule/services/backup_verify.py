"""Prove backups: by restoring them to scratch and comparing, or by their hashes alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bascule.backups.catalog import list_backups, verify_backup
from bascule.backups.manifest import read_manifest
from bascule.domain.backup import Manifest
from bascule.errors import BasculeError
from bascule.services.backups import (
    Backups,
    Known,
    VerifyMode,
    known_backups,
    means,
    named,
    note,
    path_of,
    target_identity,
    tell,
    watching,
)

if TYPE_CHECKING:
    from bascule.services.context import Context

_KEYS = ("backup_key_missing", "backup_key_wrong")
"""What an error says of the key, and nothing of the backup."""
_FEW = 3
_SHARE = 10
"""Of a sampled verification one table in so many is restored, three at least; the hashes of all are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came out for one backup."""

    id: str
    path: str
    good: bool
    mode: VerifyMode
    why: str = ""
    """Why it is not good, in words."""
    error: BasculeError | None = None
    unread: bool = False
    """The key at hand does not open it: nothing is known of it, neither good nor bad."""
    tables: tuple[str, ...] = ()
    rows: int = 0
    seconds: float = 0.0
    place: str = ""
    notes: tuple[str, ...] = ()
    known: Known | None = None
    """What is known of it from now on."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "id": self.id,
            "backupPath": self.path,
            "verified": self.good and self.mode != "hashes",
            "good": self.good,
            "verification": self.mode,
            "tables": list(self.tables),
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "place": self.place,
            "problem": self.why or None,
            **({"error": self.error.as_dict()} if self.error is not None else {}),
            **({"unread": True} if self.unread else {}),
            "notes": list(self.notes),
        }


def verify(context: Context, given: str | None, *, mode: VerifyMode | None = None) -> tuple[Proof, ...]:
    """The backup of that id or path, or all. Changes nothing but the journal.

    Raises `Refused` (``backup_path``, ``backup_missing``) for a name; what is wrong with a backup is in its `Proof`.
    """
    backups = means(context)
    context.target.prepare()
    known, identity = known_backups(context), target_identity(context)
    ids = [named(backups, given)] if given is not None else [each.id for each in list_backups(backups.store)]
    return tuple(verify_one(context, backups, each, known.get(each), identity, mode=mode) for each in ids)


def verify_one(
    context: Context,
    backups: Backups,
    backup_id: str,
    known: Known | None,
    identity: str,
    *,
    mode: VerifyMode | None = None,
) -> Proof:
    """Prove one, and write down what came out. Raises what keeps it from being looked at: `Interrupted`, no server."""
    chosen: VerifyMode = mode or backups.verify
    begun = context.clock.monotonic()
    path = path_of(backups.store, backup_id)
    try:
        proof = _looked_at(context, backups, backup_id, known, identity, chosen)
    except BasculeError as error:
        if error.exit_code not in (1, 3):
            raise
        unread = error.code in _KEYS
        why = f"could not be read with this key: {error.message}" if unread else error.message
        proof = Proof(id=backup_id, path=path, good=False, mode=chosen, why=why, error=error, unread=unread)
    if known is not None and not proof.unread:
        note(
            context,
            "backup_verified",
            id=backup_id,
            good=proof.good,
            mode=proof.mode,
            why=proof.why,
            rows=proof.rows,
            seconds=round(proof.seconds, 3),
            differs=not proof.good and proof.error is None,
        )
    tell(
        context,
        "migration.backup_verified",
        id=backup_id,
        backupPath=path,
        good=proof.good,
        mode=proof.mode,
        problem=proof.why or None,
        unread=proof.unread,
        executionTime=round((context.clock.monotonic() - begun) * 1000),
    )
    return _with_known(context, proof, known)


def _looked_at(
    context: Context, backups: Backups, backup_id: str, known: Known | None, identity: str, mode: VerifyMode
) -> Proof:
    begun = context.clock.monotonic()
    expected = known.digest if known else None
    manifest = read_manifest(backups.store, backup_id, expected_digest=expected, encryption=backups.encryption)
    mode, notes = _possible(backups, manifest, known, identity, mode)
    if mode != "full":
        verify_backup(backups.store, backup_id, expected_digest=expected, encryption=backups.encryption)
    path = path_of(backups.store, backup_id)
    if mode == "hashes":
        seconds = context.clock.monotonic() - begun
        return Proof(id=backup_id, path=path, good=True, mode=mode, seconds=seconds, notes=tuple(notes))
    tables = _sample(manifest) if mode == "sampled" else None
    verified = backups.dumper.verify(backups.stored(manifest), tables=tables, watch=watching(context))
    if not verified.digests_compared:
        notes.append("it was restored, and its digests are another server version's: only rows were counted")
    differences = [
        f"{each.table}{f'.{each.column}' if each.column else ''} {each.words}" for each in verified.differences
    ]
    return Proof(
        id=backup_id,
        path=path,
        good=verified.is_good,
        mode=mode,
        why="; ".join(differences),
        tables=verified.tables,
        rows=verified.rows,
        seconds=verified.seconds,
        place=verified.place,
        notes=(*notes, *verified.notes),
    )


def _possible(
    backups: Backups, manifest: Manifest, known: Known | None, identity: str, mode: VerifyMode
) -> tuple[VerifyMode, list[str]]:
    """The way of looking that can be had, and what there is to say about it."""
    notes = []
    if known is None and manifest.target == identity:
        notes.append("the journal of this target does not know it: nobody can tell whether its manifest was rewritten")
    if mode != "hashes" and manifest.dialect != backups.dumper.dialect:
        return "hashes", [*notes, f"it is of another target, a database of {manifest.dialect}: only hashes were read"]
    if mode != "hashes" and manifest.encryption and (backups.encryption is None or not backups.encryption.opens):
        return "hashes", [*notes, "there is no key that opens it: only hashes were read"]
    return mode, notes


def _sample(manifest: Manifest) -> Sequence[str]:
    count = min(len(manifest.tables), max(_FEW, len(manifest.tables) // _SHARE))
    return sorted(random.sample(manifest.tables, count))


def _with_known(context: Context, proof: Proof, known: Known | None) -> Proof:
    from dataclasses import replace

    if known is None or proof.unread:
        return proof
    restored = proof.good and proof.mode != "hashes"
    stays = proof.good and not restored and known.differs
    return replace(
        proof,
        known=replace(
            known,
            verified_at=context.clock.now() if restored else known.verified_at,
            mode=proof.mode if proof.good else known.mode,
            failed=known.failed if stays else None if proof.good else proof.why,
            differs=stays or (not proof.good and proof.error is None),
        ),
    )
