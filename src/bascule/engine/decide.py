"""The engine: from a plan and what is known, the next command. Resuming after a crash is the normal case."""

from __future__ import annotations

from bascule.domain.plan import PlannedMigration, Step
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
from bascule.engine.facts import Facts, StepFacts

BEGUN = -1
"""The mark that says a script without surrounding transaction is under way, so that whoever comes after a crash
knows."""

REPAIRS = 3
"""How often a broken effect is cleared away and made again before a person is asked why it keeps breaking."""


def decide(plan: PlannedMigration, facts: Facts) -> Command:
    """The next command. Calling it again with the same facts answers the same."""
    if facts.applied == (plan.direction == "up"):
        return Finished()
    if plan.transactional and not facts.marks:
        return RunWhole()
    if BEGUN not in facts.marks:
        return Begin()
    strange = _strange_mark(plan, facts)
    if strange is not None:
        return strange
    for step in plan.steps:
        if step.index in facts.marks:
            continue
        lost = _lost_with_the_session(plan, facts, step)
        if lost is not None:
            return lost
        return advance(step, facts, last=step is plan.steps[-1])
    # Every step is marked but the ledger row is not written: impossible while marks and row share a transaction, unless
    # steps were taken out of the file. The strange-mark test has named that; an unchanged file never gets here.
    return RunMarked(step=plan.steps[-1], last=True)


def advance(step: Step, facts: Facts, *, last: bool) -> Command:
    """The next command for one step that has no mark yet. For a script whose steps are known only as they come
    (Python).
    """
    if step.kind == "bare":
        return _bare(step, facts.of(step.index), last=last)
    return RunMarked(step=step, last=last)


def _bare(step: Step, known: StepFacts, *, last: bool) -> Command:
    if known.digest not in (None, step.digest):
        return _edited_under_way(step)
    if known.outcome == "ended":
        return _after_success(step, known, last=last)
    if known.seen is None:
        return Look(step=step)
    if known.seen == "building":
        return WaitForBuilder(step=step)
    if known.seen == "broken":
        return _mend(step, known)
    if known.seen == "complete" and known.repairs and known.before not in (None, "complete"):
        # Mending what was cut short has finished it: a partition whose detaching was pending is detached by that.
        return MarkDone(step=step, last=last, recognised=True)
    if known.outcome == "refused":
        return Fail(step=step)
    if known.outcome == "sent":
        return _without_an_end(step, known, last=last)
    return Send(step=step)


def _edited_under_way(step: Step) -> Command:
    return Ask(
        step=step,
        code="edited_half_done",
        question=f"Step {step.index + 1} had been sent with another text than line {step.statements[0].line} has now, "
        "and what is known of it is known of that text. Put the file back as it was and run again; or finish by hand "
        "and then say so with bascule mark.",
    )


def _without_an_end(step: Step, known: StepFacts, *, last: bool) -> Command:
    """It was sent, and nobody saw how it ended."""
    effect = step.insights[0].effect
    if known.seen == "complete":
        # It was there before the statement was first sent, so its being there proves nothing, and the statement does
        # not say IF NOT EXISTS: sent again, the server gives the answer the lost attempt got or would have got.
        if known.before == "complete" and not (effect and effect.if_exists):
            return Send(step=step)
        return MarkDone(step=step, last=last, recognised=True)
    if known.seen == "undecidable" and not step.statements[0].repeatable:
        if known.answer == "done":
            return MarkDone(step=step, last=last, recognised=True)
        if known.answer != "again":
            return Ask(step=step, code="undecidable_step", question=_question(step))
    return Send(step=step)


def _after_success(step: Step, known: StepFacts, *, last: bool) -> Command:
    """The server said done. An IF NOT EXISTS over somebody's broken index is also "done", so look before believing."""
    if known.seen is None:
        return Look(step=step)
    if known.seen == "broken":
        return _mend(step, known)
    if known.seen == "building":
        return WaitForBuilder(step=step)
    effect = step.insights[0].effect
    if known.seen == "absent" and known.recalled and effect is not None and effect.action != "harmless":
        return Send(step=step)
    return MarkDone(step=step, last=last, recognised=False)


def _mend(step: Step, known: StepFacts) -> Command:
    if known.repairs < REPAIRS:
        return Repair(step=step)
    return Ask(
        step=step,
        code="keeps_breaking",
        question=f"The statement on line {step.statements[0].line} was repeated {REPAIRS} times, and what it "
        "makes is still not whole.",
    )


def _strange_mark(plan: PlannedMigration, facts: Facts) -> Command | None:
    """A half-done script whose done part was edited, or which has no steps any more where marks say it had."""
    by_index = {step.index: step for step in plan.steps}
    for index, digest in sorted(facts.marks.items()):
        if index == BEGUN:
            continue
        step = by_index.get(index)
        if step is None or step.digest != digest:
            line = step.statements[0].line if step else 1
            return Ask(
                step=step or plan.steps[-1],
                code="edited_half_done",
                question=f"Step {index + 1} of {plan.name} was done before the file was changed (line {line}). "
                f"Put the file back as it was and run again; or finish by hand and then say so with: "
                f"bascule mark {plan.name} --{'applied' if plan.direction == 'up' else 'pending'}",
            )
    return None


def _lost_with_the_session(plan: PlannedMigration, facts: Facts, step: Step) -> Command | None:
    """Temporary objects of done steps are gone in a resumed run's new session."""
    if not facts.resumed:
        return None
    for done in plan.steps:
        if done.index in facts.marks and any(insight.temporary for insight in done.insights):
            answer = facts.of(done.index).answer
            if answer is not None or all(statement.repeatable for statement in done.statements):
                return None
            # Asked about the step that made it: that is where the answer will be looked for.
            return Ask(
                step=done,
                code="temporary_lost",
                question=f"Step {done.index + 1} of {plan.name} (line {done.statements[0].line}) made a temporary "
                f"object, which ended with its session; step {step.index + 1} (line {step.statements[0].line}) may "
                "need it.",
            )
    return None


def _question(step: Step) -> str:
    statement = step.statements[0]
    return (
        f"The statement on line {statement.line} was sent and its end was not seen: {_short(statement.text)}. "
        "Neither a mark nor the catalog can tell whether it ran."
    )


def _short(text: str, width: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
