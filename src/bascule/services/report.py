"""What a command that changes things answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The end of a command."""

    success: bool
    message: str
    runs: tuple[Run, ...] = ()
    warnings: tuple[str, ...] = ()
    planned: tuple[PlannedMigration, ...] = ()
    """Of a dry run: what would run."""
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the contract."""
        answer: dict[str, Any] = {
            "success": self.success,
            "message": self.message,
            "data": [run.as_dict() for run in self.runs],
        }
        if self.warnings:
            answer["warnings"] = list(self.warnings)
        return answer | self.details
