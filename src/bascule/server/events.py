"""Facts of the journal as the events of the live stream: the same names that listeners in Python hear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bascule.domain.history import Fact
from bascule.domain.run import iso

_NAMES: Final[Mapping[tuple[str, str], str]] = {
    ("run_started", "up"): "migration.started",
    ("run_started", "down"): "migration.rollback_started",
    ("run_completed", "up"): "migration.completed",
    ("rolled_back", "down"): "migration.rollback_completed",
    ("run_failed", "up"): "migration.failed",
    ("run_failed", "down"): "migration.rollback_failed",
    ("run_interrupted", "up"): "migration.failed",
    ("run_interrupted", "down"): "migration.rollback_failed",
    ("run_resumed", "up"): "migration.started",
    ("validation_failed", "up"): "migration.validation_failed",
    ("backup_created", "up"): "migration.backup_created",
    ("backup_verified", "up"): "migration.backup_verified",
}


def event_of(fact: Fact) -> tuple[str, dict[str, Any]]:
    """The event's name and its data. What has no name in the contract is told as ``migration.journal``."""
    document: dict[str, Any] = {
        "number": fact.number,
        "timestamp": iso(fact.at) if fact.at else None,
        "fact": fact.kind,
        "run": fact.run_id,
        "migration": fact.migration,
        "direction": fact.direction,
        "data": dict(fact.data),
    }
    if fact.step is not None:
        document["step"] = fact.step
    name = _NAMES.get((fact.kind, fact.direction), "migration.journal")
    return name, {"event": name, **document}
