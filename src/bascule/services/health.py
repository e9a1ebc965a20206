"""Look at everything that health is judged by. Changes nothing, runs no user code, reads no rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from bascule.domain.health import HealthFacts
from bascule.domain.history import Fact, LedgerEntry
from bascule.errors import BasculeError, TargetUnreachable
from bascule.ports.database import WorkFailed
from bascule.services.context import Context
from bascule.services.status import StatusReport, status

RECENT: Final = timedelta(days=1)
"""For how long a failed validation or rollback counts."""
_LOOKED_AT: Final = 200
"""Facts of a kind that are looked at, the newest."""
_WAYS_BACK: Final = 20
"""Of so many of the newest applied migrations it is looked whether there is a way back."""

_SERVER: Final = """SELECT pg_catalog.json_build_object(
  'standby', pg_catalog.pg_is_in_recovery(),
  'read_only', pg_catalog.current_setting('default_transaction_read_only')::bool,
  'connections', (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'),
  'most', pg_catalog.current_setting('max_connections')::int,
  'lag', (SELECT max(extract(epoch FROM replay_lag)) FROM pg_catalog.pg_stat_replication),
  'invalid', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.format('%I.%I', n.nspname, c.relname) ORDER BY 1), '[]'::json)
    FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid)
  ))::text"""


def look_at_health(
    context: Context,
    *,
    report: StatusReport | None = None,
    free_space: Mapping[str, float] | None = None,
    fingerprints: dict[str, str] | None = None,
) -> HealthFacts:
    """`report`: what `status` has just found, where somebody asked it already; `fingerprints` as there. `free_space`:
    place in words → percent that is free. Raises nothing for a target that is not there: that is what is told.
    """
    now = context.clock.now()
    try:
        return _looked(context, now, report, free_space or {}, fingerprints)
    except BasculeError as error:
        told = error if isinstance(error, TargetUnreachable) else None
        words = error.message if told else f"The target could not be looked at: {error.message}"
        return HealthFacts(at=now, unreachable=words, unreachable_hint=error.hint, free_space=free_space or {})


def _looked(
    context: Context,
    now: datetime,
    report: StatusReport | None,
    free_space: Mapping[str, float],
    fingerprints: dict[str, str] | None,
) -> HealthFacts:
    server = _server(context)
    report = report or status(context, fingerprints=fingerprints)
    prepared = context.target.describe().prepared
    since = now - RECENT
    journal = _journal(context) if prepared else ()
    recent = [fact for fact in journal if fact.at is not None and fact.at >= since]
    unproved, no_good = _backups(context) if prepared else ((), {})
    holder = report.running
    cost = _own_cost(context) if prepared else {}
    return HealthFacts(
        at=now,
        read_only=bool(server.get("standby")),
        set_read_only=bool(server.get("read_only")),
        connections=server.get("connections"),
        max_connections=server.get("most"),
        replication_lag=server.get("lag"),
        invalid_indexes=tuple(server.get("invalid") or ()),
        free_space=free_space,
        pending=report.pending,
        failed={name: str(fact.data.get("error") or "") for name, fact in report.failed.items()},
        half_done=report.half_done,
        missing=report.missing,
        edited=report.edited,
        holder=holder.owner if holder else None,
        lease_stale=holder is not None and holder.expires_at < now,
        validation_failures=_failures_by_rule(recent),
        failed_rollbacks=_failed_rollbacks(recent),
        unproved_backups=unproved,
        failed_backups=no_good,
        no_way_back=_no_way_back(context, report),
        own_share=float(cost.get("sharePercent") or 0.0) if cost.get("time", 0.0) > 100.0 else 0.0,
        own_dropped=int(cost.get("droppedEvents") or 0),
    )


def _server(context: Context) -> dict[str, Any]:
    if context.target.dialect != "postgresql":
        context.target.describe()
        return {}
    try:
        found: dict[str, Any] = json.loads(context.target.query(_SERVER, seconds=5.0)[0][0])
    except WorkFailed:
        # It answers, and does not let this role look; what else is known is told all the same.
        return {}
    return found


def _journal(context: Context) -> tuple[Fact, ...]:
    kinds = ("run_failed", "rolled_back", "validation_failed")
    return tuple(context.target.journal(kinds=kinds, limit=_LOOKED_AT))


def _failures_by_rule(recent: list[Fact]) -> dict[str, int]:
    found: dict[str, int] = {}
    for fact in recent:
        if fact.kind == "validation_failed":
            for rule in fact.data.get("rules") or ("a rule",):
                found[str(rule)] = found.get(str(rule), 0) + 1
    return found


def _failed_rollbacks(recent: list[Fact]) -> tuple[str, ...]:
    last = {fact.migration: fact for fact in recent if fact.kind == "rolled_back" or fact.direction == "down"}
    return tuple(name for name, fact in last.items() if fact.kind == "run_failed")


def _backups(context: Context) -> tuple[tuple[str, ...], dict[str, str]]:
    from bascule.services.backups import known_backups

    known = known_backups(context)
    no_good = {name: each.failed for name, each in known.items() if each.failed}
    unproved = tuple(name for name, each in known.items() if each.verified_at is None and not each.failed)
    return unproved, no_good


def _no_way_back(context: Context, report: StatusReport) -> tuple[str, ...]:
    listed = report.situation.by_name
    newest = [entry for entry in report.situation.applied[-_WAYS_BACK:] if entry.name in listed]
    if context.save:
        # A backup is the way back then, but of what ran without; no other file needs to be read.
        unsaved = _ran_unsaved(context, newest)
        newest = [entry for entry in newest if entry.run_id in unsaved]
    found = []
    for entry in newest:
        migration = context.source.read(listed[entry.name])
        if migration.down is None or migration.irreversible is not None:
            found.append(entry.name)
    return tuple(found)


def _ran_unsaved(context: Context, entries: Sequence[LedgerEntry]) -> frozenset[str]:
    """The runs among these that were asked to take no backup and keep nothing."""
    if not entries:
        return frozenset()
    facts = context.target.journal(kinds=("run_completed",), limit=_LOOKED_AT)
    return frozenset(fact.run_id for fact in facts if fact.data.get("unsaved"))


def _own_cost(context: Context) -> dict[str, Any]:
    from bascule.services.metrics import own

    return own(context)
