"""Writes down what a run does, by its events and by the jobs that the target is given."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from bascule.domain.event import Event
from bascule.errors import BasculeError
from bascule.monitoring.otel.notes import AuthorsJob, CallBegun, CallEnded, JobFailed, Note
from bascule.monitoring.otel.sender import Sender
from bascule.ports.database import Job, Performed, Target, WorkFailed

if TYPE_CHECKING:
    from bascule.domain.family import Family

PATIENCE: Final = 2.0
"""Seconds for which the end of a run waits until everything is sent."""
_GONE: Final = frozenset({"connection_lost", "lease_lost", "unreachable"})
"""Codes of errors after which nobody asks the database for metrics: that may take long."""


class Recorder:
    """Follows one call. Everything but `hand_over` takes microseconds, and nothing in here raises.

    See `bascule.ports.telemetry.Telemetry`.
    """

    def __init__(
        self,
        target: Target,
        *,
        about: Mapping[str, str],
        clean: Callable[[str], str],
        patience: float = PATIENCE,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`about`: attributes of the run that are known beforehand. `clean` takes secrets out of a text."""
        self._target = target
        self._patience = patience
        self._clock = clock
        self._placed = False
        self._error = ""
        self._sender = Sender(about=about, dialect=target.dialect, clean=clean, around=_active_context())
        self._note: Callable[[Note], None] = _nowhere
        """Where notes go. What happens outside of a call is nobody's: a server looks after its alerts for months."""

    @contextmanager
    def around(self, action: str) -> Iterator[None]:
        """As the port."""
        self._note = self._sender.put
        self._note((self._clock(), CallBegun(action=action)))
        try:
            yield
        except BaseException as error:
            state = error.state if isinstance(error, BasculeError) else "unknown"
            self._error = _code_of(error)
            self._end(CallEnded(error=self._error, state=state))
            raise
        self._end(CallEnded())

    def _end(self, ended: CallEnded) -> None:
        self._note = _nowhere
        self._sender.last((self._clock(), ended))

    def hand_over(self, measures: Callable[[], Iterable[Family]] | None = None) -> str | None:
        """As the port."""
        if not self._sender.worth_it:
            return None
        return self._sender.finish(None if self._error in _GONE else measures, seconds=self._patience)

    def listening(self, publish: Callable[[Event], None]) -> Callable[[Event], None]:
        """The same bus, with this before it."""

        def heard(event: Event) -> None:
            # Of the progress only that a statement begins: the rest is as much as somebody cares to look.
            if event.name != "migration.progress" or "begins" in event.data:
                self._note((self._clock(), event))
            publish(event)

        return heard

    def job(self, job: Job, act: Callable[[], Performed], *, author: bool = False) -> Performed:
        """Do it. `author`: the statements are those that an author's Python sends."""
        if self._note is _nowhere or not (job.statements or author):
            # Statements of nobody: bookkeeping of ours, which is part of what the migration takes.
            return act()
        if not self._placed:
            self._note_place()
        note, clock = self._note, self._clock
        note((clock(), AuthorsJob(job=job) if author else job))
        try:
            done = act()
        except WorkFailed as failure:
            note((clock(), _failed(failure)))
            raise
        except BaseException as error:
            note((clock(), JobFailed(error=_code_of(error))))
            raise
        note((clock(), done))
        return done

    def _note_place(self) -> None:
        """Only where a job is about to be done: it may ask the database."""
        self._placed = True
        with suppress(BasculeError, WorkFailed):
            self._note((self._clock(), self._target.describe()))


def _nowhere(_note: Note) -> None:
    """Nobody keeps it."""


def _failed(failure: WorkFailed) -> JobFailed:
    return JobFailed(
        error=failure.sqlstate or failure.kind,
        kind=failure.kind,
        sqlstate=failure.sqlstate,
        statement=failure.statement,
    )


def _code_of(error: BaseException) -> str:
    return error.code if isinstance(error, BasculeError) else type(error).__name__


def _active_context() -> Any:
    """What the application is doing now, where it uses OpenTelemetry itself: nobody else has that module loaded."""
    found = sys.modules.get("opentelemetry.context")
    return found.get_current() if found is not None else None
