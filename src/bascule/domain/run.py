"""One attempt to apply or roll back one migration, as it is reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from bascule.domain.migration import Direction

RunStatus = Literal["pending", "running", "completed", "failed", "rolled_back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What users, JSON and the API call a RUN."""

    id: str
    name: str
    timestamp: datetime
    """Start, UTC."""
    execution_ms: int
    status: RunStatus
    direction: Direction = "up"
    dependencies: tuple[str, ...] = ()
    data_impact: Literal["low", "medium", "high"] = "low"
    estimated_ms: int = 0
    verdict: str | None = None
    """Of a rollback: what it reached (see `Verdict`)."""
    differences: tuple[str, ...] = ()
    error: str | None = None
    notes: tuple[str, ...] = ()
    """What a person should know: resumed, repaired, warned, already done…"""
    validation_result: Any = None
    backup_path: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the contract."""
        answer: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "timestamp": iso(self.timestamp),
            "executionTime": self.execution_ms,
            "status": self.status,
            "direction": self.direction,
            "validationResult": self.validation_result,
            "backupPath": self.backup_path,
            "dependencies": list(self.dependencies),
            "dataImpact": self.data_impact,
            "estimatedDuration": self.estimated_ms,
            "notes": list(self.notes),
        }
        if self.verdict is not None:
            answer["verdict"] = self.verdict
            answer["differences"] = list(self.differences)
        if self.error is not None:
            answer["error"] = self.error
        return answer | self.extra


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a Z, as the contract writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
