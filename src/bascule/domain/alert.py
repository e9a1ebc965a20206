"""What somebody ought to know, from the moment it was noticed until it is over."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from bascule.domain.run import iso

AlertType = Literal["info", "warning", "error", "critical"]
TYPES: Final[tuple[AlertType, ...]] = ("info", "warning", "error", "critical")
"""The mildest first."""

ONE_OFF: Final = frozenset({"rollback_lossy", "slow_run", "protected_run"})
"""Rules about what happened once: no later fact ends it, so taking note of it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A rule was broken."""

    rule: str
    subject: str
    """What it is about, so that the same thing happening again is the same alert: a migration, a backup."""
    type: AlertType
    title: str
    message: str
    at: datetime
    migration: str = ""
    run_id: str = ""
    fact: int = 0
    """Number of the journal's fact that told it; 0: no fact did."""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The same for the same thing happening again."""
        return hashlib.sha256(f"{self.rule}\0{self.subject}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an alert was about is over."""

    fingerprint: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing, however often it happened, until it is resolved; what happens after that is another alert."""

    id: str
    fingerprint: str
    rule: str
    type: AlertType
    title: str
    message: str
    first_at: datetime
    last_at: datetime
    subject: str = ""
    occurrences: int = 1
    migration: str = ""
    run_id: str = ""
    fact: int = 0
    """Number of the newest fact that told it."""
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    resolution: str = ""
    told_at: datetime | None = None
    """When it was last handed over for sending; None: nobody has been told."""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Literal["open", "acknowledged", "resolved"]:
        """Where it stands."""
        if self.resolved_at is not None:
            return "resolved"
        return "acknowledged" if self.acknowledged_at is not None else "open"

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "id": self.id,
            "type": self.type,
            "title": self.title,
            "message": self.message,
            "timestamp": iso(self.first_at),
            "migrationName": self.migration or None,
            "runId": self.run_id or None,
            "acknowledged": self.acknowledged_at is not None,
            "acknowledgedBy": self.acknowledged_by,
            "acknowledgedAt": _moment(self.acknowledged_at),
            "resolved": self.resolved_at is not None,
            "resolvedAt": _moment(self.resolved_at),
            "resolution": self.resolution or None,
            "state": self.state,
            "rule": self.rule,
            "severity": self.type,
            "occurrences": self.occurrences,
            "firstAt": iso(self.first_at),
            "lastAt": iso(self.last_at),
            "data": dict(self.data),
        }


def worse(one: AlertType, other: AlertType) -> AlertType:
    """The worse of two types."""
    return max(one, other, key=TYPES.index)


def _moment(at: datetime | None) -> str | None:
    return iso(at) if at is not None else None
