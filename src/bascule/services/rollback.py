"""Undo applied migrations by their down scripts, newest first, and say how exact each came back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import Migration
from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run
from bascule.domain.schema import Snapshot
from bascule.domain.statement import ObjectName, Touch
from bascule.errors import BasculeError, Refused
from bascule.planning.names import find
from bascule.planning.select import select_rollback
from bascule.planning.steps import touch_of
from bascule.ports.database import WorkFailed
from bascule.services.batch_facts import batch_ended, batch_started
from bascule.services.context import Context
from bascule.services.environment import guard_environment, guard_rollback, note_reason, protected
from bascule.services.hooks import hooks_around, run_hooks
from bascule.services.leasing import leased
from bascule.services.loss import accept_losses
from bascule.services.owed_look import owed_look
from bascule.services.planned import plan_one
from bascule.services.recovery import Recovery
from bascule.services.report import Report
from bascule.services.requests import RollbackRequest
from bascule.services.rules_around import RulesAround, rules_around
from bascule.services.runs import RunNames
from bascule.services.saving import saved
from bascule.services.situation import Situation, look
from bascule.services.so_far import owning_up_to
from bascule.services.undo import undo_one
from bascule.services.unfinished import finish


def rollback(context: Context, request: RollbackRequest) -> Report:
    """Undo what is asked for. Raises as `up`; `Refused` with code ``no_way_back`` where a down script is missing or
    empty.
    """
    situation = look(context)
    half_done = _half_done(situation, request, context)
    begun = _begun(situation, half_done)
    entries = _select(context, situation, request, begun) if not half_done else ()
    if not entries and not half_done and not begun:
        return _looked_at(context, request)
    plans = _plan(context, entries, half_done)
    if request.backup is not None:
        _require_whole(half_done, begun)
        from bascule.services.rollback_by_backup import rollback_by_backup

        return rollback_by_backup(context, request, situation, entries, plans)
    if request.dry_run:
        words = f"Would roll back {', '.join((*begun, *_names(plans)))}{hooks_around(context, 'rollback')}."
        return Report(success=True, message=words, planned=plans)
    guard_environment(context)
    guard_rollback(context, request)
    if len(plans) > 1:
        context.say(f"Rolling back, in this order: {', '.join(_names(plans))}.")
    accepted = _no_way_back(context, plans, request)
    for words in accepted:
        context.say(f"Warning: {words}")
    losses = accept_losses(context, plans, accepted=request.accept_data_loss, yes=request.yes)
    warnings: tuple[str, ...] = ()
    context.target.prepare()
    with leased(context, f"rollback of {', '.join((*begun, *_names(plans)))}") as lease:
        assert lease is not None, "without `needless` the lease is had or an error raised"
        left = frozenset(half_done)
        runs = finish(context, lease, leave=left, reason=request.reason, let_in=request.let_in)
        with owning_up_to(runs):
            now = look(context, situation.refs)
            _require_nothing_else(situation, now, chosen={*begun, *_names(plans)})
            plans = _still_there(plans, now)
            if plans:
                note_reason(context, "rollback", _names(plans), request.reason)
                backups = saved(context, _fresh(plans, now), wanted=request.make_backup)
                run_hooks(context, lease, "before_rollback")
                recovery = Recovery(context=context, lease=lease, accepted=request.accept_data_loss, backups=backups)
                rules = rules_around(context, plans) if request.validate and context.policy.validate else None
                _undo_all(recovery, plans, now, runs, rules)
                warnings = tuple(rules.warnings()) if rules is not None else ()
                run_hooks(context, lease, "after_rollback")
    return Report(
        success=True,
        message=_did([run for run in runs if run.direction == "down"]),
        runs=tuple(runs),
        warnings=(*accepted, *warnings),
        details={"losses": list(losses)} if losses else {},
    )


def _looked_at(context: Context, request: RollbackRequest) -> Report:
    """Nothing is left to be undone; but a run that was killed may not have looked at what it reached."""
    runs: list[Run] = []
    if not request.dry_run and request.backup is None and owed_look(context) is not None:
        with leased(context, "look at a rollback") as lease:
            assert lease is not None, "without `needless` the lease is had or an error raised"
            runs = finish(context, lease, reason=request.reason, let_in=request.let_in)
    return Report(success=True, message=_did(runs) if runs else "Nothing to roll back.", runs=tuple(runs))


def _require_whole(half_done: Sequence[str], begun: Sequence[str]) -> None:
    """A backup leads back behind whole migrations."""
    if half_done or begun:
        raise Refused(
            f"{', '.join((*half_done, *begun))} is half done.",
            code="half_done",
            hint="Finish it with bascule recover, then go back by the backup; or restore the tables alone with "
            "bascule backup restore.",
        )


def _fresh(plans: Sequence[PlannedMigration], now: Situation) -> list[PlannedMigration]:
    """Those of which nothing is undone yet."""
    return [each for each in plans if (each.name, "down") not in now.marks]


def _half_done(situation: Situation, request: RollbackRequest, context: Context) -> tuple[str, ...]:
    """A script that stopped half way can be rolled back by its name; rolling back "the last one" past it would be a
    guess.
    """
    names = {name for name, direction in situation.marks if direction == "up"}
    if not names:
        return ()
    if request.name is not None:
        name = find(request.name, situation.refs).name
        return (name,) if name in names else ()
    first = min(names)
    raise Refused(
        f"{first} is half done.",
        code="half_done",
        hint=f"Finish it with bascule up, or undo what was done of it with bascule rollback {first}.",
        state="unchanged",
    )


def _begun(situation: Situation, half_done: Sequence[str]) -> tuple[str, ...]:
    """What an earlier rollback left half done. Carrying it to its end is the first part of what is asked for now: the
    same command, run again after a crash, must not undo more than it was to undo.
    """
    return tuple(sorted(name for name, direction in situation.marks if direction == "down" and name not in half_done))


def _require_nothing_else(situation: Situation, now: Situation, *, chosen: set[str]) -> None:
    """What is to be undone was chosen before the wait for the lease. That some of it is undone by now is no harm: the
    server may have ended what a killed process had sent it. Raises Refused for every other change.
    """
    before, after = ([each.name for each in look.applied if each.name not in chosen] for look in (situation, now))
    if before == after:
        return
    raise Refused(
        "The ledger changed while this command was waiting: another process applied or rolled back something.",
        code="changed_meanwhile",
        hint="Look with bascule status, then run again.",
    )


def _still_there(plans: Sequence[PlannedMigration], now: Situation) -> tuple[PlannedMigration, ...]:
    there = {*now.ledger, *(name for name, _ in now.marks)}
    return tuple(each for each in plans if each.name in there)


def _select(
    context: Context, situation: Situation, request: RollbackRequest, begun: Sequence[str]
) -> tuple[LedgerEntry, ...]:
    listed = situation.by_name
    steps = request.steps
    if begun and request.name is None and request.to is None:
        steps = (steps or 1) - len(begun)
        if steps < 1:
            return ()
    if begun and request.name is not None and find(request.name, situation.refs).name in begun:
        # What depends on it went before it.
        return ()
    by_name = request.name is not None
    depends = (
        {
            entry.name: context.source.read(listed[entry.name]).depends
            for entry in situation.applied
            if entry.name in listed
        }
        if by_name
        else {}
    )
    return select_rollback(
        situation.refs,
        [entry for entry in situation.applied if entry.name not in begun],
        depends,
        name=request.name,
        to=request.to,
        steps=steps,
    )


def _plan(context: Context, entries: Sequence[LedgerEntry], half_done: Sequence[str]) -> tuple[PlannedMigration, ...]:
    listed = {ref.name: ref for ref in context.source.listing()}
    plans = []
    for name in (*half_done, *(entry.name for entry in entries)):
        migration = context.source.read(listed[name])
        plans.append(plan_one(context, _with_a_down(context, migration), "down"))
    return tuple(plans)


def _with_a_down(context: Context, migration: Migration) -> Migration:
    """A missing way back is the inverse that parsing proves. Where it proves none it is planned as an empty one, so
    that there is one path for both; `_no_way_back` has the say.
    """
    if migration.down is not None:
        return migration
    from bascule.planning.steps import read_script
    from bascule.rollback.inverse import inverse_script, is_wanted

    if is_wanted(migration):
        statements, _ = read_script(migration.up, context.target.dialect)
        proved = inverse_script(migration, statements, context.target.dialect)
        if proved is not None:
            return dataclasses.replace(migration, down=proved)
    return dataclasses.replace(migration, down=dataclasses.replace(migration.up, text="", empty=True, language="sql"))


def _no_way_back(context: Context, plans: Sequence[PlannedMigration], request: RollbackRequest) -> tuple[str, ...]:
    """Scripts without a way back: refused, unless their up left nothing to undo, or the loss was accepted."""
    blocked = []
    for each in plans:
        migration = each.migration
        assert migration.down is not None
        if not migration.down.empty:
            continue
        if migration.irreversible is None and _up_changed_nothing(context, each):
            continue
        reason = migration.irreversible or "its down script is empty or missing"
        blocked.append(f"{each.name} has no way back: {reason}")
    if blocked and not request.accept_data_loss:
        raise Refused(
            "\n".join(blocked),
            code="no_way_back",
            hint="Write a down script. To only take it off the ledger and leave the schema as it is: "
            "bascule rollback … --accept-data-loss" + (" (production: think twice)." if protected(context) else "."),
            details={"noWayBack": blocked},
        )
    return tuple(blocked)


def _up_changed_nothing(context: Context, planned: PlannedMigration) -> bool:
    """The up changed neither schema (looked at) nor rows (read from its statements)."""
    from bascule.planning.steps import read_script
    from bascule.rollback.verdict import compare

    before = context.target.before(planned.name)
    if before is None or planned.migration.up.language == "python":
        return planned.migration.up.empty
    _, insights = read_script(planned.migration.up, context.target.dialect)
    if any(
        insight.kind in ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "TRUNCATE", "DO", "CALL")
        for insight in insights
    ):
        return False
    if any(insight.touch.unseen or insight.touch.runs for insight in insights):
        return False
    return not compare(before, context.target.snapshot(planned.touch))


def _undo_all(
    recovery: Recovery,
    plans: Sequence[PlannedMigration],
    situation: Situation,
    runs: list[Run],
    rules: RulesAround | None,
) -> None:
    """One after the other; each that ended well is added to `runs`. `rules` are asked around each."""
    context, lease, backups = recovery.context, recovery.lease, recovery.backups
    names = RunNames(context.clock, given=context.run_ids)
    gone = {each.name for each in plans}
    ids = {each.name: names.mint(each.name) for each in plans}
    batch_started(context, tuple(ids.values()), "down")
    for each in plans:
        look = _look_before(context, each) if each.name in backups else None
        run_id = ids[each.name]
        try:
            why_not = _others(context, each, situation, gone)
            begun = (each.name, "down") in situation.marks
            if rules is not None:
                rules.before(each)
            run = undo_one(context, lease, each, run_id, resuming=begun, why_not=why_not)
            found = rules.after(each, run_id) if rules is not None else {}
            run = dataclasses.replace(run, backup_path=backups.get(each.name), validation_result=found or None)
        except BasculeError as error:
            batch_ended(context, tuple(ids.values()), "down")
            # The backup is of before all of them: once one is undone, it leads back too far.
            alone = look is not None and not any(run.direction == "down" for run in runs)
            known = recovery if alone else dataclasses.replace(recovery, backups={})
            told = known.rollback_failed(each, run_id, error, look)
            _tell_of_all(told, each, runs, context)
            if told is error:
                raise
            raise told from error
        if context.trail is not None:
            context.trail.ran.append(run.name)
        runs.append(_looked_after(recovery, each, run, situation, runs))


def _looked_after(
    recovery: Recovery, planned: PlannedMigration, run: Run, situation: Situation, runs: Sequence[Run]
) -> Run:
    """The run, after what can be done where its result is not what was before. Raises `NeedsPerson`."""
    entry = situation.ledger.get(planned.name)
    if entry is None or run.verdict != "lossy":
        return run if entry is None or run.verdict != "unverified" else _with_the_backup(recovery, run, entry)
    run, error = recovery.rollback_wrong(planned, run, entry.applied_at)
    if error is None:
        return run
    saved = recovery.backups.get(planned.name)
    if saved is not None:
        # Rows that others wrote since the migration ran are in no backup but this.
        error.hint = f"{error.hint} The rows as they were right before this rollback are in the backup {saved}.".strip()
    error.details.setdefault("data", [each.as_dict() for each in (*runs, run)])
    raise error


def _with_the_backup(recovery: Recovery, run: Run, entry: LedgerEntry) -> Run:
    """Where rows could not be compared, whoever looks at them by hand wants to know what holds them as they were."""
    if all(look.get("whole") for look in run.extra.get("rowsLookedAt", ())):
        return run
    from bascule.services.ways_now import backup_of_the_up

    try:
        path = backup_of_the_up(recovery.context, run.name, entry.applied_at)
    except (BasculeError, WorkFailed):
        return run  # the verdict stands without it
    note = f"the rows as they were before it ran are in the backup {path}"
    return run if path is None else dataclasses.replace(run, notes=(*run.notes, note))


def _look_before(context: Context, planned: PlannedMigration) -> Snapshot | None:
    """The schema before a rollback that can stop half way; None where it happens as a whole."""
    if planned.transactional:
        return None
    try:
        return context.target.snapshot(planned.touch)
    except (BasculeError, WorkFailed):
        return None


def _tell_of_all(error: BasculeError, planned: PlannedMigration, runs: Sequence[Run], context: Context) -> None:
    recovery = error.details.get("recovery")
    failed = Run(
        id=planned.name,
        name=planned.name,
        timestamp=context.clock.now(),
        execution_ms=0,
        status="failed",
        direction="down",
        error=error.message,
        extra={} if recovery is None else {"recovery": recovery},
    )
    error.details.setdefault("data", [run.as_dict() for run in (*runs, failed)])
    if runs:
        error.message += f"\nDone before it, and stays so: {', '.join(run.name for run in runs)}."
        error.state = "changed" if error.state == "unchanged" else error.state


def _others(context: Context, planned: PlannedMigration, situation: Situation, gone: set[str]) -> str | None:
    """Migrations applied later and still there that touch the same objects make the comparison with before unfair."""
    ledger = situation.ledger
    mine = ledger.get(planned.name)
    if mine is None:
        return None
    listed = situation.by_name
    for entry in situation.applied:
        if entry.position <= mine.position or entry.name in gone or entry.name not in listed or entry.repeatable:
            continue
        if _overlap(planned.touch, touch_of(context.source.read(listed[entry.name]), context.target.dialect)):
            return f"{entry.name}, applied later, touches the same objects, so the look of before cannot be expected"
    return None


def _overlap(one: Touch, other: Touch) -> bool:
    if one.everything or other.everything:
        return True
    return any(_same(mine, its) for mine in one.objects for its in other.objects)


def _same(mine: ObjectName, its: ObjectName) -> bool:
    """Whether the two may be one object, or one a column of the other. Two columns of a table are two objects."""
    if (mine.kind, mine.name) != (its.kind, its.name):
        return False
    return None in (mine.column, its.column) or mine.column == its.column


def _names(plans: Sequence[PlannedMigration]) -> tuple[str, ...]:
    return tuple(each.name for each in plans)


def _did(runs: Sequence[Run]) -> str:
    if not runs:
        return "Nothing left to roll back: what was to be undone is undone."
    if len(runs) == 1:
        return f"Migration {runs[0].name} rolled back: {_VERDICTS[runs[0].verdict or 'unverified']}"
    return f"{len(runs)} migrations rolled back"


_VERDICTS = {
    "exact": "the schema is exactly as it was before.",
    "column_order": "the schema is as it was before, but for the order of columns.",
    "cosmetic": "the schema is as it was before, but for generated names or layout.",
    "lossy": "the schema is NOT as it was before.",
    "none": "it was taken off the ledger; the schema was left as it is.",
    "unverified": "whether all is as it was before could not be seen.",
}
