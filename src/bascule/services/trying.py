"""Try a job, and try again where that is right: locks that were busy, clashes, a connection that broke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bascule.engine.retry import next_wait
from bascule.errors import BasculeError
from bascule.ports.database import Job, Lease, Meanwhile, Performed, Watch, WorkFailed
from bascule.services.context import Context

LANDED: Final = Performed(ms=0)
"""Answered instead of a fresh result when the connection broke and the commit turned out to have happened."""

SAY_AFTER = 1.0
"""Seconds of waiting for a lock after which a person is told."""

LOSSES = 3
"""Connections that may break during one job before the run gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """The way to perform a job."""

    context: Context
    lease: Lease
    tell: Callable[[str, tuple[str, ...]], None]
    """Told what is being waited for, and who is in the way."""
    relies_on: str | None = None
    """A migration of this run whose commit did not wait for the disk."""

    def perform(self, job: Job, *, watch: Watch | None, meanwhile: Meanwhile | None) -> Performed:
        """The job's result, or LANDED. Raises the last `WorkFailed` when trying again is no use."""
        return self.keep_trying(
            job, lambda: self.context.target.perform(job, lease=self.lease, watch=watch, meanwhile=meanwhile)
        )

    def keep_trying(self, job: Job, act: Callable[[], Performed]) -> Performed:
        """As `perform`, for any way of performing the job."""
        clock, limits = self.context.clock, self.context.policy.limits
        begun = clock.monotonic()
        attempt = losses = 0
        said = False
        while True:
            try:
                return act()
            except WorkFailed as failure:
                if failure.kind == "lost":
                    losses += 1
                    self.after_loss(failure)
                    if landed(self.context, job):
                        return LANDED
                    if losses > LOSSES:
                        raise _broke_every_time(failure, losses) from failure
                    continue
                attempt += 1
                wait = next_wait(
                    failure.kind,
                    attempt=attempt,
                    elapsed=clock.monotonic() - begun,
                    limit=limits.lock_retry,
                    jitter=clock.jitter(),
                )
                if wait is None or self.context.stopping():
                    raise
                words = "waiting for a lock" if failure.kind == "lock_timeout" else f"{failure.kind}, trying again"
                self.tell(f"{words} (try {attempt})", failure.blockers)
                if not said and clock.monotonic() - begun >= SAY_AFTER:
                    by = f", held by {'; '.join(failure.blockers)}" if failure.blockers else ""
                    self.context.say(f"{job.migration} is waiting for a lock{by}.")
                    said = True
                clock.sleep(wait)

    def after_loss(self, failure: WorkFailed) -> None:
        """Connect again, once the server process of the broken connection is gone. Raises what was lost when that
        cannot be.
        """
        self.tell("connection lost, connecting again", ())
        try:
            self.context.target.reconnect()
        except BasculeError as unreachable:
            raise failure from unreachable
        if not self.lease.held():
            raise WorkFailed("fence", "the lease ran out while the connection was broken") from failure
        if self.relies_on is not None and all(entry.name != self.relies_on for entry in self.context.target.ledger()):
            raise WorkFailed(
                "lost",
                f"the server went down before {self.relies_on}, which it had committed, was on its disk",
                hint="Run it again: what was lost is pending again, whole.",
            ) from failure


def _broke_every_time(failure: WorkFailed, losses: int) -> WorkFailed:
    """The database was asked after each loss, and has nothing of the job."""
    return WorkFailed(
        "error",
        f"The connection broke each of the {losses} times that it was tried. {failure.message}",
        hint="Does a statement end its own session, or bring the server down? The server's log tells.",
    )


def landed(context: Context, job: Job) -> bool:
    """Whether the job's transaction was committed after all: the database is asked, nothing is assumed."""
    change = job.ledger
    if change is not None and change.entry is not None:
        return any(entry.run_id == job.run_id and entry.name == job.migration for entry in context.target.ledger())
    if change is not None:
        return all(entry.name != change.remove for entry in context.target.ledger())
    if job.mark is not None:
        mark = context.target.marks().get((job.migration, job.direction), {}).get(job.mark.step)
        return mark is not None and mark[0] == job.mark.digest
    return False
