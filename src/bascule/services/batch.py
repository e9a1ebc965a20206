"""Run the migrations of one `up`, one after the other, under the lease."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from bascule.domain.history import LedgerEntry
from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run, RunStatus
from bascule.errors import BasculeError
from bascule.ports.database import Lease, Meanwhile
from bascule.services.apply_one import apply_one
from bascule.services.batch_facts import batch_ended, batch_started
from bascule.services.carry_out import CarryOut
from bascule.services.checking import Checks, checks
from bascule.services.choice import Choice, choose
from bascule.services.context import Context
from bascule.services.environment import guard_environment, guard_run, note_reason
from bascule.services.estimated import estimated
from bascule.services.foresee import foresee
from bascule.services.hooks import hooks_around, run_hooks
from bascule.services.leasing import leased
from bascule.services.loss import accept_losses
from bascule.services.preimages import throw_away_old
from bascule.services.recovery import Recovery
from bascule.services.report import Report
from bascule.services.requests import UpRequest
from bascule.services.runs import RunNames
from bascule.services.saving import saved
from bascule.services.situation import Situation, look
from bascule.services.so_far import owning_up_to
from bascule.services.unfinished import finish

Around = Callable[[PlannedMigration, Callable[[], Run]], Run]


def apply(context: Context, request: UpRequest, situation: Situation) -> Report:
    """What `up` does when there may be something to do. Raises as `up`."""
    choice = _choose(context, request, situation)
    for words in choice.warnings:
        context.say(words)
    planned = choice.planned(context)
    if request.dry_run:
        words = _would(context, planned)
        return Report(success=True, message=words, planned=planned, warnings=_warnings(choice, planned))
    if not planned and not situation.marks:
        named = request.names or request.to
        words = "what you named is applied already." if named else "everything is applied."
        return Report(success=True, message=f"Nothing to do: {words}", warnings=choice.warnings)
    for words in _of_the_plan(planned):
        context.say(f"Warning: {words}")
    guard_environment(context)
    if planned:
        guard_run(context, request, planned)
    fresh = _fresh(planned, situation)
    seen = foresee(context, fresh, wanted=request.backup)
    for words in seen.notices:
        context.say(f"Warning: {words}")
    losses = accept_losses(context, fresh, accepted=request.accept_data_loss, yes=request.yes, losses=seen.losses)
    context.target.prepare()
    run = planned[0].name if len(planned) == 1 else f"{len(planned)} migrations"
    with leased(context, run, needless=lambda: _nothing_left(context, situation, planned)) as lease:
        if lease is None:
            return Report(success=True, message="Nothing left to do: another process has just applied it.")
        recovery = Recovery(
            context=context,
            lease=lease,
            wanted=request.rollback_on_failure,
            accepted=request.accept_data_loss,
            make_backup=request.backup,
        )
        runs = finish(context, lease, recovery=recovery, reason=request.reason, let_in=request.let_in)
        with owning_up_to(runs):
            now = look(context, situation.refs)
            if _changed(situation, now):
                planned = _again(context, request, now, planned)
            _check_plan(context, request, now, planned)
            if planned:
                note_reason(context, "up", [each.name for each in planned], request.reason)
            checked = checks(context, planned, wanted=request.validate)
            for words in checked.warnings():
                context.say(f"Warning: {words}")
            backups = saved(context, planned, wanted=request.backup)
            recovery = dataclasses.replace(recovery, backups=backups)
            planned = _expected(planned, estimated(context, planned))
            around = partial(_around, checked, backups)
            _with_hooks(context, lease, planned, runs, around, recovery, keep=request.backup)
            throw_away_old(context)
    return Report(
        success=True,
        message=_did(runs),
        runs=tuple(runs),
        warnings=(*_warnings(choice, planned), *seen.notices, *checked.warnings()),
        details={"losses": list(losses)} if losses else {},
    )


def _check_plan(context: Context, request: UpRequest, now: Situation, planned: Sequence[PlannedMigration]) -> None:
    """Under the lease nobody else changes the ledger any more, so this look is the one that counts."""
    if request.plan is not None:
        from bascule.services.plan_file import check_world

        check_world(context, request.plan, now, planned)


def _choose(context: Context, request: UpRequest, situation: Situation) -> Choice:
    if request.plan is not None:
        from bascule.services.plan_file import choose_by_plan

        return choose_by_plan(context, request.plan, situation)
    return choose(context, situation, names=request.names, to=request.to, steps=request.steps)


def _fresh(planned: Sequence[PlannedMigration], situation: Situation) -> list[PlannedMigration]:
    """What has not been begun: the loss of what is half done was accepted when it began."""
    begun = {name for name, _ in situation.marks}
    return [each for each in planned if each.name not in begun]


def _nothing_left(context: Context, situation: Situation, planned: Sequence[PlannedMigration]) -> bool:
    """Whether somebody else has done all that was planned. Asked again and again while waiting, so it opens no file."""
    now = look(context, situation.refs)
    ledger = now.ledger
    return not now.marks and all(_is_done(each, ledger.get(each.name)) for each in planned)


def _is_done(planned: PlannedMigration, entry: LedgerEntry | None) -> bool:
    if entry is None:
        return False
    return not planned.migration.ref.repeatable or entry.semantic_hash == planned.semantic_hash


def _changed(before: Situation, now: Situation) -> bool:
    return len(before.applied) != len(now.applied) or bool(before.marks) or bool(now.marks)


def _again(
    context: Context, request: UpRequest, now: Situation, planned: Sequence[PlannedMigration]
) -> tuple[PlannedMigration, ...]:
    """Choose again after the wait for the lease; what was planned before is not read twice."""
    kept = {each.name: each for each in planned}
    choice = _choose(context, request, now)
    known = {name: migration for name, migration in choice.read.items() if name not in kept}
    fresh = dataclasses.replace(choice, order=tuple(ref for ref in choice.order if ref.name in known)).planned(context)
    kept.update({each.name: each for each in fresh})
    return tuple(kept[ref.name] for ref in choice.order)


def _with_hooks(
    context: Context,
    lease: Lease,
    planned: Sequence[PlannedMigration],
    runs: list[Run],
    around: Around,
    recovery: Recovery,
    *,
    keep: bool,
) -> None:
    if not planned:
        return
    run_hooks(context, lease, "before_up")
    _run_all(context, lease, planned, runs, around, recovery, keep=keep)
    run_hooks(context, lease, "after_up")


def _expected(planned: Sequence[PlannedMigration], estimates: Mapping[str, int]) -> tuple[PlannedMigration, ...]:
    """The same, each with the time it is expected to take, which its journal then tells beside the time it took."""
    return tuple(dataclasses.replace(each, estimated_ms=estimates.get(each.name)) for each in planned)


def _around(
    checked: Checks,
    backups: Mapping[str, str],
    planned: PlannedMigration,
    run: Callable[[], Run],
) -> Run:
    """Run one, with what was looked at, kept and expected before it in its report."""
    done = checked.around(planned, run)
    return dataclasses.replace(
        done, backup_path=backups.get(planned.name, done.backup_path), estimated_ms=planned.estimated_ms or 0
    )


def _run_all(
    context: Context,
    lease: Lease,
    planned: Sequence[PlannedMigration],
    runs: list[Run],
    around: Around,
    recovery: Recovery,
    *,
    keep: bool,
) -> None:
    """One after the other; each that ended well is added to `runs`."""
    names = RunNames(context.clock, given=context.run_ids)
    ids = [names.mint(each.name) for each in planned]
    batch_started(context, ids, estimates=[each.estimated_ms or 0 for each in planned])
    works = [
        CarryOut(context=context, lease=lease, planned=each, run_id=run_id, keep=keep)
        for each, run_id in zip(planned, ids, strict=True)
    ]
    for earlier, later in pairwise(works):
        if _is_whole(earlier.planned) and _is_whole(later.planned):
            earlier.followed, later.relies_on = True, earlier.planned.name
    for work, following in zip(works, (*works[1:], None), strict=True):
        work.meanwhile = Meanwhile(think=following.ready) if following is not None else None
        try:
            run = around(work.planned, partial(apply_one, work))
        except BasculeError as error:
            batch_ended(context, ids)
            told = recovery.failed(work, error)
            _tell_of_all(told, runs, _failed_run(told, work, context), relies_on=work.relies_on)
            if told is error:
                raise
            raise told from error
        broken = recovery.broke(work, run)
        if broken is not None:
            _tell_of_all(broken, runs, _broken_run(broken, run, context), relies_on=None)
            raise broken
        runs.append(run)
        if context.trail is not None:
            context.trail.ran.append(run.name)


def _is_whole(planned: PlannedMigration) -> bool:
    """One transaction of SQL alone: an author's Python may do things outside the database that cannot be lost."""
    return planned.transactional and all(step.kind != "python" for step in planned.steps)


def _failed_run(error: BasculeError, work: CarryOut, context: Context) -> Run:
    return Run(
        id=work.run_id,
        name=work.planned.name,
        timestamp=context.clock.now(),
        execution_ms=work.elapsed_ms(),
        status="failed",
        dependencies=work.planned.migration.depends or (),
        error=error.message,
        extra=_recovery_of(error),
    )


def _broken_run(error: BasculeError, run: Run, context: Context) -> Run:
    """It ran well, and the data is broken: applied all the same, unless that was undone."""
    applied = any(entry.name == run.name for entry in context.target.ledger())
    status: RunStatus = "completed" if applied else "rolled_back"
    return dataclasses.replace(run, status=status, error=error.message, extra=run.extra | _recovery_of(error))


def _recovery_of(error: BasculeError) -> dict[str, Any]:
    """What was decided after the failure, and done."""
    found = error.details.get("recovery")
    return {} if found is None else {"recovery": found}


def _tell_of_all(error: BasculeError, runs: Sequence[Run], failed: Run, *, relies_on: str | None) -> None:
    """A failure in the middle of a batch has to tell of the whole batch. `relies_on`: see `CarryOut`."""
    error.details.setdefault("data", [run.as_dict() for run in (*runs, failed)])
    if runs:
        words = "was applied and stays applied" if len(runs) == 1 else "were applied and stay applied"
        if error.state == "unknown" and relies_on is not None:
            words = "had been committed; if the server crashed, it may have lost the last of them, each whole"
        error.message += f"\n{_count(len(runs))} before it {words}."
        if error.state == "unchanged":
            error.state = "changed"


def _count(number: int) -> str:
    return f"{number} migration" + ("" if number == 1 else "s")


def _would(context: Context, planned: Sequence[PlannedMigration]) -> str:
    return f"Would run {_count(len(planned))}{hooks_around(context, 'up')}." if planned else "Nothing to do."


def _did(runs: Sequence[Run]) -> str:
    if not runs:
        return "Nothing left to do: another process has just applied it."
    if len(runs) == 1:
        return f"Migration {runs[0].name} executed successfully"
    return f"{_count(len(runs))} executed successfully"


def _warnings(choice: Choice, planned: Sequence[PlannedMigration]) -> tuple[str, ...]:
    return (*choice.warnings, *_of_the_plan(planned))


def _of_the_plan(planned: Sequence[PlannedMigration]) -> list[str]:
    return [f"{each.name}: {words}" for each in planned for words in (*each.warnings, *each.undecidable)]
