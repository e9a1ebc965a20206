"""What a server does by itself: look after alerts, look at health, clean up. One thread, which fails nobody."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

LOG: Final = logging.getLogger("bascule.rounds")


@dataclass(slots=True, kw_only=True)
class Duty:
    """Something done again and again."""

    name: str
    work: Callable[[], None]
    every: float
    """Seconds from one beginning to the next."""
    due: float = 0.0
    """When it is done next, by the clock of the rounds."""
    problem: str = ""
    """Why it went wrong the last time; the log is told once."""
    wakes: frozenset[str] = frozenset()
    """The words by which `Rounds.wake` has it done at once."""


@dataclass(slots=True, kw_only=True)
class Rounds:
    """Duties, done one after the other when they are due."""

    duties: tuple[Duty, ...]
    close: Callable[[], None] = lambda: None
    """Called at the end, in the thread of the duties."""
    clock: Callable[[], float] = time.monotonic
    _over: threading.Event = field(default_factory=threading.Event)
    _woken: threading.Event = field(default_factory=threading.Event)
    _words: set[str] = field(default_factory=set)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin. A process ends without waiting for it."""
        self._thread = threading.Thread(target=self._go, name="bascule-rounds", daemon=True)
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """End; what is under way is waited for that many seconds."""
        self._over.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(patience)

    def wake(self, word: str) -> None:
        """Something has happened, and the duties that this word wakes are done now. The caller waits for nothing."""
        self._words.add(word)
        self._woken.set()

    def once(self) -> None:
        """Do what is due now."""
        for duty in self.duties:
            if self._over.is_set():
                return
            if self.clock() >= duty.due:
                duty.due = self.clock() + duty.every
                self._do(duty)

    def _go(self) -> None:
        try:
            while not self._over.is_set():
                self.once()
                soonest = min((duty.due for duty in self.duties), default=self.clock() + 60.0)
                if self._woken.wait(max(0.05, min(soonest - self.clock(), 60.0))):
                    self._woken.clear()
                    self._hear()
        finally:
            self.close()

    def _hear(self) -> None:
        words = {self._words.pop() for _ in range(len(self._words))}
        for duty in self.duties:
            if duty.wakes & words:
                duty.due = self.clock()

    def _do(self, duty: Duty) -> None:
        try:
            duty.work()
        except Exception as problem:  # noqa: BLE001 - the next round may go better
            words = f"{type(problem).__name__}: {getattr(problem, 'message', problem)}"
            if words != duty.problem:
                LOG.warning("%s: %s", duty.name, words)
            duty.problem = words
        else:
            if duty.problem:
                LOG.warning("%s goes well again", duty.name)
            duty.problem = ""
