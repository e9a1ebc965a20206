"""Remove the backups that the retention rules give up, and what dead processes have left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bascule.backups.catalog import leftovers, remove_backup
from bascule.backups.retention import Choice, choose
from bascule.services.backup_list import list_all
from bascule.services.backups import means, note, target_identity
from bascule.services.preimages import throw_away_old
from bascule.services.situation import look

if TYPE_CHECKING:
    from bascule.services.context import Context

UNFINISHED_AFTER = timedelta(hours=24)
"""A backup without a manifest whose newest piece is older is nobody's any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went and what stayed."""

    removed: tuple[Choice, ...]
    kept: tuple[Choice, ...]
    freed: int
    """Bytes."""
    leftovers: tuple[str, ...]
    preimages: int
    """Kept copies of what migrations destroyed whose time was over."""
    dry_run: bool

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "removed": [{"id": each.entry.id, "reason": each.reason} for each in self.removed],
            "kept": [{"id": each.entry.id, "reason": each.reason} for each in self.kept],
            "freed": self.freed,
            "leftovers": list(self.leftovers),
            "preimages": self.preimages,
            "dryRun": self.dry_run,
        }


def prune(context: Context, *, dry_run: bool = False) -> Pruned:
    """By the rules of the settings; without any rule only leftovers go, and pre-images older than their retention.
    Backups that cannot be read stay.

    Never goes: the way back of a migration that is applied, the last verified backup of a target, and whatever another
    target's migrations might need.
    """
    backups = means(context)
    if not dry_run:
        context.target.prepare()
    now = context.clock.now()
    entries = [each.entry for each in list_all(context) if each.problem is None]
    applied = {target_identity(context): {each.name for each in look(context).applied}}
    found = choose(entries, applied=applied, policy=backups.retention, now=now)
    left = list(leftovers(backups.store, now=now, unfinished_after=UNFINISHED_AFTER))
    freed = sum(each.entry.size_bytes for each in found.remove) + sum(each.size for each in left)
    words = [each.path for each in left]
    if not dry_run:
        freed = sum(each.size for each in left)
        for each in left:
            backups.store.delete(each.path)
        for choice in found.remove:
            freed += remove_backup(backups.store, choice.entry.id)
            note(context, "backup_removed", id=choice.entry.id, why=choice.reason)
        words += backups.dumper.sweep()
    return Pruned(
        removed=tuple(found.remove),
        kept=tuple(found.keep),
        freed=freed,
        leftovers=tuple(words),
        preimages=_old_preimages(context) if dry_run else throw_away_old(context),
        dry_run=dry_run,
    )


def _old_preimages(context: Context) -> int:
    """How many `throw_away_old` would throw away."""
    if not context.target.describe().prepared:
        return 0
    oldest = context.clock.now() - timedelta(seconds=context.policy.preimage_retention)
    kept = [each.run_id.rpartition("_")[2] for each in context.target.preimages().kept() if each.kept]
    # A run's id ends with the milliseconds at which it began.
    return sum(begun.isdigit() and int(begun) < oldest.timestamp() * 1000 for begun in kept)
