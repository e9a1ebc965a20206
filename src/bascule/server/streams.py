"""Live streams: everybody who follows a run is fed by one look at the journal, and by what its worker tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from bascule.domain.history import Fact
from bascule.errors import BasculeError
from bascule.server.events import event_of
from bascule.server.problems import Problem
from bascule.server.reading import Readers
from bascule.server.runs import facts_of, is_over, run_of
from bascule.server.work import Job, Work
from bascule.services.context import Context

_LOOK = 0.5
"""Seconds between looks at the journal while nothing is told."""
_NUDGED = 0.1
"""Seconds between looks while the worker tells things."""
_ASKED = 1.0
"""Seconds after which it is asked again whether the follower may still hear of it."""
_BREATH = 15.0
"""Seconds after which a quiet stream shows that it is alive."""
_PATIENCE = 30.0
"""Seconds for which a database that does not answer is asked again before its streams end; they come again."""


@dataclass(slots=True, eq=False)
class _Hub:
    """What is known of one run, for all who follow it."""

    facts: tuple[Fact, ...]
    over: bool
    run: dict[str, Any]
    latest: dict[str, Any] | None = None
    broken: bool = False
    followers: int = 0
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    task: asyncio.Task[None] | None = None


class Streams:
    """The live streams of this server."""

    def __init__(self, readers: Readers, work: Work, *, most: int, clean: Callable[[str], str]) -> None:
        self._readers, self._work, self._most, self._clean = readers, work, most, clean
        self._hubs: dict[tuple[int, str], _Hub] = {}
        work.listeners.append(self._heard)
        self._loops: dict[str, tuple[asyncio.AbstractEventLoop, _Hub]] = {}

    async def open(self, run_id: str, after: int, good: Callable[[], bool]) -> AsyncIterator[bytes] | None:
        """The events behind number `after`; None where the run is over and all of it is known. `good` is asked from
        time to time, and the stream ends when it says no. Raises `UsageError` (``unknown_run``), `Problem` (503).
        """
        if sum(hub.followers for hub in self._hubs.values()) >= self._most:
            raise Problem(503, "Too many live streams are open.", "busy", "Come again.", headers={"Retry-After": "5"})
        hub = await self._hub(run_id)
        if hub.over and (not hub.facts or hub.facts[-1].number <= after):
            return None
        return self._told(run_id, hub, after, good)

    async def _hub(self, run_id: str) -> _Hub:
        key = (id(asyncio.get_running_loop()), run_id)
        hub = self._hubs.get(key)
        if hub is None:
            facts, over, run = await self._look(run_id)
            # Somebody else may have come first while we looked.
            hub = self._hubs.setdefault(key, _Hub(facts=facts, over=over, run=run))
            if hub.over:
                del self._hubs[key]
        return hub

    async def _look(self, run_id: str) -> tuple[tuple[Fact, ...], bool, dict[str, Any]]:
        def question(context: Context) -> tuple[tuple[Fact, ...], bool, dict[str, Any]]:
            # Asked before the journal is: a worker that ends in between has written its last fact.
            here = self._work.of(run_id) is not None
            facts = facts_of(context, run_id)
            return facts, is_over(context, facts, here=here), run_of(context, facts, here=here)

        return await self._readers.ask(question)

    async def _follow(self, run_id: str, hub: _Hub) -> None:
        failing = 0.0
        while not hub.over and hub.followers:
            try:
                await asyncio.wait_for(hub.nudge.wait(), _LOOK)
                await asyncio.sleep(_NUDGED)
            except TimeoutError:
                pass
            hub.nudge.clear()
            try:
                facts, over, run = await self._look(run_id)
            except Exception as problem:
                failing += _LOOK
                if failing < _PATIENCE:
                    continue
                hub.broken = True
                async with hub.changed:
                    hub.changed.notify_all()
                raise Problem(503, "The database does not answer.", "unreachable") from problem
            failing = 0.0
            async with hub.changed:
                hub.facts, hub.over, hub.run = facts, over, run
                hub.changed.notify_all()

    def _heard(self, job: Job) -> None:
        found = self._loops.get(job.run_id)
        if found is None:
            return
        loop, hub = found
        hub.latest = job.latest
        try:
            loop.call_soon_threadsafe(hub.nudge.set)
        except RuntimeError:
            # That loop is closed: nobody follows there any more.
            self._loops.pop(job.run_id, None)

    async def _told(self, run_id: str, hub: _Hub, after: int, good: Callable[[], bool]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        hub.followers += 1
        if hub.task is None and not hub.over:
            self._loops[run_id] = (loop, hub)
            hub.task = loop.create_task(self._follow(run_id, hub))
            hub.task.add_done_callback(_seen)
        latest: dict[str, Any] | None = None
        spoke = loop.time()
        try:
            yield b"retry: 1000\n\n"
            while True:
                for fact in hub.facts:
                    if fact.number > after:
                        after = fact.number
                        name, data = event_of(fact)
                        yield self._event(name, data, number=fact.number)
                if hub.latest is not None and hub.latest is not latest and not hub.over:
                    latest = hub.latest
                    yield self._event("migration.progress", latest)
                if hub.over:
                    yield self._event("end", hub.run)
                    return
                if hub.broken or not await asyncio.to_thread(_may_hear, good):
                    return
                if await self._something(hub, after, latest):
                    spoke = loop.time()
                elif loop.time() - spoke >= _BREATH:
                    spoke = loop.time()
                    yield b": still here\n\n"
        finally:
            hub.followers -= 1
            if not hub.followers:
                self._hubs.pop((id(loop), run_id), None)
                self._loops.pop(run_id, None)
                hub.nudge.set()

    async def _something(self, hub: _Hub, after: int, latest: dict[str, Any] | None) -> bool:
        def there() -> bool:
            newer = bool(hub.facts) and hub.facts[-1].number > after
            return newer or hub.over or hub.broken or (hub.latest is not None and hub.latest is not latest)

        try:
            async with hub.changed:
                await asyncio.wait_for(hub.changed.wait_for(there), _ASKED)
        except TimeoutError:
            return False
        return True

    def _event(self, name: str, data: Any, *, number: int | None = None) -> bytes:
        from bascule.server.answers import written

        text = written(data, self._clean).decode()
        # JSON has no line breaks of its own, so the data is one line.
        head = f"id: {number}\n" if number is not None else ""
        return f"{head}event: {name}\ndata: {text}\n\n".encode()


def _may_hear(good: Callable[[], bool]) -> bool:
    """A database that does not answer tells nobody anything; whether it is away for long is seen elsewhere."""
    try:
        return good()
    except BasculeError:
        return True


def _seen(task: asyncio.Task[None]) -> None:
    """What broke a follower is known to its streams, which end; nobody else asks for it."""
    if not task.cancelled():
        task.exception()
