"""Which backups may go: a pure function of what is there, what is applied, and the rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bascule.domain.backup import BackupEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Rules; None: no such rule. Without any rule everything stays."""

    max_age: timedelta | None = None
    """Older ones go."""
    max_count: int | None = None
    """For each target, the newest stay."""
    max_bytes: int | None = None
    """In the whole store; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One backup, and why it stays or goes."""

    entry: BackupEntry
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is to be done. Both from old to new."""

    keep: Sequence[Choice]
    remove: Sequence[Choice]


def choose(
    entries: Iterable[BackupEntry],
    *,
    applied: Mapping[str, Collection[str]],
    policy: RetentionPolicy,
    now: datetime,
) -> Retention:
    """Keep or remove each backup.

    `applied`: names of applied migrations by target identity. A target that is not among the keys could not be asked:
    everything that any migration might need of it stays. Whatever the rules say, what stays are, for each applied
    migration, one of the backups that lead back behind it (the newest verified one, else all of them), and for each
    target its last verified backup.
    """
    ordered = sorted(entries, key=lambda entry: (entry.until, entry.id))
    protected = _protected(ordered, applied)
    going = _going(ordered, policy, now)
    _shrink(ordered, going, protected, policy.max_bytes)
    keep, remove = [], []
    for entry in ordered:
        if entry.id in going and entry.id not in protected:
            remove.append(Choice(entry=entry, reason=going[entry.id]))
        else:
            keep.append(Choice(entry=entry, reason=protected.get(entry.id, "within the rules")))
    return Retention(keep=keep, remove=remove)


def _protected(ordered: Sequence[BackupEntry], applied: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Reason by id."""
    reasons: dict[str, str] = {}
    last_verified = {entry.target: entry.id for entry in ordered if entry.verified_at is not None}
    for backup_id in last_verified.values():
        reasons[backup_id] = "the last verified backup"
    ways: dict[tuple[str, str], list[BackupEntry]] = {}
    for entry in ordered:
        for name in _leads_behind(entry):
            if entry.target not in applied or name in applied[entry.target]:
                ways.setdefault((entry.target, name), []).append(entry)
    for (_, name), there in ways.items():
        verified = [entry for entry in there if entry.verified_at is not None]
        # Of unverified ones nobody knows which can be restored, so none of them is given up.
        for entry in verified[-1:] or there:
            reasons[entry.id] = f"the way back of {name}, which is applied"
    return reasons


def _leads_behind(entry: BackupEntry) -> Collection[str]:
    return {*entry.way_back_of, *((entry.migration,) if entry.migration is not None else ())}


def _going(ordered: Sequence[BackupEntry], policy: RetentionPolicy, now: datetime) -> dict[str, str]:
    """Reason by id, by age and count."""
    going: dict[str, str] = {}
    counted: dict[str, int] = {}
    for entry in reversed(ordered):
        counted[entry.target] = counted.get(entry.target, 0) + 1
        if policy.max_age is not None and now - entry.until > policy.max_age:
            going[entry.id] = f"older than {_words(policy.max_age)}"
        elif policy.max_count is not None and counted[entry.target] > policy.max_count:
            going[entry.id] = f"more than {policy.max_count} of this target"
    return going


def _shrink(
    ordered: Sequence[BackupEntry], going: dict[str, str], protected: Collection[str], max_bytes: int | None
) -> None:
    """Add what must go for the size, the oldest first."""
    if max_bytes is None:
        return
    total = sum(entry.size_bytes for entry in ordered if entry.id not in going or entry.id in protected)
    for entry in ordered:
        if total <= max_bytes:
            return
        if entry.id not in going and entry.id not in protected:
            going[entry.id] = f"all together are larger than {max_bytes} bytes"
            total -= entry.size_bytes


def _words(age: timedelta) -> str:
    days, hours = age.days, age.seconds // 3600
    return f"{days} days" if days and not hours else f"{days * 24 + hours} hours"
