"""After a run that failed or broke the data: learn what is true, decide, and carry the decision out.

Only the migration that failed is concerned; what was committed before it stays. Nothing is done that the lease does not
allow any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bascule.domain.event import Event
from bascule.domain.history import Fact
from bascule.engine.decide import BEGUN
from bascule.errors import BasculeError, Interrupted, LockNotAvailable, MigrationFailed, NeedsPerson, State
from bascule.ports.database import WorkFailed
from bascule.rollback.after_failure import Action, Back, Committed, Decision, Signals, decide
from bascule.services.environment import protected

if TYPE_CHECKING:
    from datetime import datetime

    from bascule.domain.plan import PlannedMigration
    from bascule.domain.run import Run
    from bascule.domain.schema import Snapshot
    from bascule.domain.statement import Dialect
    from bascule.services.carry_out import CarryOut
    from bascule.services.recovery import Recovery
    from bascule.services.ways_now import PlannedBack, SavedBack

_TRANSIENT = ("deadlock", "serialization_failure")
_FOR_LATER = ("statement_timeout", "disk_full")
"""What stops a run between two steps for a reason that is not in its file."""
_HELPED_LITTLE = "what is named here is not as it was: it is not in the backup, or not of tables"
_AFTER_RESTORE = (
    "Restoring it once more would change nothing. Make again by hand what is named (a view, a function, a right); "
    "bascule show NAME prints the migration, bascule backup list the backups of the whole database."
)
_OF_TABLES = re.compile(r"(?:table|index|trigger|sequence) |rows of |line \d")
"""How differences begin that a backup of tables may mend."""
_LOSES = ("changed_meanwhile", "newer_objects")
"""What a restore says that would take along other people's work."""
_AS_BEFORE = ("exact", "column_order", "cosmetic")
_SHOWN = {
    "nothing": "nothing is undone",
    "retry": "it can be tried again",
    "down": "its statements are taken back",
    "preimages": "what was kept of the rows is put back",
    "restore": "the backup is restored",
    "stop": "nothing more is done",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carried:
    """What came of a decision."""

    words: str
    state: State
    person: bool = False
    """The result is not what it should be."""


@dataclass(slots=True, kw_only=True)
class _Case:
    """One failure: what is known of it, and what could be done."""

    planned: PlannedMigration
    run_id: str
    error: BasculeError
    signals: Signals
    ways: dict[Action, PlannedBack | SavedBack] = field(default_factory=dict)
    look: Snapshot | None = None
    """Of a rollback: the schema before it."""
    wrong: tuple[str, ...] = ()
    """Of a rollback that came to its end: what is not as it was, or may not be."""
    reached: tuple[str, tuple[str, ...]] | None = None
    """Verdict and differences after what was done."""


class Aftermath:
    """One failure's decision, and what it leads to."""

    def __init__(self, recovery: Recovery) -> None:
        self.context, self.lease = recovery.context, recovery.lease
        self._accepted, self._make_backup, self._backups = recovery.accepted, recovery.make_backup, recovery.backups

    def failed(self, work: CarryOut, error: BasculeError) -> BasculeError:
        """As `Recovery.failed`."""
        done, why = self._done(work.planned.name, "up", error)
        signals = self._signals("steps" if done else "nothing", error, why)
        if done and error.code in _FOR_LATER:
            signals = replace(signals, transient=True)
        case = _Case(planned=work.planned, run_id=work.run_id, error=error, signals=signals)
        if done and not why:
            self._add_ways(case, done=done)
        return self._settle(case)

    def broke(self, work: CarryOut, run: Run, found: Sequence[str]) -> BasculeError:
        """As `Recovery.broke`."""
        listed = "\n".join(f"  {words}" for words in found)
        error = MigrationFailed(
            f"{run.name} ran, and has left new errors in the data:\n{listed}",
            code="data_broken",
            hint="Correct the file, then run bascule up again.",
            state="changed",
            details={"migration": run.name, "newErrors": list(found), "validationResult": run.validation_result},
        )
        signals = replace(self._signals("whole", error, self._unjudged(error)), what="broke_data", new=tuple(found))
        case = _Case(planned=work.planned, run_id=work.run_id, error=error, signals=signals)
        if not signals.unjudged:
            self._add_ways(case, done=None)
        return self._settle(case)

    def rollback_failed(
        self, planned: PlannedMigration, run_id: str, error: BasculeError, look: Snapshot | None
    ) -> BasculeError:
        """As `Recovery.rollback_failed`."""
        done, why = self._done(planned.name, "down", error)
        signals = replace(self._signals("steps" if done else "nothing", error, why), what="rollback_failed")
        case = _Case(planned=planned, run_id=run_id, error=error, signals=signals, look=look)
        if done and not why:
            self._add_backup(case, done)
        return self._settle(case)

    def rollback_wrong(
        self, planned: PlannedMigration, run: Run, applied_at: datetime
    ) -> tuple[Run, BasculeError | None]:
        """As `Recovery.rollback_wrong`."""
        from bascule.services.ways_now import backup_of_the_up, by_backup

        try:
            path = backup_of_the_up(self.context, run.name, applied_at)
        except (BasculeError, WorkFailed):
            path = None  # the verdict stands, and says what it says
        if path is None or not self.lease.held():
            return run, None
        listed = "\n".join(f"  {words}" for words in run.differences)
        error = MigrationFailed(
            f"{run.name} is rolled back, and not all is as it was before:\n{listed}",
            code="rollback_lossy",
            state="changed",
            details={"migration": run.name},
        )
        # What its author wants kept nowhere is not missed, nor is what somebody has given up beforehand.
        missed = bool({"schemaVerdict", "rowsLost"} & run.extra.keys()) and not (_declines(planned) or self._accepted)
        lost = run.differences if missed else ()
        signals = replace(self._signals("whole", error, ""), what="rollback_wrong", lost=lost)
        case = _Case(planned=planned, run_id=run.id, error=error, signals=signals, wrong=run.differences)
        found = by_backup(self.context, path, planned, None, _undisturbed(run))
        if not isinstance(found, str) and self.context.target.dialect == "postgresql" and _holds_written(run, found):
            found = replace(found, back=replace(found.back, sure=True))
        if not isinstance(found, str) and not _may_mend(found, case.wrong):
            found = "the backup holds tables, and what is not as it was is no part of one"
        self._add(case, "restore", found)
        told = self._settle(case)
        recovery = {"recovery": told.details["recovery"]}
        if told.exit_code == NeedsPerson.exit_code:
            return replace(run, extra=run.extra | recovery), told
        if case.reached is None:
            note = f"the backup of before it ran: {path}"
            return replace(run, notes=(*run.notes, note), extra=run.extra | recovery), None
        verdict, differences = case.reached
        note = told.details["recovery"]["done"]
        better = replace(run, verdict=verdict, differences=differences, notes=(*run.notes, note))
        return replace(better, extra=run.extra | recovery), None

    # ---- what is known -----------------------------------------------------------------------------------------------

    def _done(self, name: str, direction: str, error: BasculeError) -> tuple[set[int], str]:
        """The steps that are committed, or why nobody can tell."""
        why = self._unjudged(error)
        if why:
            return set(), why
        try:
            return set(self.context.target.marks().get((name, direction), {})) - {BEGUN}, ""
        except (BasculeError, WorkFailed) as problem:
            return set(), f"the marks could not be read: {_message(problem)}"

    def _unjudged(self, error: BasculeError) -> str:
        if error.exit_code == NeedsPerson.exit_code:
            return "a question is open that only a person can answer"
        if error.code == "lease_lost" or not self.lease.held():
            return "another process may have the lease now, so this one touches nothing any more"
        if error.code == "connection_lost" or error.state == "unknown":
            return "what the server did is not known; the next run finds out before it does anything"
        return ""

    def _signals(self, committed: Committed, error: BasculeError, why: str) -> Signals:
        sure = not why and self.context.policy.on_failure == "restore"
        return Signals(
            what="failed",
            committed=committed,
            unjudged=why,
            transient=isinstance(error, LockNotAvailable) or error.code in _TRANSIENT,
            accepted=self._accepted and sure,
            production=not why and protected(self.context),
        )

    def _add_ways(self, case: _Case, *, done: set[int] | None) -> None:
        from bascule.services.ways_now import by_kept_rows, by_statements

        if done is None:
            self._add(case, "preimages", by_kept_rows(self.context, case.planned))
        self._add(case, "down", by_statements(self.context, case.planned, done))
        self._add_backup(case, done)

    def _add_backup(self, case: _Case, done: set[int] | None) -> None:
        from bascule.services.ways_now import by_backup

        path = self._backups.get(case.planned.name)
        if path is None:
            self._add(case, "restore", "there is no backup of before")
        else:
            self._add(case, "restore", by_backup(self.context, path, case.planned, done))

    def _add(self, case: _Case, action: Action, found: PlannedBack | SavedBack | str) -> None:
        if isinstance(found, str):
            case.signals = replace(case.signals, missing=(*case.signals.missing, self.context.conceal(found)))
            return
        case.ways[action] = found
        concealed = tuple(self.context.conceal(words) for words in found.back.loses)
        back: Back = replace(found.back, loses=concealed)
        if action == "restore":
            case.signals = replace(case.signals, backup=back)
        elif action == "down":
            case.signals = replace(case.signals, down=back)
        else:
            case.signals = replace(case.signals, preimages=back)

    # ---- deciding and doing ------------------------------------------------------------------------------------------

    def _settle(self, case: _Case) -> BasculeError:
        """Decide and act until something is done, or nothing is left to be tried."""
        while True:
            decision = self._decided(case)
            self._announce(case, decision)
            if decision.action not in case.ways:
                return self._ended(case, decision, None)
            try:
                carried = self._carry_out(case, decision.action)
            except (BasculeError, WorkFailed) as problem:
                carried = None
                again = self._in_vain(case, decision.action, problem)
                if not again:
                    words = f"What was to undo it failed too: {_message(problem)}"
                    state: State = problem.state if isinstance(problem, BasculeError) else "unknown"
                    carried = _Carried(words=words, state="changed" if state == "unchanged" else state, person=True)
            if carried is not None:
                return self._ended(case, decision, carried)

    def _decided(self, case: _Case) -> Decision:
        policy = self.context.policy.on_failure
        decision = decide(policy, case.signals)
        if not decision.person or case.signals.accepted or self.context.confirm is None or policy == "stop":
            return decision
        accepted = replace(case.signals, accepted=True)
        other = decide(policy, accepted)
        back = case.signals.backup
        if other.action != "restore" or back is None or case.signals.production:
            return decision
        for words in back.loses:
            self.context.say(f"Would be replaced by the backup: {words}")
        if not self.context.confirm("Put the backup back all the same?"):
            return decision
        case.signals = accepted
        return other

    def _in_vain(self, case: _Case, action: Action, problem: Exception) -> bool:
        """It failed and changed nothing, so that something else can be tried."""
        unchanged = isinstance(problem, BasculeError) and problem.state == "unchanged"
        if not unchanged or isinstance(problem, Interrupted) or not self.lease.held():
            return False
        self.context.say(f"That failed, and changed nothing: {_message(problem)}")
        signals = case.signals
        if action == "restore" and isinstance(problem, BasculeError) and problem.code in _LOSES:
            self._would_lose(case, problem)
            return True
        missing = (*signals.missing, self.context.conceal(f"{action} failed: {_message(problem).splitlines()[0]}"))
        case.signals = replace(signals, tried=signals.tried | {action}, missing=missing)
        return True

    def _would_lose(self, case: _Case, problem: BasculeError) -> None:
        """The restore would take along what was not there, or not seen, a moment ago. Whoever agrees gets it now."""
        from bascule.services.ways_now import SavedBack

        way, signals = case.ways["restore"], case.signals
        assert isinstance(way, SavedBack), "a restore is of a backup"
        objects = problem.details.get("objects", ())
        loses = map(self.context.conceal, objects or (problem.message,))
        back = replace(way.back, loses=(*way.back.loses, *loses))
        guard = replace(way.guard, rows=None, goes=way.guard.goes | set(objects))
        case.ways["restore"] = replace(way, back=back, guard=guard)
        case.signals = replace(signals, backup=back)

    def _carry_out(self, case: _Case, action: Action) -> _Carried:
        from bascule.services.ways_now import PlannedBack

        way = case.ways[action]
        if isinstance(way, PlannedBack):
            return self._undo(case, way)
        return self._restore(case, way)

    def _undo(self, case: _Case, way: PlannedBack) -> _Carried:
        from bascule.services.runs import RunNames
        from bascule.services.saving import saved
        from bascule.services.undo import undo_one

        if way.back.loses:
            saved(self.context, [way.plan], wanted=self._make_backup)
        self._clear_leftovers(case.planned)
        run_id = RunNames(self.context.clock).mint(case.planned.name)
        run = undo_one(self.context, self.lease, way.plan, run_id)
        reached = run.verdict or "unverified"
        if reached in _AS_BEFORE and not way.back.sure and not _rows_are_as_before(run):
            words = "whether the rows that it had written are gone again, nobody has looked"
            return _judged(way.back.words, "unverified", (*run.differences, words))
        return _judged(way.back.words, reached, run.differences)

    def _clear_leftovers(self, planned: PlannedMigration) -> None:
        """What a statement outside a transaction left when it was cut short (an INVALID index) belongs to no step that
        is done, so no way back takes it along.
        """
        marks = self.context.target.marks().get((planned.name, "up"))
        for step in planned.steps if marks is not None else ():
            effect = step.insights[0].effect if step.kind == "bare" else None
            if effect is None or step.index in (marks or ()):
                continue
            effect = replace(effect, settings=step.settings) if step.settings else effect
            if self.context.target.observe(effect).state == "broken":
                self.context.target.repair(effect, lease=self.lease)

    def _restore(self, case: _Case, way: SavedBack) -> _Carried:
        from bascule.services.backup_restore import put_back
        from bascule.services.backups import means
        from bascule.services.rollback_by_backup import off_the_ledger
        from bascule.services.runs import RunNames
        from bascule.services.undo import judged_after_restore

        context, name = self.context, case.planned.name
        before = context.target.before(name)
        leaves = case.signals.what not in ("rollback_wrong", "rollback_failed")
        undoes = (name,) if leaves else ()
        kept = put_back(context, means(context), way.manifest, None, guard=way.guard, undoes=undoes).kept
        try:
            if case.signals.what == "rollback_failed":
                return self._rollback_undone(case, way)
            run_id = RunNames(context.clock).mint(name) if leaves else case.run_id
            if leaves:
                off_the_ledger(context, self.lease, name, run_id, way.manifest)
        except BasculeError as error:
            error.state = "changed" if error.state == "unchanged" else error.state
            raise
        # The way back was the backup, whatever the down script says.
        planned = replace(case.planned, migration=replace(case.planned.migration, down=case.planned.migration.up))
        reached, differences, mends = judged_after_restore(context, self.lease, planned, run_id, before, kept)
        for words in mends:
            context.say(words)
        stayed = tuple(each for each in case.wrong if _is_of_others(each, way))
        if stayed and reached in _AS_BEFORE:
            reached, differences = "unverified", (*differences, *stayed)
        case.reached = reached, differences
        return _judged(way.back.words, reached, differences)

    def _rollback_undone(self, case: _Case, way: SavedBack) -> _Carried:
        """The tables are as before the rollback; where the rest of the schema is too, it is as if nobody had tried."""
        from bascule.ports.database import Job
        from bascule.rollback.verdict import compare, verdict
        from bascule.services.failures import unplanned
        from bascule.services.trying import Attempts

        assert case.look is not None, "without a look there is no such way"
        now = self.context.target.snapshot(_touch_of(case.look, case.planned))
        differences = compare(case.look, now)
        reached = verdict(differences)
        words = tuple(f"{each.object}: {each.what}" for each in differences)
        if reached not in _AS_BEFORE:
            return _judged(way.back.words, reached, words)
        fact = Fact(kind="rollback_undone", run_id=case.run_id, migration=case.planned.name, direction="down")
        job = Job(run_id=case.run_id, migration=case.planned.name, direction="down", clear_marks=True, facts=(fact,))
        with unplanned(case.planned.name):
            Attempts(context=self.context, lease=self.lease, tell=lambda words, blockers: None).perform(
                job, watch=None, meanwhile=None
            )
        return _judged(way.back.words, reached, words)

    # ---- telling -----------------------------------------------------------------------------------------------------

    def _announce(self, case: _Case, decision: Decision) -> None:
        # Where nothing is committed there was nothing to be decided, and a person is told the reasons at the end.
        stays = case.signals.committed == "steps" and not decision.person
        if decision.action in case.ways or stays:
            why = "; ".join(decision.reasons)
            self.context.say(
                f"After the failure {_SHOWN[decision.action]} (run.on_failure = {decision.policy}), because {why}."
            )
        self._remember(case, "recovery_decided", decision.as_dict())

    def _remember(self, case: _Case, kind: str, data: Mapping[str, Any]) -> None:
        if case.error.code in ("connection_lost", "lease_lost"):
            return
        direction = "down" if case.signals.what == "rollback_failed" else "up"
        fact = Fact(kind=kind, run_id=case.run_id, migration=case.planned.name, direction=direction, data=data)
        try:
            self.context.target.append((fact,), durable=True)
        except (BasculeError, WorkFailed) as problem:
            self.context.say(f"The decision could not be written to the journal: {problem}")

    def _ended(self, case: _Case, decision: Decision, carried: _Carried | None) -> BasculeError:
        """The error to raise: the failure's own, or that a person is needed."""
        error = case.error
        done = carried.words if carried is not None else None
        recovery = decision.as_dict() | {"done": done}
        person = decision.person or (carried is not None and carried.person)
        recovery["needsPerson"] = person
        if carried is not None:
            self._remember(case, "recovery_ended", recovery)
            error.state = carried.state
            error.message = f"{_in_the_past(error.message)}\n{carried.words}"
            if not person:
                error.hint = _begin_anew(case)
        error.details["recovery"] = recovery
        self.context.publish(
            Event(
                name="migration.recovery",
                run_id=case.run_id,
                migration=case.planned.name,
                at=self.context.clock.now(),
                data=recovery,
            )
        )
        restored = carried is not None and decision.action == "restore"
        return self._for_a_person(case, decision, restored=restored) if person else error

    def _for_a_person(self, case: _Case, decision: Decision, *, restored: bool) -> NeedsPerson:
        """`restored`: the backup was put back, and that was not enough."""
        error = case.error
        reasons = [f"the backup is back, and {_HELPED_LITTLE}"] if restored else decision.reasons
        message = [error.message, f"A person has to decide: {'; '.join(reasons)}."]
        beside = None if restored else self._old_rows(case)
        if beside is not None:
            words, document = beside
            message.append(words)
            error.details["beside"] = document
        return NeedsPerson(
            "\n".join(message),
            code="needs_decision",
            hint=_AFTER_RESTORE if restored else _ways_on(case),
            state=error.state,
            details=error.details | {"failure": error.code, "migration": case.planned.name},
        )

    def _old_rows(self, case: _Case) -> tuple[str, Mapping[str, Any]] | None:
        """Beside the tables, where the backup's rows cannot take the place of those of today."""
        from bascule.services.ways_now import SavedBack

        way = case.ways.get("restore")
        if not isinstance(way, SavedBack) or not way.back.loses:
            return None
        from bascule.services.backups import means
        from bascule.services.restore_beside import restore_beside, told

        try:
            anew = _dropped_columns(case.planned, self.context.target.dialect)
            backups = means(self.context)
            old = restore_beside(self.context, backups, way.manifest, way.written or None, made_anew=anew)
        except (BasculeError, WorkFailed) as problem:
            return f"The old rows are in the backup {way.path}. {_message(problem)}", {"why": _message(problem)}
        return told(old), old.as_dict() | {"backup": way.path}


def _touch_of(look: Snapshot, planned: PlannedMigration) -> Any:
    from bascule.domain.statement import Touch

    return Touch(everything=True) if look.whole else planned.touch


def _dropped_columns(planned: PlannedMigration, dialect: Dialect) -> set[tuple[str, str]]:
    """Table and column, of the columns that either script drops or makes anew."""
    from bascule.planning.steps import read_script
    from bascule.rollback.preimage_reading import read_destroying

    found = set()
    scripts = (planned.migration.up, planned.migration.down)
    for script in scripts:
        if script is None or script.empty or script.language != "sql":
            continue
        for statement, insight in zip(*read_script(script, dialect), strict=True):
            for read in read_destroying(statement, insight, dialect) if insight.destroys else ():
                if read.kind == "columns" and read.name:
                    found |= {(read.name, column) for column in read.columns}
    return found


def _holds_written(run: Run, way: SavedBack) -> bool:
    """By the server's own count of what was written to: every such table is in the backup, or as it was anyway."""
    looks = run.extra.get("rowsLookedAt", ())
    return bool(looks) and all(look["whole"] or look["table"] in way.manifest.tables for look in looks)


def _may_mend(way: SavedBack, wrong: Sequence[str]) -> bool:
    """Some of it is what a restore makes anew."""
    if way.manifest.scope == "database":
        return any(not words.startswith("other ") for words in wrong)
    return any(map(_OF_TABLES.match, wrong))


def _undisturbed(run: Run) -> frozenset[str]:
    """Tables to which nobody else wrote between the migration and the end of its rollback."""
    looks = run.extra.get("rowsLookedAt", ())
    return frozenset(look["table"] for look in looks if look["undisturbed"] and look["rows"] is not None)


def _is_of_others(words: str, way: SavedBack) -> bool:
    """It tells of rows of a table that is not in the backup, so that restoring has left them as they were."""
    if way.manifest.scope == "database" or not words.startswith("rows of "):
        return False
    table = words.removeprefix("rows of ").partition(": ")[0]
    return table not in way.manifest.tables and table.strip('"').replace('""', '"') not in way.manifest.tables


def _declines(planned: PlannedMigration) -> bool:
    """The author wants something kept nowhere."""
    return "no-preimage" in planned.migration.up.text


def _rows_are_as_before(run: Run) -> bool:
    """The rollback's own looks at the tables have seen it."""
    looks = run.extra.get("rowsLookedAt", ())
    return bool(looks) and all(look.get("whole") is True for look in looks)


def _judged(how: str, verdict: str, differences: tuple[str, ...]) -> _Carried:
    words = f"Undone by {how}"
    if verdict in _AS_BEFORE:
        return _Carried(words=f"{words}: the database is as it was before.", state="unchanged")
    listed = "".join(f"\n  {each}" for each in differences)
    if verdict == "unverified":
        return _Carried(words=f"{words}, which could not be compared with how it was before.{listed}", state="changed")
    return _Carried(words=f"{words}, and it is NOT as it was before:{listed}", state="changed", person=True)


def _in_the_past(message: str) -> str:
    """What the error said of the database was true before it was undone."""
    message = re.sub(r" (?:is|are) done and stay; it goes on from there\.", " had been done.", message)
    return re.sub(r" Line \d+ was cut short: .*\. The next run clears that away by itself\.", "", message)


def _begin_anew(case: _Case) -> str:
    if case.signals.what == "rollback_failed":
        return "Correct the down script, then run bascule rollback again."
    return "Correct the file, then run bascule up again: it begins anew."


def _ways_on(case: _Case) -> str:
    """What a person can do, as commands."""
    name = case.planned.name
    ways = []
    if case.signals.what == "rollback_wrong":
        return f"Look, then merge the old rows; or, where nothing newer matters: {_restore_words(case)}."
    if case.signals.what == "rollback_failed":
        ways.append("correct the rest of the down script and run bascule rollback again, which goes on there")
        leave = f"bascule mark {name} --applied"
    else:
        if case.signals.what == "failed":
            ways.append("correct the rest of the file and run bascule up again, which goes on there")
        if case.signals.down is not None:
            ways.append(f"bascule rollback {name}")
        leave = f"bascule mark {name} --pending"
    if case.signals.backup is not None:
        ways.append(f"{_restore_words(case)}, then {leave}")
    return f"Look, then choose: {'; or '.join(ways)}." if ways else "Look at the data, and correct it by hand."


def _restore_words(case: _Case) -> str:
    way: Any = case.ways["restore"]
    return f"bascule backup restore {way.manifest.id} --yes"


def _message(problem: Exception) -> str:
    return problem.message if isinstance(problem, BasculeError | WorkFailed) else str(problem)
