"""Long work: started in processes of its own, followed while this server lives, found again by the journal after it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookLonger
from dataclasses import dataclass, field
from typing import Any

from bascule.server.problems import Problem
from bascule.server.recipe import Recipe

LOG = logging.getLogger("bascule.server")
_DIED: Mapping[str, Any] = {
    "success": False,
    "status": 500,
    "message": "The worker process ended before its work did.",
    "error": {
        "code": "worker_died",
        "hint": "The status shows where the database stands within seconds; what is half done is gone on with by "
        "POST /runs/{id}/recover, or by the next run.",
        "state": "unknown",
    },
}


_WITHOUT_WAITING: Mapping[str, Any] = {"lock_wait": 2.0}
"""Who asks a server is told at once who has the lease: a worker that waits would keep others out. This is enough for a
server that settles what was broken off."""
LOOKS = frozenset({"validate", "rules", "plan", "rollback_plan"})
"""What changes nothing. It has places of its own: however many runs are under way, one may look."""


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One worker process."""

    verb: str
    run_id: str
    process: subprocess.Popen[bytes]
    ended: Future[dict[str, Any]] = field(default_factory=Future)
    """What came of it."""
    latest: dict[str, Any] | None = None
    """The newest progress, as the worker told it."""
    told: int = 0
    """How often it told something."""


class Work:
    """The worker processes of this server. `most`: at a time, of those that change something and of those that look."""

    def __init__(self, recipe: Recipe, *, most: int) -> None:
        self._recipe, self._most = recipe, most
        self._jobs: set[Job] = set()
        self._lock = threading.Lock()
        self.watched = False
        """The server itself sends the messages about alerts; where it does not, workers do."""
        self.listeners: list[Callable[[Job], None]] = []
        """Called in a job's thread whenever it told something or ended."""

    def start(
        self,
        verb: str,
        arguments: Mapping[str, Any],
        *,
        run_id: str = "",
        by: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        trace: Mapping[str, str] | None = None,
    ) -> Job:
        """Begin it. `trace`: variables that name the trace it is part of. Raises `Problem` (503) where too much is
        under way.
        """
        with self._lock:
            under_way = sum((job.verb in LOOKS) == (verb in LOOKS) for job in self._jobs)
            if under_way >= self._most:
                raise Problem(
                    503,
                    f"{under_way} such pieces of work are under way, which is all this server takes on.",
                    "busy",
                    "Come again in a moment.",
                    headers={"Retry-After": "5"},
                )
            # A session of its own: what ends the server, or a Ctrl-C at its terminal, does not end the work.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bascule.server.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._recipe.folder,
                env=_environment(trace or {}),
                start_new_session=True,
            )
            job = Job(verb=verb, run_id=run_id, process=process)
            self._jobs.add(job)
        given = {
            "recipe": self._recipe.as_dict(),
            "settings": {**_WITHOUT_WAITING, **(settings or {})},
            "verb": verb,
            "arguments": dict(arguments),
            "run": run_id,
            "by": dict(by or {}),
            "watched": self.watched,
        }
        threading.Thread(target=self._follow, args=(job, given), name=f"bascule-{verb}", daemon=True).start()
        return job

    def of(self, run_id: str) -> Job | None:
        """The job of a run that is under way here."""
        return next((job for job in tuple(self._jobs) if job.run_id == run_id), None)

    def jobs(self) -> tuple[Job, ...]:
        """All that are under way here."""
        return tuple(self._jobs)

    def _follow(self, job: Job, given: Mapping[str, Any]) -> None:
        end: dict[str, Any] = dict(_DIED)
        try:
            assert job.process.stdin is not None
            assert job.process.stdout is not None
            with job.process.stdin as stdin:
                stdin.write(json.dumps(given).encode())
            for line in job.process.stdout:
                told = json.loads(line)
                end = told.get("end", end)
                if told.get("event") == "migration.progress":
                    job.latest = told
                elif "said" in told:
                    LOG.info("%s %s: %s", job.verb, job.run_id, told["said"])
                job.told += 1
                self._tell(job)
        except (OSError, ValueError) as problem:
            LOG.warning("The worker of %s %s cannot be followed: %s", job.verb, job.run_id, problem)
        finally:
            job.process.wait()
            with self._lock:
                self._jobs.discard(job)
            job.ended.set_result(end)
            self._tell(job)

    def _tell(self, job: Job) -> None:
        for listener in tuple(self.listeners):
            listener(job)


def _environment(trace: Mapping[str, str]) -> dict[str, str]:
    """Ours, without the trace in which the server itself was started, and maybe long ago."""
    own = {name: value for name, value in os.environ.items() if name not in ("TRACEPARENT", "TRACESTATE")}
    return {**own, **trace}


async def wait_for(job: Job, seconds: float) -> dict[str, Any] | None:
    """Its end; None where that takes longer. The work goes on whatever happens to the waiting."""
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(job.ended)), seconds)
    except (TimeoutError, TookLonger):
        return None
