"""What happened in a period: the report that people read and machines are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bascule.domain.health import Health
from bascule.domain.metrics import Metrics
from bascule.domain.performance import Performance
from bascule.domain.run import Run, iso


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReport:
    """From `start` (with it) to `end` (without it), UTC."""

    start: datetime
    end: datetime
    made_at: datetime
    target: str
    """For people."""
    metrics: Metrics
    """Of the whole days that the period touches."""
    runs: tuple[Run, ...]
    """That ended in it, newest first; the newest of very many."""
    performance: tuple[Performance, ...]
    health: Health | None = None
    """As it is now."""
    alerts: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "startDate": iso(self.start),
            "endDate": iso(self.end),
            "generatedAt": iso(self.made_at),
            "target": self.target,
            "metrics": self.metrics.as_dict(),
            "migrations": [run.as_dict() for run in self.runs],
            "performance": [each.as_dict() for each in self.performance],
            "alerts": [dict(each) for each in self.alerts],
            "health": self.health.as_dict() if self.health else None,
        }
