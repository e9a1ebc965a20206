"""Whether a target is in order, and what is known of it when that is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from bascule.domain.run import iso

HealthStatus = Literal["healthy", "degraded", "unhealthy"]
CheckName = Literal["database", "migrations", "validation", "rollback"]

CHECKS: Final[tuple[CheckName, ...]] = ("database", "migrations", "validation", "rollback")
_WORSE: Final = ("healthy", "degraded", "unhealthy")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """What one look found. None: nobody could tell."""

    at: datetime
    unreachable: str | None = None
    """Why there is no connection; nothing else is known then."""
    unreachable_hint: str = ""
    read_only: bool = False
    set_read_only: bool = False
    """By default_transaction_read_only of the role or the database."""
    connections: int | None = None
    max_connections: int | None = None
    replication_lag: float | None = None
    """Seconds that the furthest standby is behind."""
    invalid_indexes: tuple[str, ...] = ()
    """Left by an index build that failed, not being built now."""
    free_space: Mapping[str, float] = field(default_factory=dict)
    """Place in words → percent of it that is free."""
    pending: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    """Pending migration whose last run failed → why."""
    half_done: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Applied, and their file is gone."""
    edited: tuple[str, ...] = ()
    """Applied, and their file means something else now."""
    holder: str | None = None
    """Who has the lease."""
    lease_stale: bool = False
    """It has run out, and nobody has given it back."""
    validation_failures: Mapping[str, int] = field(default_factory=dict)
    """Of the recent past: rule → how often it refused or was broken."""
    validation_broken: tuple[str, ...] = ()
    """Rules of the project's own that cannot be loaded, in words."""
    failed_rollbacks: tuple[str, ...] = ()
    """Migrations whose newest rollback failed, of the recent past."""
    unproved_backups: tuple[str, ...] = ()
    failed_backups: Mapping[str, str] = field(default_factory=dict)
    """Backup → why it could not be proved."""
    no_way_back: tuple[str, ...] = ()
    """Of the newest applied migrations: neither a down script nor a backup from before."""
    own_share: float = 0.0
    """Percent of the newest runs' time that watching them took."""
    own_dropped: int = 0
    """Looks and events that were lost in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """From where on something is an issue."""

    free_space: float = 10.0
    """Percent; below half of it, it is unhealthy."""
    replication_lag: float = 60.0
    """Seconds."""
    connections: float = 90.0
    """Percent of those that the server allows."""
    own_share: float = 2.0
    """Percent of a run's time."""
    ignore: tuple[str, ...] = ()
    """Names of conditions that do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Something is not as it should be."""

    check: CheckName
    condition: str
    status: Literal["degraded", "unhealthy"]
    message: str
    recommendation: str
    subjects: tuple[str, ...] = ()
    """What it is about: migrations, indexes, backups."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "check": self.check,
            "condition": self.condition,
            "status": self.status,
            "message": self.message,
            "recommendation": self.recommendation,
            "subjects": list(self.subjects),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answer."""

    last_check: datetime
    found: tuple[Issue, ...] = ()

    @property
    def status(self) -> HealthStatus:
        """The worst of all checks."""
        return _worst(self.found)

    @property
    def checks(self) -> dict[str, HealthStatus]:
        """Each check's own."""
        return {check: _worst([issue for issue in self.found if issue.check == check]) for check in CHECKS}

    @property
    def issues(self) -> list[str]:
        """What is wrong, in words, the worst first."""
        return [issue.message for issue in self.found]

    @property
    def recommendations(self) -> list[str]:
        """What to do about it, each once."""
        return list(dict.fromkeys(issue.recommendation for issue in self.found))

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the contract."""
        return {
            "status": self.status,
            "checks": self.checks,
            "lastCheck": iso(self.last_check),
            "issues": self.issues,
            "recommendations": self.recommendations,
            "details": [issue.as_dict() for issue in self.found],
        }


def _worst(issues: Sequence[Issue]) -> HealthStatus:
    return max((issue.status for issue in issues), key=_WORSE.index, default="healthy")
