"""Measures each run by its events: this process at once, the server once the run has taken a while.

It takes no part in the run. What goes wrong in it is counted, and nobody else notices. The thread that looks at the
server sleeps for fifty times as long as a look took, so that looking takes no more than a fiftieth of the time.
"""

from __future__ import annotations

import _thread
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bascule.domain.event import Event
from bascule.domain.performance import Performance
from bascule.ports.vitals import Sample, Vitals

PATIENCE: Final = 0.5
"""Seconds for which a run has lasted before anybody looks at the server."""
SHARE: Final = 50.0
"""The pause between two looks, in times of the look before."""
_EVERY: Final = 0.5
"""Seconds; the shortest pause."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_LASTS: Final = 0.02
"""Seconds for which what was read of the memory holds: many short runs are not worth reading it for each."""

_BEGINS: Final = ("migration.started", "migration.rollback_started")
_ENDS: Final = {
    "migration.completed": "completed",
    "migration.failed": "failed",
    "migration.rollback_completed": "rolled_back",
    "migration.rollback_failed": "failed",
}


@dataclass(slots=True, kw_only=True)
class _Run:
    run_id: str
    migration: str
    direction: str
    begun: float
    cpu: float
    memory: int
    first: Sample | None = None
    last: Sample | None = None
    first_at: float = 0.0
    samples: int = 0
    connections: int | None = None
    waited: float = 0.0
    """Milliseconds, of waits for locks that have ended, as the server told."""
    waiting: float = 0.0
    told_waiting: float | None = None
    """Since when the events have been telling of a wait."""
    told: float = 0.0
    """Milliseconds, of waits that events told of."""
    own: float = 0.0
    events: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Sampler:
    """Put before a bus by `around`; `take` gives what was measured."""

    vitals: Callable[[], Vitals]
    """Asked once, when the first run has lasted `PATIENCE`."""
    clock: Callable[[], float] = time.perf_counter
    patience: float = PATIENCE
    dropped: int = 0
    """How often something went wrong in here."""
    _runs: dict[str, _Run] = field(default_factory=dict)
    _done: list[Performance] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever uses the vitals."""
    _server: Vitals | None = None
    _ended: threading.Event | None = None
    """Of the thread, while there is one."""
    _over: threading.Event = field(default_factory=threading.Event)
    _pause: float = _EVERY
    _memory: tuple[float, int] = (float("-inf"), 0)
    _host: str = field(default_factory=lambda: os.uname().nodename)

    def around(self, publish: Callable[[Event], None]) -> Callable[[Event], None]:
        """The same bus, with this before it."""

        def measured(event: Event) -> None:
            try:
                self._see(event)
            except Exception:  # noqa: BLE001 - watching fails no run
                self.dropped += 1
            publish(event)

        return measured

    def take(self) -> tuple[Performance, ...]:
        """What was measured of the runs that have ended since the last time; the server is left alone from here on,
        until another run begins.
        """
        self._rest()
        with self._guard:
            done, self._done = self._done, []
        return tuple(done)

    def _see(self, event: Event) -> None:
        begun = self.clock()
        if event.name in _BEGINS:
            self._begin(event, begun)
            return
        run = self._runs.get(event.run_id)
        if run is None:
            return
        run.events += 1
        if event.name == "migration.progress":
            self._progress(run, event, begun)
        elif event.name in _ENDS:
            self._end(run, event, begun)
            return
        run.own += self.clock() - begun

    def _begin(self, event: Event, now: float) -> None:
        run = _Run(
            run_id=event.run_id,
            migration=event.migration,
            direction="down" if "rollback" in event.name else "up",
            begun=now,
            cpu=time.process_time(),
            memory=self._memory_at(now),
            events=1,
        )
        with self._guard:
            self._runs[event.run_id] = run
        if self._ended is None:
            self._over.clear()
            self._ended = threading.Event()
            # Unlike that of `threading.Thread` this start does not wait until the thread has begun.
            _thread.start_new_thread(self._watch, (self._ended,))
        run.own += self.clock() - now

    def _progress(self, run: _Run, event: Event, now: float) -> None:
        if event.data.get("waiting"):
            run.told_waiting = run.told_waiting if run.told_waiting is not None else now
        elif run.told_waiting is not None:
            run.told += (now - run.told_waiting) * 1000
            run.told_waiting = None

    def _end(self, run: _Run, event: Event, now: float) -> None:
        took = (now - run.begun) * 1000
        self._progress(run, event, now)
        if run.samples and _ENDS[event.name] != "failed" and self._looking.acquire(blocking=False):
            # What the server counts at the end of a transaction is seen only now. After a failure it may be gone, and
            # nobody is to wait for it.
            try:
                self._look((run,))
            except Exception:  # noqa: BLE001 - what was measured so far is kept all the same
                run.dropped += 1
            finally:
                self._looking.release()
        with self._guard:
            self._runs.pop(run.run_id, None)
        cpu = (time.process_time() - run.cpu) * 1000
        run.own += self.clock() - now
        with self._guard:
            run.memory = max(run.memory, self._memory_at(now))
            self._done.append(_record(run, event, took=took, cpu=cpu, host=self._host))

    def _memory_at(self, now: float) -> int:
        if now - self._memory[0] > _LASTS:
            self._memory = now, _memory()
        return self._memory[1]

    def _watch(self, ended: threading.Event) -> None:
        """The thread. It looks only at runs that have lasted a while."""
        try:
            self._watch_on()
        finally:
            ended.set()

    def _watch_on(self) -> None:
        while not self._over.wait(self._pause):
            now = self.clock()
            with self._guard:
                runs = tuple(run for run in self._runs.values() if now - run.begun >= self.patience)
            if not runs:
                continue
            try:
                with self._looking:
                    self._look(runs)
            except Exception:  # noqa: BLE001 - a server that does not answer is the run's affair, not this one's
                self.dropped += 1
                for run in runs:
                    run.dropped += 1
                self._pause = 60.0
                continue
            self._pause = max(_EVERY, SHARE * (self.clock() - now))

    def _look(self, runs: tuple[_Run, ...]) -> None:
        begun = self.clock()
        # To open a connection takes long and keeps neither run nor server busy: of that the processor's time counts.
        opening, worked = self._server is None, time.thread_time()
        if self._server is None:
            self._server = self.vitals()
        seen = self._server.sample()
        memory = _memory()
        for run in runs:
            if run.first is None:
                run.first, run.first_at = seen, begun
            run.last, run.samples = seen, run.samples + 1
            run.memory = max(run.memory, memory)
            run.connections = _most(run.connections, seen.connections)
            waiting = seen.lock_wait_ms or 0.0
            if waiting < run.waiting:
                run.waited += run.waiting
            run.waiting = waiting
            run.own += time.thread_time() - worked if opening else self.clock() - begun

    def _rest(self) -> None:
        self._over.set()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.wait(timeout=1.0)
        if self._server is not None and self._looking.acquire(timeout=1.0):
            try:
                self._server.close()
            finally:
                self._server = None
                self._looking.release()


def _record(run: _Run, event: Event, *, took: float, cpu: float, host: str) -> Performance:
    rows = event.data.get("rows")
    return Performance(
        id=f"{run.run_id}.{run.direction}.{int(event.at.timestamp() * 1000)}",
        run_id=run.run_id,
        migration=run.migration,
        at=event.at,
        status=_ENDS[event.name],
        direction=run.direction,
        host=host,
        execution_ms=round(took, 2),
        memory_bytes=run.memory,
        cpu_ms=round(cpu, 2),
        cpu_percent=round(100 * cpu / took, 1) if took else None,
        connections=run.connections,
        lock_wait_ms=round(max(run.told, run.waited + run.waiting), 1),
        rows=rows if isinstance(rows, int) else None,
        wal_bytes=_between(run, "wal_bytes"),
        temp_bytes=_between(run, "temp_bytes"),
        read_bytes=_between(run, "read_bytes"),
        written_bytes=_between(run, "written_bytes"),
        samples=run.samples,
        sampled_from_ms=round((run.first_at - run.begun) * 1000, 1) if run.first is not None else None,
        own_ms=round(run.own * 1000, 3),
        dropped=run.dropped,
        events=run.events,
    )


def _between(run: _Run, name: str) -> int | None:
    first, last = getattr(run.first, name, None), getattr(run.last, name, None)
    return None if first is None or last is None else max(0, int(last) - int(first))


def _most(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _memory() -> int:
    """Bytes of this process in memory now; where the system does not tell, the most there ever were."""
    try:
        with open("/proc/self/statm", "rb") as told:
            return int(told.read().split()[1]) * _PAGE
    except OSError:
        import resource
        import sys

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
