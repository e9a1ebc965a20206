"""The thread that makes spans of what was written down, and sends them."""

from __future__ import annotations

import _thread
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bascule.domain.statement import Dialect
from bascule.monitoring.otel.notes import CallEnded, Note

if TYPE_CHECKING:
    from bascule.domain.family import Family
    from bascule.monitoring.otel.providers import Providers
    from bascule.monitoring.otel.spans import Spans
    from bascule.monitoring.otel.story import Story

STARTS_AFTER: Final = 10_000_000_000
"""Nanoseconds of a run after which the thread begins: a shorter run is not kept from its work by it."""
MOST: Final = 100_000
"""Notes that wait; what comes then is dropped until some were sent."""
LONGEST: Final = 10.0
"""Seconds for which the end of a run waits at most, while what is sent is taken."""
_FOR_MEASURES: Final = 60.0
"""Seconds for which the thread waits for metrics, once the call is over. Of small calls nobody has any."""
_PAUSE: Final = 0.5
"""Seconds between two looks at what has been written down."""


class Sender:
    """Takes notes from the thread of the run; sends what they tell in one of its own."""

    def __init__(self, *, about: Mapping[str, str], dialect: Dialect, clean: Callable[[str], str], around: Any) -> None:
        """`about`: see `Story`. `around`: the context of OpenTelemetry that the run is part of, None where there is
        none.
        """
        self._about = about
        self._dialect = dialect
        self._clean = clean
        self._around = around
        self._notes: deque[Note] = deque()
        self._starts: int | None = None
        """When the thread begins at the earliest."""
        self._started = False
        self._measures: tuple[Family, ...] = ()
        self._closing = threading.Event()
        self._over = threading.Event()
        self._problem: str | None = None
        self._beat = 0.0
        """When something was taken last."""
        self.worth_it = False
        """Something was done, or failed."""
        self.dropped = 0
        """Notes that nobody will see."""

    def put(self, note: Note) -> None:
        """Keep it until it is sent."""
        if len(self._notes) >= MOST:
            self.dropped += 1
            return
        self._notes.append(note)
        if self._starts is None:
            self._starts = note[0] + STARTS_AFTER
        elif not self._started and note[0] >= self._starts:
            self._start()

    def last(self, note: Note) -> None:
        """As `put`, for what nothing comes after. Where the call did nothing, nothing is sent."""
        ended = note[1]
        failed = isinstance(ended, CallEnded) and bool(ended.error)
        self.worth_it = failed or self._started or len(self._notes) > 1
        self._notes.append(note)
        if self.worth_it:
            # What comes after the run is done beside this.
            self._start()

    def finish(self, measures: Callable[[], Iterable[Family]] | None, *, seconds: float) -> str | None:
        """Send what is there, and wait for that so many seconds, or longer while it is being taken. What takes longer
        goes on in the background, as long as the process lives. Answers in words what went wrong.
        """
        begun = self._beat = time.monotonic()
        if measures is not None:
            self._measures = tuple(measures())
        self._start()
        self._closing.set()
        while not self._over.wait(0.05 if self._notes else 0.01):
            now = time.monotonic()
            if now - self._beat > seconds or now - begun > LONGEST:
                return f"nobody took it within {seconds:g} s"
        return self._problem

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        try:
            # Unlike that of `threading.Thread` this start does not wait until the thread has begun.
            _thread.start_new_thread(self._go, ())
        except RuntimeError as problem:
            self._problem = str(problem)
            self._over.set()

    def _go(self) -> None:
        try:
            self._problem = self._send()
        except Exception as problem:  # noqa: BLE001 - watching fails no run
            self._problem = f"{type(problem).__name__}: {problem}"
        finally:
            self._over.set()

    def _send(self) -> str | None:
        from bascule.monitoring.otel.providers import providers
        from bascule.monitoring.otel.spans import Spans
        from bascule.monitoring.otel.story import Story

        known = providers()
        lost = known.lost
        story = Story(about=self._about, dialect=self._dialect)
        spans = Spans(known.tracer(), clean=self._clean, around=self._around, flush=lambda: self._flush(known, lost))
        while True:
            self._drain(story, spans)
            if story.is_over or self._closing.wait(_PAUSE):
                break
        self._drain(story, spans)
        self._flush(known, lost)
        if self._closing.wait(_FOR_MEASURES) and self._measures:
            known.tell(self._measures)
        return known.problem(since=lost) or (f"{self.dropped} notes were dropped" if self.dropped else None)

    def _flush(self, known: Providers, lost: int) -> None:
        known.flush_spans()
        if known.lost == lost:
            self._beat = time.monotonic()

    def _drain(self, story: Story, spans: Spans) -> None:
        while self._notes:
            for record in story.take(*self._notes.popleft()):
                spans.take(record)
