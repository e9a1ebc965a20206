"""Ending a run that is under way: its process is asked to stop, as by somebody who sends it SIGTERM where it runs."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bascule.domain.history import Fact, Holder
from bascule.domain.run import iso
from bascule.errors import Refused
from bascule.server.runs import facts_of, is_over, owner_of, run_of
from bascule.services.history import ENDS

if TYPE_CHECKING:
    from bascule.server.work import Work
    from bascule.services.context import Context

_PATIENCE: Final = 15.0
"""Seconds for which the end of the run is awaited; it comes later where a statement takes long to be undone."""
_LOOK: Final = 0.2
_UNTOUCHED = "The database is as it was before."
_PARTLY = "What it had done outside of a transaction stays: the next run finishes it, or `bascule recover` decides."


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborter:
    """Asks processes of this machine to end: the server's own workers, those of a server before it, command lines."""

    work: Work
    asked: set[tuple[str, str]] = field(default_factory=set)
    """Runs, and their processes, that were asked already. A second signal would break off harder, and a third one
    without any care.
    """

    def abort(self, context: Context, run_id: str) -> dict[str, Any]:
        """Ask its process to end and wait for that; the RUN as it is then, which is ``running`` still where its end
        takes long. Raises `UsageError` (``unknown_run``), `Refused` (``not_controllable``): it is over, or was faster,
        or its process is out of reach.
        """
        holder = context.target.holder()
        if holder is not None and holder.run == run_id and self.work.of(run_id) is None:
            return self._abort_holder(context, holder)
        facts = facts_of(context, run_id)
        if self._over(context, run_id, facts):
            raise over(run_id, "abort")
        self._ask_once(run_id, owner_of(context, facts), context.owner)
        _until(lambda: self._over(context, run_id, facts_of(context, run_id)))
        return self._ended(context, run_id)

    def _abort_holder(self, context: Context, holder: Holder) -> dict[str, Any]:
        """What a command line has begun in one transaction has no run yet that anybody else could know: it goes by the
        name of its lease, and by its own once it has ended.
        """
        before = context.target.newest_fact()
        self._ask_once(holder.run, holder.owner, context.owner)
        _until(lambda: not _holds(context, holder))
        known = context.target.journal(kinds=ENDS, after=before)
        if known:
            return self._ended(context, known[-1].run_id)
        status = "running" if _holds(context, holder) else "failed"
        return {"id": holder.run, "name": holder.run, "status": status, "timestamp": iso(holder.since)}

    def _ended(self, context: Context, run_id: str) -> dict[str, Any]:
        run = run_of(context, facts_of(context, run_id), here=self._here(run_id))
        if run["status"] not in ("failed", "running", "pending"):
            raise Refused(
                f"{run_id} was faster: it is {run['status'].replace('_', ' ')}, and nothing was aborted.",
                code="not_controllable",
                hint="A rollback takes back what was applied.",
            )
        return run

    def _here(self, run_id: str) -> bool:
        return self.work.of(run_id) is not None

    def _over(self, context: Context, run_id: str, facts: Sequence[Fact]) -> bool:
        # Asked before the journal is: a worker that ends in between has written its last fact.
        return is_over(context, facts, here=self._here(run_id))

    def _ask_once(self, run_id: str, owner: str, own: str) -> None:
        if (run_id, owner) in self.asked:
            return
        job = self.work.of(run_id)
        if job is not None:
            job.process.terminate()
        else:
            _end(run_id, owner, own)
        self.asked.add((run_id, owner))


def _holds(context: Context, holder: Holder) -> bool:
    now = context.target.holder()
    return now is not None and now.token == holder.token


def _until(true: Callable[[], bool]) -> None:
    """Until it is, or for as long as a caller waits."""
    end = time.monotonic() + _PATIENCE
    while not true() and time.monotonic() < end:
        time.sleep(_LOOK)


def _end(run_id: str, owner: str, own: str) -> None:
    pid = _process(owner, own)
    try:
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            return
    except OSError:
        pass
    raise Refused(
        f"The process of {run_id} is {owner or 'not known'}, which this server cannot end. The run goes on.",
        code="not_controllable",
        hint="Send SIGTERM to that process where it runs: it undoes what is under way and says how it ended.",
    )


def words_of(context: Context, run: Mapping[str, Any]) -> str:
    """What came of it, and where the database stands."""
    run_id = run["id"]
    facts = context.target.journal(run_id=run_id)
    if run["status"] != "failed":
        return f"{run_id} was asked to end. What is under way is cancelled and undone, which takes its time."
    told = next((fact.data["message"] for fact in reversed(facts) if fact.data.get("message")), "")
    if told:
        return f"{run_id} was aborted. {told}"
    closing = next((fact for fact in reversed(facts) if fact.kind in ENDS), None)
    untouched = closing is None or closing.data.get("state") == "unchanged"
    return f"{run_id} was aborted. {_UNTOUCHED if untouched else _PARTLY}"


def over(run_id: str, verb: str) -> Refused:
    """There is nothing left to steer."""
    return Refused(
        f"{run_id} is over: there is nothing to {verb}. GET /runs/{{id}} says how it ended.",
        code="not_controllable",
        hint="A rollback takes back what was applied.",
    )


def _process(owner: str, own: str) -> int | None:
    """The process of ``user@host:pid`` where it is one of Bascule's own on this machine: a program that has Bascule as
    a library has other work to do as well, and is not ended.
    """
    found = re.fullmatch(r"(.*):(\d+)", owner)
    if found is None or found[1] != own.rpartition(":")[0] or int(found[2]) == os.getpid():
        return None
    try:
        words = Path(f"/proc/{found[2]}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    return int(found[2]) if _is_bascule(words) else None


def _is_bascule(words: Sequence[str]) -> bool:
    modules = [words[place + 1] for place, word in enumerate(words[:-1]) if word == "-m"]
    named = any(os.path.basename(word) == "bascule" for word in words[:2])
    return named or (bool(modules) and modules[0] in ("bascule", "bascule.server.worker"))
