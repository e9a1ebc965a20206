"""What one run took of host and server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bascule.domain.run import iso

MEASURES: Mapping[str, str] = {
    "execution_ms": "executionTime",
    "memory_bytes": "memoryUsage",
    "cpu_ms": "cpuTime",
    "cpu_percent": "cpuUsage",
    "connections": "databaseConnections",
    "lock_wait_ms": "lockWaitTime",
    "rows": "rowsAffected",
    "wal_bytes": "walBytes",
    "temp_bytes": "tempBytes",
    "read_bytes": "bytesRead",
    "written_bytes": "bytesWritten",
    "samples": "samples",
    "sampled_from_ms": "sampledFrom",
    "own_ms": "monitoringTime",
    "dropped": "droppedEvents",
    "events": "events",
}
"""Field → key in JSON. Times in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One record. None: nobody looked, or the server does not say."""

    id: str
    run_id: str
    migration: str
    at: datetime
    """When the run had ended, UTC."""
    status: str = "completed"
    direction: str = "up"
    host: str = ""
    execution_ms: float = 0.0
    memory_bytes: int | None = None
    """The most that the process had in memory at a moment at which somebody looked."""
    cpu_ms: float | None = None
    """Of this process; the server's own is not in it."""
    cpu_percent: float | None = None
    connections: int | None = None
    """The most that were open to the database at a moment at which somebody looked."""
    lock_wait_ms: float = 0.0
    rows: int | None = None
    wal_bytes: int | None = None
    """PostgreSQL 18: of the run's own server process; before: of the whole server in that time."""
    temp_bytes: int | None = None
    """Of the whole database in that time."""
    read_bytes: int | None = None
    """As `wal_bytes`; before 16 of the database."""
    written_bytes: int | None = None
    samples: int = 0
    """How often the server was looked at."""
    sampled_from_ms: float | None = None
    """From when in the run on; what came before is not in what the server counts."""
    own_ms: float = 0.0
    """What the looking took."""
    dropped: int = 0
    events: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What an application added."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the contract."""
        answer: dict[str, Any] = {
            "id": self.id,
            "runId": self.run_id,
            "migrationName": self.migration,
            "timestamp": iso(self.at),
            "status": self.status,
            "direction": self.direction,
            "host": self.host,
        }
        answer |= {key: getattr(self, name) for name, key in MEASURES.items()}
        return answer | ({"extra": dict(self.extra)} if self.extra else {})


def own_cost(records: tuple[Performance, ...]) -> dict[str, Any]:
    """What watching took of the time of these runs."""
    took, own = sum(each.execution_ms for each in records), sum(each.own_ms for each in records)
    return {
        "runs": len(records),
        "events": sum(each.events for each in records),
        "samples": sum(each.samples for each in records),
        "droppedEvents": sum(each.dropped for each in records),
        "time": round(own, 1),
        "sharePercent": round(100.0 * own / took, 3) if took else 0.0,
    }
