"""What is known of the migration that runs now, for whatever shows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Moment:
    """What is known about the migration that runs now."""

    name: str = ""
    direction: str = "up"
    begun: float = 0.0
    steps: int = 0
    done: int = 0
    """Migrations that ended well in this command."""
    data: dict[str, Any] = field(default_factory=dict)
    """Of its last progress event."""

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.begun

    @property
    def step(self) -> str:
        """``step 2 of 5``, or nothing where there is only one."""
        return f"step {int(self.data.get('step') or 0) + 1} of {self.steps}" if self.steps > 1 else ""

    @property
    def statement(self) -> str:
        """The statement at work, on one line."""
        return " ".join(str(self.data.get("statement") or "").split())

    @property
    def phase(self) -> str:
        """What the server says it is doing."""
        return str(self.data.get("phase") or "")

    @property
    def percent(self) -> float | None:
        """How far the server says it is."""
        return self.data.get("percent")

    @property
    def waiting(self) -> list[str]:
        """Who blocks it."""
        return list(self.data.get("waiting") or ())
