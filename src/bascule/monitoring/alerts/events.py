"""The facts of the journal as the events that webhooks are told of."""

from __future__ import annotations

from typing import Any, Final

from bascule.domain.history import Fact
from bascule.domain.run import iso

_NAMES: Final = {
    ("run_started", "up"): "migration.started",
    ("run_completed", "up"): "migration.completed",
    ("run_failed", "up"): "migration.failed",
    ("run_interrupted", "up"): "migration.failed",
    ("run_started", "down"): "migration.rollback_started",
    ("rolled_back", "down"): "migration.rollback_completed",
    ("run_failed", "down"): "migration.rollback_failed",
    ("run_interrupted", "down"): "migration.rollback_failed",
    ("validation_failed", "up"): "migration.validation_failed",
    ("backup_created", "up"): "migration.backup_created",
    ("backup_verified", "up"): "migration.backup_verified",
}
NAMES: Final = tuple(dict.fromkeys(_NAMES.values()))
KINDS: Final = tuple(dict.fromkeys(kind for kind, _ in _NAMES))


def name_of(fact: Fact) -> str | None:
    """The event that the fact is; None: none that anybody is told of."""
    return _NAMES.get((fact.kind, fact.direction))


def data_of(fact: Fact) -> dict[str, Any]:
    """What is told of it."""
    assert fact.at is not None, "it was read from the journal"
    more = dict(fact.data)
    if "ms" in more:
        more["executionTime"] = more.pop("ms")
    return {
        "migrationName": fact.migration or None,
        "runId": fact.run_id or None,
        "timestamp": iso(fact.at),
        "number": fact.number,
        **more,
    }
