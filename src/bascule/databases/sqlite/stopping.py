"""Ending a statement before its end: on request, on Ctrl-C, or because its time is over.

SQLite runs inside this process. While it does, Python's signal handlers do not; they run when SQLite asks, every
`INSTRUCTIONS` of its own steps, whether to go on. Asking that often costs nothing that could be measured (every
1,000: 2 %).
"""

from __future__ import annotations

import time
from typing import Literal

from bascule.ports.database import Progress, Watch

INSTRUCTIONS = 10_000

WATCH_EVERY = 0.25
"""Seconds between two words to whoever watches."""


class Stop:
    """What SQLite asks. Kept for the life of a connection; armed while work is under way."""

    def __init__(self) -> None:
        self.reason: Literal["cancelled", "timeout", None] = None
        self.raised: BaseException | None = None
        """What a signal handler or the watcher raised while SQLite was asking."""
        self._armed = False
        self._deadline: float | None = None
        self._watch: Watch | None = None
        self._watched = 0.0

    def arm(self, watch: Watch | None = None) -> None:
        """Work begins: what was asked before is past."""
        self.reason, self.raised, self._deadline = None, None, None
        self._watch, self._watched = watch, time.monotonic()
        self._armed = True

    @property
    def asked(self) -> bool:
        """There is a known reason for the statement to end."""
        return self.reason is not None or self.raised is not None

    def disarm(self) -> None:
        """Work is over; undoing it must not be stopped."""
        self._armed = False

    def limit(self, seconds: float | None) -> None:
        """The statement that begins now may take so long; None: as long as it likes."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def ask(self) -> None:
        """Stop the work that is under way. From any thread; nothing happens when there is none."""
        if self._armed:
            self.reason = self.reason or "cancelled"

    def __call__(self) -> int:
        """SQLite's question; anything but 0 ends the statement."""
        try:
            return int(self._armed and self._look())
        except BaseException as exc:  # noqa: BLE001 - SQLite would swallow it; it is raised after the undoing
            self.raised = exc
            return 1

    def _look(self) -> bool:
        now = time.monotonic()
        if self.reason is None and self._deadline is not None and now >= self._deadline:
            self.reason = "timeout"
        if self._watch is not None and now - self._watched >= WATCH_EVERY:
            self._watched = now
            self._watch(Progress(phase="running"))
        return self.reason is not None
