"""Perform one planned migration: ask the engine, do what it says, tell it what happened, until it says finished."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bascule.domain.event import Event
from bascule.domain.history import Fact
from bascule.domain.migration import Script
from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.statement import Effect, Statement
from bascule.engine.commands import (
    Ask,
    Begin,
    Command,
    Fail,
    Finished,
    Look,
    MarkDone,
    Repair,
    RunMarked,
    RunWhole,
    Send,
    WaitForBuilder,
)
from bascule.engine.decide import BEGUN, decide
from bascule.engine.facts import Facts, recall
from bascule.errors import BasculeError, LockNotAvailable, NeedsPerson, TargetUnreachable
from bascule.ports.database import Job, Lease, LedgerChange, Mark, Meanwhile, Performed, Progress, WorkFailed
from bascule.services.context import Context
from bascule.services.entries import entry_of
from bascule.services.failures import Left, broken_off, failed
from bascule.services.preimages import PreImageSteps, steps_of
from bascule.services.trying import LANDED, Attempts
from bascule.sql.passwords import without_passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a migration ended well."""

    ms: int
    rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class CarryOut:
    """One run. `perform` does it; everything else is its hands.

    Raises from `perform`: MigrationFailed, LockNotAvailable, NeedsPerson, Interrupted. In every case what was written
    down
    beforehand is enough for the next process to go on.
    """

    context: Context
    lease: Lease
    planned: PlannedMigration
    run_id: str
    resuming: bool = False
    """An earlier process left marks of this script; what it did is recalled first."""
    meanwhile: Meanwhile | None = None
    followed: bool = False
    """A whole transaction of this run comes next: see `Job.followed`."""
    relies_on: str | None = None
    """The migration before, whose transaction was `followed`: a server that crashes may have lost it."""
    keep: bool = True
    """Keep what the statements of an up destroy, and put it back with those of a down."""
    rows: list[int] = field(default_factory=list)
    """Rows changed, statement by statement."""
    _notes: list[str] = field(default_factory=list)
    _failure: WorkFailed | None = None
    _begun: float = 0.0
    _written: bool = False
    _first: Job | None = None
    _preimages: PreImageSteps | None = None

    def perform(self) -> Done:
        """Carry the migration out, from wherever it stands."""
        self._begun = self.context.clock.monotonic()
        facts = self._recall() if self.resuming else Facts(applied=self.planned.direction == "down")
        try:
            if self._python and not (self.planned.transactional and not facts.marks):
                self._stepwise_python(facts)
            else:
                while not isinstance(command := decide(self.planned, facts), Finished):
                    facts = self._do(command, facts)
        except BasculeError as error:
            told = self._told(error)
            if told is not error:
                raise told from error
            raise
        return Done(ms=self.elapsed_ms(), rows=tuple(self.rows), notes=tuple(self._notes))

    # ---- what is known -----------------------------------------------------------------------------------------------

    def _recall(self) -> Facts:
        """Facts of a run that somebody else began."""
        planned = self.planned
        applied = planned.direction == "down"
        marks = self.context.target.marks().get((planned.name, planned.direction), {})
        if not marks:
            return Facts(applied=applied)
        self.run_id = next(iter(marks.values()))[1]
        journal = self.context.target.journal(run_id=self.run_id)
        facts = recall(
            applied=applied,
            marks={step: digest for step, (digest, _) in marks.items()},
            journal=[fact for fact in journal if fact.direction == planned.direction],
        )
        done = sum(1 for step in marks if step != BEGUN)
        of = "" if self._python else f" of {len(planned.steps)}"
        self._note(f"resumed run {self.run_id}: {done}{of} steps were done already")
        self._append(self._fact("run_resumed", owner=self.context.owner), durable=False)
        return dataclasses.replace(facts, resumed=True)

    # ---- the hands ---------------------------------------------------------------------------------------------------

    def _do(self, command: Command, facts: Facts) -> Facts:
        self._heed_stop(command)
        match command:
            case RunWhole():
                return self._whole(facts)
            case Begin():
                return self._begin(facts)
            case RunMarked(step=step, last=last):
                return self._marked(step, last, facts)
            case Look(step=step):
                return self._look(step, facts)
            case Send(step=step):
                return self._send(step, facts)
            case Repair(step=step):
                return self._repair(step, facts)
            case MarkDone(step=step, last=last, recognised=recognised):
                return self._mark_done(step, last, recognised, facts)
            case WaitForBuilder(step=step):
                return self._wait_for_builder(step, facts)
            case Fail():
                assert self._failure is not None, "the engine fails only a step that this process sent"
                raise self._failed(self._failure, command.step, self._left(command.step, facts))
            case Ask():
                raise self._ask(command)
            case Finished():
                return facts

    @property
    def _python(self) -> bool:
        return any(step.kind == "python" for step in self.planned.steps)

    @property
    def _script(self) -> Script:
        script = self.planned.migration.up if self.planned.direction == "up" else self.planned.migration.down
        assert script is not None, "a direction without a script is never planned"
        return script

    def ready(self) -> Job | None:
        """Think ahead, before it is this migration's turn: the job that it will begin with, where that is plain."""
        self.planned.reading()
        if self.planned.transactional and not (self.resuming or self._python):
            self._first = self._job_of_all()
        return self._first

    def _whole(self, facts: Facts) -> Facts:
        job = self._first or self._job_of_all()
        self._try(job, self.planned.steps[0] if self.planned.steps else None)
        return dataclasses.replace(facts, applied=self.planned.direction == "up")

    def _job_of_all(self) -> Job:
        statements = self._kept.statements(self.planned.steps[0]) if self.planned.steps and not self._python else ()
        settings = self.planned.steps[0].settings if self.planned.steps else ()
        return self._job(
            statements=statements,
            settings=settings,
            ledger=self._ledger_change(),
            clear_marks=self.planned.direction == "down",
            before=self.planned.touch if self.planned.direction == "up" else None,
            facts=(self._ended(),),
            followed=self.followed,
            preimages=self._kept.of(0, first=True, last=True),
        )

    def _begin(self, facts: Facts) -> Facts:
        whole = self._digest_of_all()
        job = self._job(
            mark=Mark(step=BEGUN, digest=whole),
            before=self.planned.touch if self.planned.direction == "up" else None,
            facts=(self._fact("run_started", owner=self.context.owner),),
            preimages=self._kept.of(None, first=True),
        )
        self._try(job, None)
        return facts.with_mark(BEGUN, whole)

    def _marked(self, step: Step, last: bool, facts: Facts) -> Facts:
        self._tell(step, "running", begins=True)
        job = self._job(
            statements=self._kept.statements(step),
            settings=step.settings,
            mark=None if last else Mark(step=step.index, digest=step.digest),
            clear_marks=last,
            ledger=self._ledger_change() if last else None,
            facts=(self._ended(),) if last else (self._fact("step_done", step.index),),
            preimages=self._kept.of(step.index, last=last),
        )
        self._try(job, step)
        return self._after(step, last, facts)

    def _look(self, step: Step, facts: Facts) -> Facts:
        effect = _effect(step)
        if effect is None:
            return facts.with_step(step.index, seen="undecidable")
        seen = self.context.target.observe(effect)
        first = facts.of(step.index)
        if first.before is None and first.outcome is None:
            return facts.with_step(step.index, seen=seen.state, before=seen.state)
        return facts.with_step(step.index, seen=seen.state)

    def _send(self, step: Step, facts: Facts) -> Facts:
        known = facts.of(step.index)
        text = step.statements[0].text
        announced = self._fact(
            "step_started", step.index, before=known.before, digest=step.digest, statement=without_passwords(text)[:500]
        )
        self._append(announced, durable=True)
        facts = facts.with_step(step.index, outcome="sent", recalled=False, digest=None, seen=None, answer=None)
        self._tell(step, "running", begins=True)
        try:
            done = self.context.target.perform_bare(
                step.statements[0],
                settings=step.settings,
                lease=self.lease,
                run_id=self.run_id,
                watch=self._watch(step),
            )
        except WorkFailed as failure:
            return self._bare_failed(step, failure, facts)
        self.rows.extend(done.rows)
        self._append(self._fact("step_done", step.index), durable=True)
        return facts.with_step(step.index, outcome="ended", seen=None)

    def _bare_failed(self, step: Step, failure: WorkFailed, facts: Facts) -> Facts:
        if failure.kind == "lost":
            return self._connected_again(step, failure, facts)
        if failure.kind in ("fence", "cancelled"):
            raise self._failed(failure, step, self._left(step, facts))
        self._append(
            self._fact("step_failed", step.index, error=failure.message, sqlstate=failure.sqlstate), durable=True
        )
        self._failure = failure
        return facts.with_step(step.index, outcome="refused", seen=None)

    def _connected_again(self, step: Step, failure: WorkFailed, facts: Facts) -> Facts:
        """After a loss the catalog has to be looked at anew."""
        try:
            self._attempts().after_loss(failure)
        except WorkFailed as gone:
            raise self._failed(gone, step) from gone
        return facts.with_step(step.index, seen=None)

    def _left(self, step: Step, facts: Facts) -> Left | None:
        """What a statement that was cut short or refused left behind; None: nothing, as far as the catalog tells."""
        effect = _effect(step)
        line = step.statements[0].line
        if effect is None or effect.action == "harmless":
            return None
        try:
            seen = self.context.target.observe(effect)
        except (BasculeError, WorkFailed):
            return "unknown", f"What line {line} left behind could not be looked at."
        if seen.state in ("broken", "building"):
            return "changed", f"Line {line} was cut short: {seen.words}. The next run clears that away by itself."
        if seen.state == "undecidable":
            return "unknown", f"How far line {line} came, nothing in the database tells."
        if seen.state == "complete" and facts.of(step.index).before != "complete":
            return "changed", f"What line {line} asks for is there: {seen.words}."
        return None

    def _repair(self, step: Step, facts: Facts) -> Facts:
        effect = _effect(step)
        assert effect is not None, "only an effect that the catalog shows can be seen broken"
        try:
            words = self.context.target.repair(effect, lease=self.lease)
        except WorkFailed as failure:
            if failure.kind == "lost":
                return self._connected_again(step, failure, facts)
            raise self._failed(failure, step, self._left(step, facts)) from failure
        self._note(words)
        self._append(self._fact("repaired", step.index, words=words), durable=True)
        return facts.with_step(step.index, seen=None, repairs=facts.of(step.index).repairs + 1, **_again(facts, step))

    def _mark_done(self, step: Step, last: bool, recognised: bool, facts: Facts) -> Facts:
        if recognised:
            self._note(f"the effect of line {step.statements[0].line} was already there; it was not done twice")
        job = self._job(
            mark=None if last else Mark(step=step.index, digest=step.digest),
            clear_marks=last,
            ledger=self._ledger_change() if last else None,
            facts=(self._ended(),) if last else (),
            preimages=self._kept.of(None, last=last),
        )
        self._try(job, step)
        return self._after(step, last, facts)

    def _wait_for_builder(self, step: Step, facts: Facts) -> Facts:
        clock = self.context.clock
        begun = clock.monotonic()
        self._tell(step, "waiting for another session that is at work on the same object")
        while self._look(step, facts).of(step.index).seen == "building":
            if clock.monotonic() - begun > self.context.policy.limits.bare_lock_wait:
                raise LockNotAvailable(
                    f"{self.planned.name}: another session is still building what line "
                    f"{step.statements[0].line} asks for.",
                    hint="Run again when it has ended.",
                    state=self._state(facts),
                )
            if self.context.stopping() or not self.lease.held():
                raise self._failed(WorkFailed("cancelled", "stopped while waiting"), step)
            clock.sleep(0.2)
        return facts.with_step(step.index, seen=None)

    # ---- Python ------------------------------------------------------------------------------------------------------

    def _work(self, connection: Any) -> None:
        """The author's function, inside the transaction."""
        from bascule.services.python_migrations import scripts

        step = self.planned.steps[0]

        def tell(statement: Statement) -> None:
            self._tell(dataclasses.replace(step, statements=(statement,)), "running", begins=True)

        scripts(self.context).in_transaction(
            self._script, self.planned.direction, connection, dialect=self.context.target.dialect, on_statement=tell
        )

    def _stepwise_python(self, facts: Facts) -> None:
        """The author's function, each statement a step; then the ledger row."""
        from bascule.services.python_migrations import scripts
        from bascule.services.python_steps import PythonSteps

        if BEGUN not in facts.marks:
            facts = self._begin(facts)
        steps = PythonSteps(work=self, facts=facts, perform=self._do)
        target = self.context.target
        try:
            scripts(self.context).stepwise(
                self._script,
                self.planned.direction,
                dialect=target.dialect,
                server_version=target.describe().version,
                execute=steps.execute,
                connect=target.open_reader,
                batches=steps,
            )
        except WorkFailed as failure:
            raise self._failed(failure, None) from failure
        end = self._job(
            clear_marks=True,
            ledger=self._ledger_change(),
            facts=(self._ended(),),
            preimages=self._kept.of(None, last=True),
        )
        self._try(end, None)

    def batch(self, statement: Statement | None, mark: Mark, settings: tuple[str, ...]) -> int:
        """One transaction of a step that runs in many, with its mark. Answers the rows changed."""
        before = len(self.rows)
        statements = () if statement is None else (statement,)
        self._try(self._job(statements=statements, settings=settings, mark=mark), None)
        return sum(rows for rows in self.rows[before:] if rows > 0)

    def _heed_stop(self, command: Command) -> None:
        """Told to stop while nothing was under way that could be cancelled: nothing new is begun. What the server has
        done already
        is still marked.
        """
        if self.context.stopping() and isinstance(command, RunWhole | Begin | RunMarked | Send | Repair):
            step = None if isinstance(command, RunWhole | Begin) else command.step
            raise self._failed(WorkFailed("cancelled", "stopped before it was sent"), step)

    @property
    def _kept(self) -> PreImageSteps:
        if self._preimages is None:
            self._preimages = steps_of(self.context, self.planned, keep=self.keep)
        return self._preimages

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def _job(self, **parts: Any) -> Job:
        return Job(run_id=self.run_id, migration=self.planned.name, direction=self.planned.direction, **parts)

    def _try(self, job: Job, step: Step | None) -> None:
        try:
            performed = self._perform(job, step)
        except WorkFailed as failure:
            raise self._failed(failure, step) from failure
        if performed is LANDED:
            self._note("the connection was lost, and the server had already committed; nothing was done twice")
            return
        self.rows.extend(performed.rows)
        for notice in performed.notices:
            self._note(notice)

    def _perform(self, job: Job, step: Step | None) -> Performed:
        attempts, watch = self._attempts(), self._watch(step)
        if step is None or step.kind != "python":
            return attempts.perform(job, watch=watch, meanwhile=self.meanwhile)
        target = self.context.target
        return attempts.keep_trying(job, lambda: target.perform_with(job, self._work, lease=self.lease, watch=watch))

    def _attempts(self) -> Attempts:
        return Attempts(context=self.context, lease=self.lease, tell=self._tell_waiting, relies_on=self.relies_on)

    def _after(self, step: Step, last: bool, facts: Facts) -> Facts:
        if last:
            return dataclasses.replace(facts, applied=self.planned.direction == "up", marks={})
        return facts.with_mark(step.index, step.digest)

    def _ledger_change(self) -> LedgerChange:
        planned, migration = self.planned, self.planned.migration
        if planned.direction == "down":
            return LedgerChange(remove=planned.name)
        entry = entry_of(
            migration,
            run_id=self.run_id,
            semantic_hash=planned.semantic_hash,
            parser=planned.parser,
            execution_ms=0 if planned.transactional else max(1, self.elapsed_ms()),
        )
        return LedgerChange(entry=entry)

    def _digest_of_all(self) -> str:
        return self.planned.semantic_hash

    # ---- telling -----------------------------------------------------------------------------------------------------

    def _fact(self, kind: str, step: int | None = None, **data: Any) -> Fact:
        return Fact(
            kind=kind,
            run_id=self.run_id,
            migration=self.planned.name,
            direction=self.planned.direction,
            step=step,
            data={key: value for key, value in data.items() if value is not None},
        )

    def _ended(self) -> Fact:
        up = self.planned.direction == "up"
        notes = list(self._notes) or None
        ms = None if self.planned.transactional else self.elapsed_ms()
        unsaved = True if up and not self.keep else None
        expected = self.planned.estimated_ms
        return self._fact(
            "run_completed" if up else "rolled_back", notes=notes, ms=ms, unsaved=unsaved, estimatedMs=expected
        )

    def _append(self, fact: Fact, *, durable: bool) -> None:
        self.context.target.append((fact,), durable=durable)

    def _note(self, words: str) -> None:
        if words and words not in self._notes:
            self._notes.append(words)

    def elapsed_ms(self) -> int:
        """Milliseconds since it began; 0 before."""
        if not self._begun:
            return 0
        return round((self.context.clock.monotonic() - self._begun) * 1000)

    def _tell(
        self,
        step: Step | None,
        phase: str,
        percent: float | None = None,
        waiting: tuple[str, ...] = (),
        *,
        begins: bool = False,
    ) -> None:
        data: dict[str, Any] = {
            "step": step.index if step else 0,
            "steps": len(self.planned.steps),
            "statement": step.statements[0].text[:200] if step and step.statements else "",
            "phase": phase,
            "percent": percent,
            "elapsedMs": self.elapsed_ms(),
            "waiting": list(waiting),
        }
        if begins:
            data["begins"] = True
        self.context.publish(
            Event(
                name="migration.progress",
                run_id=self.run_id,
                migration=self.planned.name,
                at=self.context.clock.now(),
                data=data,
            )
        )

    def _tell_waiting(self, words: str, blockers: tuple[str, ...]) -> None:
        self._tell(None, words, waiting=blockers)

    def _watch(self, step: Step | None) -> Callable[[Progress], None]:
        def watch(progress: Progress) -> None:
            self._tell(step, progress.phase, progress.percent, progress.waiting_for)

        return watch

    # ---- ends --------------------------------------------------------------------------------------------------------

    def _state(self, facts: Facts) -> Any:
        return "changed" if any(index != BEGUN for index in facts.marks) else "unchanged"

    def _told(self, error: BasculeError) -> BasculeError:
        """What the author's Python or a port raised has not passed through `failed`, which looks at the database and
        writes the fact.
        """
        if self._written:
            return error
        told = broken_off(self.context, self.planned, self.run_id, error)
        if not isinstance(error, TargetUnreachable):
            self._write_failure(told)
        return told

    def _write_failure(self, error: BasculeError) -> None:
        try:
            self._append(
                self._fact("run_failed", error=error.message, state=error.state, estimatedMs=self.planned.estimated_ms),
                durable=True,
            )
        except (BasculeError, WorkFailed) as problem:
            self.context.say(f"The failure could not be written to the journal: {problem}")

    def _failed(self, failure: WorkFailed, step: Step | None, left: Left | None = None) -> Exception:
        self._written = True
        error = failed(self.context, self.planned, self.run_id, failure, step, left)
        if error.state == "unchanged" and failure.kind not in ("fence", "lost"):
            self._not_begun()
        return error

    def _not_begun(self) -> None:
        """Nothing of the script is done, so it is not half done: the mark that it was begun goes."""
        if self.planned.transactional or self.planned.direction != "up":
            return
        with contextlib.suppress(BasculeError, WorkFailed):
            job = self._job(clear_marks=True, forget_before=True)
            self.context.target.perform(job, lease=self.lease)

    def _ask(self, command: Ask) -> NeedsPerson:
        self._append(
            self._fact("asked", command.step.index, code=command.code, question=command.question), durable=True
        )
        answers = {
            "undecidable_step": "Look at the database, then answer with: bascule recover --answer done (it ran) "
            "or: bascule recover --answer again (it did not, send it again).",
            "temporary_lost": "Finish the rest by hand and record it with: bascule mark "
            f"{self.planned.name} --applied; or, if nothing needs it, go on with: bascule recover --answer done",
            "edited_half_done": "What is done cannot be taken from a file that says something else now.",
        }
        self._written = True
        return NeedsPerson(
            f"{self.planned.name}: {command.question}",
            code=command.code,
            hint=answers.get(command.code, "Look at the server's log for the cause, then run again."),
            state="unknown" if command.code == "undecidable_step" else "changed",
            details={"migration": self.planned.name, "step": command.step.index, "run": self.run_id},
        )


def _effect(step: Step) -> Effect | None:
    """What a bare step leaves, to be looked for under the settings that it was sent under."""
    effect = step.insights[0].effect
    return dataclasses.replace(effect, settings=step.settings) if effect and step.settings else effect


def _again(facts: Facts, step: Step) -> dict[str, Any]:
    """After a repair of something the server had called done, the statement has to be sent again."""
    return {"outcome": None} if facts.of(step.index).outcome in ("ended", "sent") else {}
