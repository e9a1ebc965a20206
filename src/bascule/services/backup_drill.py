"""Rehearse the emergency: restore a backup to scratch, compare, and keep how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bascule.errors import Refused
from bascule.services.backup_list import list_all
from bascule.services.backup_verify import Proof, verify_one
from bascule.services.backups import known_backups, means, named, note, place_of, target_identity

if TYPE_CHECKING:
    from bascule.services.context import Context

KIND = "backup_drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill."""

    proof: Proof
    seconds: float
    """From reading the manifest to the last digest."""
    before: tuple[float, ...]
    """Of earlier drills, newest first."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return self.proof.as_dict() | {"seconds": round(self.seconds, 3), "before": list(self.before)}


def drill(context: Context, given: str | None = None) -> Drill:
    """Restore the newest whole backup of this target (or the newest one, or the one named) to scratch.

    Raises `Refused` (``backup_missing``) where there is none.
    """
    backups = means(context)
    context.target.prepare()
    known, identity = known_backups(context), target_identity(context)
    backup_id = named(backups, given) if given is not None else _newest(context, place_of(backups.store))
    backups.dumper.sweep()
    begun = context.clock.monotonic()
    proof = verify_one(context, backups, backup_id, known.get(backup_id), identity, mode="full")
    seconds = context.clock.monotonic() - begun
    facts = context.target.journal(kinds=(KIND,), limit=10)
    before = tuple(float(fact.data["seconds"]) for fact in reversed(facts) if fact.data.get("good"))
    note(context, KIND, id=backup_id, good=proof.good, seconds=round(seconds, 3), rows=proof.rows, why=proof.why)
    return Drill(proof=proof, seconds=seconds, before=before)


def _newest(context: Context, place: str) -> str:
    lines = [each for each in list_all(context) if each.own and each.problem is None]
    whole = [each for each in lines if each.entry.scope == "database"]

    if not lines:
        raise Refused(
            f"There is no backup of this target in {place}.",
            code="backup_missing",
            hint="Take one with `bascule backup create`.",
        )
    return max(whole or lines, key=lambda line: line.entry.until).entry.id
