"""The machine's own time."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


class SystemClock:
    """See `bascule.ports.clock.Clock`."""

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(seconds, 0.0))

    def jitter(self) -> float:
        """A random number in [0, 1), good enough to keep fifty processes from knocking all at once."""
        return int.from_bytes(os.urandom(6)) / 2**48
