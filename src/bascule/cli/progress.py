"""What people see while migrations run: a line for each that begins and ends, and something that moves in between.

Events come in the engine's thread; a second thread draws, so that a statement that takes an hour is seen to be at work.
Short migrations cost two lines and nothing else: whatever draws is loaded only once something takes a while.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from bascule.cli.moment import Moment
from bascule.cli.output import on_a_terminal
from bascule.cli.words import duration
from bascule.domain.event import Event

PATIENCE = 0.4
"""Seconds a migration may take before something is drawn for it on a terminal."""
HEARTBEAT = 10.0
"""Seconds between two lines about one migration where there is no terminal."""
_TICK = 0.2


class Drawing(Protocol):
    """Something that moves on stderr. Both methods are called in the drawing thread, under one lock with the lines."""

    def draw(self, moment: Moment) -> None:
        """Show the migration that has been running for a while."""

    def clear(self) -> None:
        """Take it away, so that a line can be written."""


class Progress:
    """A listener for events; `close` ends the drawing.

    Nothing that goes wrong with the drawing reaches the run: it is told once, and lines alone follow.
    """

    def __init__(self, write: Callable[[str], None], drawing: Drawing) -> None:
        self._write = write
        self._drawing = drawing
        self._moment = Moment()
        self._running = False
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event.name:
            case "migration.started" | "migration.rollback_started":
                self._begin(event)
            case "migration.progress":
                with self._lock:
                    self._moment.data = dict(event.data)
                    self._moment.steps = int(event.data.get("steps") or self._moment.steps)
            case "migration.completed":
                self._end(f"applied {event.migration} in {_ms(event)}", event)
            case "migration.rollback_completed":
                self._end(f"rolled back {event.migration} in {_ms(event)}", event)
            case "migration.failed" | "migration.rollback_failed":
                self._end(f"FAILED {event.migration}", event, well=False)
            case _:
                return

    def line(self, text: str) -> None:
        """Write a line above whatever is drawn."""
        with self._lock:
            self._soundly(self._drawing.clear)
            self._write(text)

    def close(self) -> None:
        """Nothing is drawn any more."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(1.0)
        with self._lock:
            self._soundly(self._drawing.clear)

    def _begin(self, event: Event) -> None:
        with self._lock:
            up = event.name == "migration.started"
            self._moment = Moment(
                name=event.migration,
                direction="up" if up else "down",
                begun=time.monotonic(),
                steps=int(event.data.get("steps") or 0),
                done=self._moment.done,
            )
            self._running = True
        self.line(f"{'applying' if up else 'rolling back'} {event.migration}")
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_drawing, name="bascule-progress", daemon=True)
            self._thread.start()

    def _end(self, words: str, event: Event, *, well: bool = True) -> None:
        with self._lock:
            self._running = False
            self._moment.done += well
        self.line(words)
        for note in event.data.get("notes") or ():
            self.line(f"  {note}")

    def _keep_drawing(self) -> None:
        while not self._closed.wait(_TICK):
            with self._lock:
                if self._running and not self._closed.is_set():
                    self._soundly(partial(self._drawing.draw, self._moment))

    def _soundly(self, act: Callable[[], None]) -> None:
        """Draw or clear. A drawing that fails is given up, in words."""
        try:
            act()
        except Exception as problem:  # noqa: BLE001 - whatever it is, the migration must not know of it
            broken, self._drawing = self._drawing, Nothing()
            with suppress(Exception):  # a terminal whose cursor was hidden gets it back, if that still works
                broken.clear()
            self._write(
                f"The display of progress failed ({type(problem).__name__}: {problem}); the run goes on without it."
            )


class Nothing:
    """Stands where a drawing failed."""

    def draw(self, moment: Moment) -> None:
        """Show nothing."""

    def clear(self) -> None:
        """Nothing is there."""


class Heartbeat:
    """Where there is no terminal: a line every now and then about a migration that takes long."""

    def __init__(self, write: Callable[[str], None], *, every: float = HEARTBEAT) -> None:
        self._write = write
        self._every = every
        self._last: tuple[str, float] = ("", 0.0)

    def draw(self, moment: Moment) -> None:
        """Write a line if the last one is old enough."""
        name, elapsed = self._last
        since = moment.elapsed - elapsed if name == moment.name and moment.elapsed >= elapsed else moment.elapsed
        if since < self._every:
            return
        self._last = (moment.name, moment.elapsed)
        parts = [f"still {'applying' if moment.direction == 'up' else 'rolling back'} {moment.name}"]
        parts += [f"after {duration(moment.elapsed)}", moment.step, moment.phase]
        parts.append(f"{moment.percent:.0f} %" if moment.percent is not None else "")
        parts.append(_cut(moment.statement, 100))
        parts += [f"blocked by {blocker}" for blocker in moment.waiting]
        self._write(", ".join(part for part in parts if part))

    def clear(self) -> None:
        """Lines stay."""


class Live:
    """On a terminal: a few lines that change in place, drawn with rich."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._live: Any = None

    def draw(self, moment: Moment) -> None:
        """Draw, once the migration has taken longer than a blink."""
        if moment.elapsed < self._patience:
            return
        from bascule.cli.picture import picture, start

        if self._live is None:
            self._live = start()
        self._live.update(picture(moment), refresh=True)

    def clear(self) -> None:
        """Take the lines away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def progress_for(write: Callable[[str], None]) -> Progress:
    """The progress that suits stderr."""
    drawing: Drawing = Live() if on_a_terminal(sys.stderr) else Heartbeat(write)
    return Progress(write, drawing)


def _ms(event: Event) -> str:
    return duration(float(event.data.get("executionTime") or 0) / 1000)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
