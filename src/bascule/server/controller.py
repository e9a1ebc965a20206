"""`MigrationController`: what all endpoints share."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from bascule.access.principal import Principal
from bascule.errors import BasculeError
from bascule.server.answers import answer
from bascule.server.asking import Doorman, place_of
from bascule.server.identities import Identities
from bascule.server.options import PREFIX, Options
from bascule.server.problems import Problem, told
from bascule.server.reading import Readers
from bascule.server.recipe import Recipe
from bascule.server.streams import Streams
from bascule.server.work import Work, wait_for
from bascule.services.broken_off import is_settling
from bascule.services.leasing import held_by
from bascule.services.metrics import Kept as Tallies

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.services.context import Context
    from bascule.services.trail import Trail

LOG = logging.getLogger("bascule.server")
T = TypeVar("T")
_KEPT = 10.0
"""Seconds for which an answer is kept while nothing changes: files are edited without anybody's telling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    answer: Any
    beat: Hashable
    at: float


@dataclass(slots=True, kw_only=True)
class MigrationController:
    """One server's: settings, readers, workers, streams, and who is at the door."""

    settings: Settings
    options: Options
    readers: Readers
    work: Work
    streams: Streams
    doorman: Doorman
    tallies: Tallies = field(default_factory=Tallies)
    """What of the journal has been counted already."""
    answers: dict[str, _Known] = field(default_factory=dict)
    wake: Callable[[str], None] = lambda word: None
    """Lets what the server does by itself be done at once."""

    @classmethod
    def made_of(cls, recipe: Recipe, options: Options) -> MigrationController:
        """For these settings. Raises ConfigError."""
        from bascule import wiring

        settings = recipe.settings()
        options = options.chosen(settings.server)
        readers = Readers(settings, threads=options.readers)
        work = Work(recipe, most=options.workers)

        def door() -> Any:
            # The state store has a connection of its own; the target's is opened only to find the way there.
            return wiring.open_target(settings, read_only=True).state()

        identities = Identities(settings, door)

        def trail(who: str, where: str) -> Trail:
            return wiring.trail_of(settings, door, who=who, where=where)

        return cls(
            settings=settings,
            options=options,
            readers=readers,
            work=work,
            streams=Streams(readers, work, most=options.streams, clean=settings.clean),
            doorman=Doorman(
                identities, environment=settings.environment, trail=trail, failures=options.failures_a_minute
            ),
        )

    async def done_by_worker(
        self, verb: str, arguments: Mapping[str, Any], *, by: Mapping[str, str] | None = None
    ) -> Response:
        """The answer of a piece of work that is no run."""
        job = self.work.start(verb, arguments, by=by)
        end = await wait_for(job, self.options.longest_answer)
        if end is None:
            job.process.terminate()
            raise Problem(503, "It takes too long.", "timeout", "Ask for less, or from the command line.")
        return self._answered(end)

    async def run(
        self,
        verb: str,
        name: str,
        arguments: Mapping[str, Any],
        *,
        by: Mapping[str, str],
        later: bool,
        trace: Mapping[str, str],
    ) -> Response:
        """The answer of a run; while it takes longer than a caller waits, 202 and where to follow it."""
        full, run_id = await self.readers.ask(lambda context: self._promised(context, name))
        return await self.go_on(verb, full, arguments, run_id=run_id, by=by, later=later, trace=trace)

    async def go_on(
        self,
        verb: str,
        full: str,
        arguments: Mapping[str, Any],
        *,
        run_id: str,
        by: Mapping[str, str],
        later: bool,
        trace: Mapping[str, str],
    ) -> Response:
        """As `run`, of a run that has its name. Whoever would wait for the lease is told who has it: for that moment
        only, but without a process of his own.
        """
        holder = await self.readers.ask(lambda context: context.target.holder())
        if holder is not None and not is_settling(holder):
            raise await asyncio.to_thread(self._refused, verb, {"name": full, **arguments}, by, held_by(holder))
        job = self.work.start(verb, {**arguments, "name": full}, run_id=run_id, by=by, trace=trace)
        end = await wait_for(job, self.options.soon if later else self.options.longest_answer)
        if end is not None:
            return self._answered(end)
        data = {"id": run_id, "name": full, "status": "running"}
        where = f"{PREFIX}/runs/{quote(run_id, safe='')}"
        return answer(data, f"{full} is under way", status=202, headers={"Location": where})

    def _promised(self, context: Context, name: str) -> tuple[str, str]:
        """The migration's whole name, and that of the run."""
        from bascule.planning.names import find
        from bascule.services.runs import RunNames

        full = find(name, context.source.listing()).name
        return full, RunNames(context.clock).mint(full)

    def _refused(self, action: str, what: Mapping[str, Any], by: Mapping[str, str], error: BasculeError) -> Exception:
        """The same error, which is in the audit log now."""
        trail = self.doorman.trail(by["name"], by["from"])
        given = {key: value for key, value in what.items() if value not in (None, "")}
        trail.ask(action, given)
        try:
            trail.end("refused", code=error.code, state=error.state, message=error.message)
        except (BasculeError, OSError) as problem:
            LOG.warning("%s could not be written into the audit log: %s", action, type(problem).__name__)
        return error

    def _answered(self, end: Mapping[str, Any]) -> Response:
        clean = self.settings.clean
        if "error" in end:
            return told(int(end.get("status", 500)), end["message"], end["error"], clean)
        more = {key: value for key, value in end.items() if key == "warnings"}
        return answer(end.get("data"), end.get("message"), success=bool(end["success"]), clean=clean, more=more)

    async def change(
        self, action: str, what: Mapping[str, Any], who: Principal, request: Request, work: Callable[[Context], T]
    ) -> T:
        """A small change, done here; in the audit log before and after. Raises what `work` raises."""
        return await asyncio.to_thread(self._changed, action, what, who.name, place_of(request), work)

    def _changed(self, action: str, what: Mapping[str, Any], who: str, where: str, work: Callable[[Context], T]) -> T:
        from bascule import wiring
        from bascule.services.trail import audited

        opened = wiring.context(self.settings, publish=_nobody, say=_nobody)
        trail = wiring.trail(self.settings, opened.target, where=where, who=who)
        try:
            with audited(dataclasses.replace(opened, trail=trail), action, what) as context:
                return work(context)
        finally:
            if trail.last is not None:
                # As the runs' own: whoever cuts the audit log does not have the server's.
                LOG.info("%s: Audit log: %d:%s", action, trail.last.number, trail.last.mac)
            opened.target.close()

    def prometheus(self, context: Context) -> str:
        """The metrics as Prometheus reads them."""
        from bascule import wiring
        from bascule.services.metrics import metrics

        return wiring.prometheus(self.settings, context, metrics(context, kept=self.tallies))

    async def kept(self, name: str, make: Callable[[Context], T]) -> T:
        """An answer that is made anew only when something has changed."""
        return await self.readers.ask(lambda context: self._kept(name, make, context))

    def _kept(self, name: str, make: Callable[[Context], T], context: Context) -> T:
        from bascule.services.pulse import pulse

        # Asked before the answer is made: what changes meanwhile is seen the next time.
        now, beat = time.monotonic(), (pulse(context), _stamp(context.source.folder))
        known = self.answers.get(name)
        if known is not None and known.beat == beat and now - known.at < _KEPT:
            answer: T = known.answer
            return answer
        answer = make(context)
        self.answers[name] = _Known(answer=answer, beat=beat, at=now)
        return answer

    def close(self) -> None:
        """Give everything back; work that is under way goes on."""
        self.readers.close()
        self.doorman.identities.close()


def _stamp(folder: str | os.PathLike[str]) -> int:
    """Another one as soon as a file comes or goes."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _nobody(_told: object) -> None:
    """Nobody listens to a small change."""
