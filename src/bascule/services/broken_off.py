"""The runs whose process was killed: found by whoever looks, written down once by whoever has the lease next.

A process that dies leaves its lease ungiven and no fact of its run's end. The lease is what tells a run that was broken
off from one that ended without anything to say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bascule.domain.history import ENDED, REQUESTED, Fact, Holder
from bascule.errors import BasculeError
from bascule.ports.database import Job, Lease, WorkFailed
from bascule.services.alive import died_here
from bascule.services.context import Context
from bascule.services.history import ENDS

_ASKED_FOR: Final = ("batch_started", REQUESTED)
_BEGUN: Final = ("run_started", "run_resumed")
_OVER: Final = (*ENDS, "asked", "batch_ended", ENDED)
_NEWEST: Final = 20
"""Beginnings that are looked at: whoever has the lease is alone, so the last one counts."""
_LATELY: Final = 2000
"""Facts among which requests are looked for."""
_SETTLING: Final = "settling what was broken off"
"""What the lease is taken for."""
_KILLED: Final = "Its process ended before the run did: it was killed, or the machine went down."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    run_id: str
    migration: str
    direction: str
    begin: Fact

    @property
    def owner(self) -> str:
        return str(self.begin.data.get("owner") or "")


def broken_off(context: Context) -> tuple[Fact, ...]:
    """As facts that nobody has written yet, in the order in which the runs began. Empty while somebody is at work, and
    from when somebody has taken the lease after the death. Raises as the journal does.
    """
    gone = _gone(context)
    if gone is None:
        return ()
    found = tuple(_told(context, run, sure=False) for run in _without_requests(list(_unended(context, gone))))
    # Whoever took the lease meanwhile may have begun what was seen.
    after = _gone(context) if found else None
    return found if after is not None and after.token == gone.token else ()


def is_settling(holder: Holder | None) -> bool:
    """Whoever has the lease does no more than write down what somebody else has broken off."""
    return holder is not None and holder.run == _SETTLING


def _gone(context: Context) -> Holder | None:
    left = context.target.left_behind()
    if left is not None:
        return left
    holder = context.target.holder()
    return holder if is_settling(holder) else None


def anything_left(context: Context) -> bool:
    """There may be something to settle. Raises as the journal does."""
    if not context.target.describe().prepared:
        return False
    return context.target.left_behind() is not None or any(True for _ in _requests(context, None))


def settle(context: Context) -> tuple[Fact, ...]:
    """See off what a killed process has left at the server, write down which runs it broke off, and give its lease
    back. Runs nothing and undoes nothing that was committed. Answers what was written; nothing where somebody else is
    at work. Raises `NeedsPerson` where a server process cannot be ended, and as the journal does.
    """
    if not anything_left(context):
        return ()
    lease = context.target.acquire(owner=context.owner, run=_SETTLING)
    if isinstance(lease, Holder):
        return ()
    try:
        return write_down(context, lease)
    finally:
        lease.release()


def write_down(context: Context, lease: Lease) -> tuple[Fact, ...]:
    """By whoever has just taken the lease, maybe from one who did not give it back: the ends of the runs without one.
    A script of which nothing was done is not half done any more. Raises as the journal does.
    """
    gone = lease.taken_from
    runs = list(_unended(context, gone)) if gone is not None else []
    begun = {run.run_id for run in runs}
    runs += [run for run in _requests(context, gone) if run.run_id not in begun]
    broken = _without_requests(runs)
    for run in broken:
        _forget_the_beginning(context, lease, run)
    facts = [_told(context, run, sure=True) for run in broken]
    context.target.append([*facts, *(_never_begun(run) for run in runs if run not in broken)])
    return tuple(facts)


def _forget_the_beginning(context: Context, lease: Lease, run: _Run) -> None:
    """Take away the mark that a script was begun, where no step was done and none was sent that no transaction undoes:
    that is no more than book-keeping, and it is simply run again.
    """
    from bascule.engine.decide import BEGUN

    if run.direction != "up" or set(context.target.marks().get((run.migration, "up"), ())) != {BEGUN}:
        return
    if any(fact.kind == "step_started" for fact in context.target.journal(run_id=run.run_id)):
        return
    job = Job(run_id=run.run_id, migration=run.migration, direction="up", clear_marks=True, forget_before=True)
    # Where it cannot be done the script stays half done, and is told as that.
    with contextlib.suppress(BasculeError, WorkFailed):
        context.target.perform(job, lease=lease)


def _without_requests(runs: Sequence[_Run]) -> list[_Run]:
    """A process that was killed at what the requested run needs has broken off that one, and not begun the other."""
    at_work = {run.owner for run in runs if run.begin.kind != REQUESTED}
    return [run for run in runs if run.begin.kind != REQUESTED or run.owner not in at_work]


def _never_begun(run: _Run) -> Fact:
    error = {"code": "worker_died", "hint": "Ask for it again when what it needs is done.", "state": "unchanged"}
    words = f"{_KILLED} It was at something that {run.migration} needs."
    return _fact(run, ENDED, success=False, status=500, message=words, error=error)


def _unended(context: Context, gone: Holder) -> Iterator[_Run]:
    """Runs that have begun and not ended. Nobody has the lease, or we have."""
    journal = context.target.journal
    begins = [*journal(kinds=_ASKED_FOR, limit=_NEWEST), *journal(kinds=_BEGUN, limit=_NEWEST)]
    begins = sorted((each for each in begins if each.data.get("owner") != context.owner), key=lambda fact: fact.number)
    if not begins:
        return
    over = journal(kinds=_OVER, after=begins[0].number)
    known: set[str] = set()
    for begin in begins:
        for run in _runs_of(begin, over):
            asked_only = begin.kind == REQUESTED and run.owner != gone.owner
            if run.run_id not in known and not asked_only and not _is_over(run, over):
                known.add(run.run_id)
                yield run


def _runs_of(begin: Fact, over: Sequence[Fact]) -> Iterator[_Run]:
    """The run that a fact begins. Of a batch the first one that has not ended, unless one before it ended badly."""
    if begin.kind != "batch_started":
        yield _Run(run_id=begin.run_id, migration=begin.migration, direction=begin.direction, begin=begin)
        return
    ends = {fact.run_id: fact.kind for fact in over if fact.number > begin.number and fact.kind in ENDS}
    for run_id in begin.data.get("runs", ()):
        if run_id not in ends:
            name = run_id.rpartition("_")[0]
            yield _Run(run_id=run_id, migration=name, direction=begin.direction, begin=begin)
            return
        if ends[run_id] in ("run_failed", "run_interrupted"):
            return


def _is_over(run: _Run, over: Sequence[Fact]) -> bool:
    return any(
        fact.number > run.begin.number
        and (fact.run_id == run.run_id or (fact.kind == "batch_ended" and fact.data.get("owner") == run.owner != ""))
        for fact in over
    )


def _requests(context: Context, gone: Holder | None) -> Iterator[_Run]:
    """What somebody asked a server for, and the process that was to do it is gone."""
    after = max(0, context.target.newest_fact() - _LATELY)
    asked = context.target.journal(kinds=(REQUESTED,), limit=_NEWEST, after=after)
    dead = [
        fact
        for fact in asked
        if fact.data.get("owner") != context.owner
        and ((gone is not None and fact.data.get("owner") == gone.owner) or _died(context, fact))
    ]
    if not dead:
        return
    over = context.target.journal(kinds=_OVER, after=dead[0].number)
    for fact in dead:
        run = _Run(run_id=fact.run_id, migration=fact.migration, direction=fact.direction, begin=fact)
        if not _is_over(run, over):
            yield run


def _died(context: Context, fact: Fact) -> bool:
    return died_here(str(fact.data.get("owner") or ""), context.owner)


def _told(context: Context, run: _Run, *, sure: bool) -> Fact:
    """The end of a run. `sure`: no server process of it is at work any more."""
    if run.begin.kind != REQUESTED and _is_done(context, run):
        return _fact(run, _END_OF[run.direction], notes=["its process was killed before it could say so"])
    state, words, following = _truth(context, run, sure=sure)
    told = {"error": f"{_KILLED} {words}", "state": state, "next": following, "why": "killed"}
    return _fact(run, "run_interrupted", **told)


_END_OF: Final = {"up": "run_completed", "down": "rolled_back"}


def _fact(run: _Run, kind: str, **data: Any) -> Fact:
    whose = {"owner": run.owner} if run.owner else {}
    return replace(
        run.begin,
        kind=kind,
        run_id=run.run_id,
        migration=run.migration,
        direction=run.direction,
        step=None,
        data={**data, **whose},
    )


def _is_done(context: Context, run: _Run) -> bool:
    """The ledger has what the journal has not: they are in two databases, or the journal's disk forgot it."""
    entry = next((entry for entry in context.target.ledger() if entry.name == run.migration), None)
    if run.direction == "up":
        return entry is not None and entry.run_id == run.run_id
    return entry is None and not context.target.marks().get((run.migration, "down"))


def _truth(context: Context, run: _Run, *, sure: bool) -> tuple[str, str, str]:
    """State of the database, the same in words, and what to do next."""
    from bascule.engine.decide import BEGUN

    marks = context.target.marks().get((run.migration, run.direction), {})
    again = f"bascule {'up' if run.direction == 'up' else 'rollback'}"
    done = sum(1 for index in marks if index != BEGUN)
    finish = "bascule recover, or Recover on the dashboard, goes on from there."
    if done:
        steps = "1 step of it is" if done == 1 else f"{done} steps of it are"
        return "changed", f"{steps} done and stay; the rest is not.", finish
    if marks:
        words = "It runs outside a transaction and had been begun; how far it came is found out before it goes on."
        return "unknown", words, finish
    if run.begin.kind == REQUESTED:
        return "unchanged", "It had not begun; nothing was changed.", f"{again} {run.migration} runs it."
    if not sure:
        words = "It was in a transaction, which is undone unless the server had just committed it."
        return "unknown", words, f"{again} finds that out, and runs it again if need be."
    return "unchanged", "What it had begun was in a transaction, and is undone.", f"{again} runs it again."
