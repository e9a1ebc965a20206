"""What the engine tells the world while it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened. `name` is one of the contract's: ``migration.started``, ``migration.progress``,
    ``migration.completed``,
    ``migration.failed``, ``migration.rollback_started``, ``migration.rollback_completed``,
    ``migration.rollback_failed``…
    """

    name: str
    run_id: str
    migration: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    """For progress: ``step``, ``steps``, ``statement``, ``phase``, ``percent`` (0 to 100 or None), ``elapsedMs``,
    ``waiting`` (who blocks, in words), ``begins`` (only where the statement is just being sent)."""
