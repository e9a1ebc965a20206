"""The engine's next command, for each thing that can be known."""

from __future__ import annotations

import pytest

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.plan import PlannedMigration, Reading, Step
from bascule.domain.statement import Effect, Insight, Statement, Touch
from bascule.engine.commands import (
    Ask,
    Begin,
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
from bascule.engine.decide import BEGUN, REPAIRS, decide
from bascule.engine.facts import Facts

INDEX = Effect(action="create_index", name="i", table="t", concurrently=True)
UNKNOWN = Effect(action="unknown")


def statement(index: int, *, repeatable: bool = False) -> Statement:
    return Statement(text=f"statement {index}", index=index, line=index + 1, offset=0, repeatable=repeatable)


def marked(index: int, *, temporary: bool = False) -> Step:
    insight = Insight(kind="CREATE TABLE", transactional=True, temporary=temporary)
    return Step(index=index, kind="marked", statements=(statement(index),), insights=(insight,), digest=f"d{index}")


def bare(index: int, effect: Effect = INDEX, *, repeatable: bool = False) -> Step:
    insight = Insight(kind="CREATE INDEX CONCURRENTLY", transactional=False, effect=effect)
    return Step(
        index=index,
        kind="bare",
        statements=(statement(index, repeatable=repeatable),),
        insights=(insight,),
        digest=f"d{index}",
    )


def plan(*steps: Step, transactional: bool = False, direction: str = "up") -> PlannedMigration:
    script = Script(text="", path="1_m.sql")
    ref = MigrationRef(name="1_m", version="1", order=(1,), path="1_m.sql")
    return PlannedMigration(
        migration=Migration(ref=ref, up=script, down=script, exact_hash=""),
        direction=direction,  # type: ignore[arg-type]
        steps=steps,
        transactional=transactional,
        reading=lambda: Reading(touch=Touch(), semantic_hash=""),
        parser="",
    )


def begun(**facts: object) -> Facts:
    marks = {BEGUN: "all", **facts.pop("marks", {})}  # type: ignore[dict-item]
    return Facts(applied=False, marks=marks, **facts)  # type: ignore[arg-type]


def test_a_transactional_script_runs_whole() -> None:
    assert decide(plan(marked(0), transactional=True), Facts(applied=False)) == RunWhole()


@pytest.mark.parametrize(("direction", "applied"), [("up", True), ("down", False)])
def test_nothing_is_left_once_the_ledger_says_so(direction: str, applied: bool) -> None:
    assert decide(plan(marked(0), direction=direction), Facts(applied=applied)) == Finished()


def test_a_script_without_transaction_first_says_that_it_is_under_way() -> None:
    assert decide(plan(marked(0), bare(1)), Facts(applied=False)) == Begin()


def test_a_step_that_can_run_in_a_transaction_runs_with_its_mark() -> None:
    first, second = marked(0), marked(1)
    assert decide(plan(first, second), begun()) == RunMarked(step=first, last=False)
    assert decide(plan(first, second), begun(marks={0: "d0"})) == RunMarked(step=second, last=True)


def test_a_bare_step_is_looked_for_before_it_is_sent() -> None:
    step = bare(0)
    facts = begun()
    assert decide(plan(step), facts) == Look(step=step)
    assert decide(plan(step), facts.with_step(0, seen="absent", before="absent")) == Send(step=step)


def test_an_invalid_index_of_an_earlier_crash_is_removed_before_it_is_built() -> None:
    step = bare(0)
    assert decide(plan(step), begun().with_step(0, seen="broken", before="broken")) == Repair(step=step)


def test_after_the_server_said_done_the_catalog_is_still_asked() -> None:
    step = bare(0)
    ended = begun().with_step(0, before="absent", outcome="ended")
    assert decide(plan(step), ended) == Look(step=step)
    assert decide(plan(step), ended.with_step(0, seen="complete")) == MarkDone(step=step, last=True, recognised=False)
    assert decide(plan(step), ended.with_step(0, seen="broken")) == Repair(step=step)


def test_an_end_known_from_the_journal_alone_is_believed_only_while_the_effect_is_there() -> None:
    """The journal may be kept elsewhere, and the database be one restored from before it."""
    step = bare(0)
    recalled = begun().with_step(0, before="absent", outcome="ended", recalled=True, digest="d0")
    assert decide(plan(step), recalled) == Look(step=step)
    assert decide(plan(step), recalled.with_step(0, seen="absent")) == Send(step=step)
    assert decide(plan(step), recalled.with_step(0, seen="complete")) == MarkDone(
        step=step, last=True, recognised=False
    )
    vacuum = bare(0, Effect(action="harmless"))
    assert decide(plan(vacuum), recalled.with_step(0, seen="absent")) == MarkDone(
        step=vacuum, last=True, recognised=False
    )


@pytest.mark.parametrize("outcome", ["sent", "ended"])
def test_what_is_known_of_a_statement_is_not_taken_for_another_that_stands_in_its_place_now(outcome: str) -> None:
    step = bare(0)
    command = decide(plan(step), begun().with_step(0, before="absent", outcome=outcome, digest="of another text"))
    assert isinstance(command, Ask)
    assert command.code == "edited_half_done"


def test_what_mending_has_finished_is_not_sent_again() -> None:
    """A partition whose detaching was cut short is detached by finishing that."""
    step = bare(0, Effect(action="detach_partition", name="part", table="whole", concurrently=True))
    mended = begun().with_step(0, before="absent", seen="complete", repairs=1)
    assert decide(plan(step), mended) == MarkDone(step=step, last=True, recognised=True)
    assert decide(plan(step), mended.with_step(0, outcome="refused")) == MarkDone(step=step, last=True, recognised=True)


def test_an_index_rebuilt_from_whole_to_whole_is_rebuilt_again_after_clearing_away() -> None:
    step = bare(0, Effect(action="reindex", name="i", concurrently=True))
    cleared = begun().with_step(0, before="complete", seen="complete", repairs=1)
    assert decide(plan(step), cleared) == Send(step=step)


def test_an_effect_that_is_there_after_a_crash_is_recognised_not_repeated() -> None:
    step = bare(0)
    known = begun().with_step(0, before="absent", outcome="sent", seen="complete")
    assert decide(plan(step), known) == MarkDone(step=step, last=True, recognised=True)


def test_an_effect_that_was_there_before_the_first_attempt_proves_nothing() -> None:
    step = bare(0)
    known = begun().with_step(0, before="complete", outcome="sent", seen="complete")
    assert decide(plan(step), known) == Send(step=step)


def test_if_not_exists_is_content_with_what_was_there() -> None:
    step = bare(0, Effect(action="create_index", name="i", if_exists=True))
    known = begun().with_step(0, before="complete", outcome="sent", seen="complete")
    assert decide(plan(step), known) == MarkDone(step=step, last=True, recognised=True)


def test_somebody_else_building_the_same_index_is_waited_for() -> None:
    step = bare(0)
    assert decide(plan(step), begun().with_step(0, seen="building", before="building")) == WaitForBuilder(step=step)


def test_a_refused_statement_leaves_no_invalid_index_behind() -> None:
    step = bare(0)
    refused = begun().with_step(0, before="absent", outcome="refused")
    assert decide(plan(step), refused) == Look(step=step)
    assert decide(plan(step), refused.with_step(0, seen="broken")) == Repair(step=step)
    assert decide(plan(step), refused.with_step(0, seen="absent")) == Fail(step=step)


def test_what_nobody_can_tell_is_asked() -> None:
    step = bare(0, UNKNOWN)
    sent = begun().with_step(0, before="undecidable", outcome="sent", seen="undecidable")
    command = decide(plan(step), sent)
    assert isinstance(command, Ask)
    assert command.code == "undecidable_step"
    assert "line 1" in command.question
    assert decide(plan(step), sent.with_step(0, answer="done")) == MarkDone(step=step, last=True, recognised=True)
    assert decide(plan(step), sent.with_step(0, answer="again")) == Send(step=step)


def test_a_repeatable_statement_is_repeated_without_asking() -> None:
    step = bare(0, UNKNOWN, repeatable=True)
    sent = begun().with_step(0, before="undecidable", outcome="sent", seen="undecidable")
    assert decide(plan(step), sent) == Send(step=step)


def test_an_index_that_breaks_again_and_again_is_a_question_for_a_person() -> None:
    step = bare(0)
    broken = begun().with_step(0, before="absent", outcome="ended", seen="broken", repairs=REPAIRS)
    command = decide(plan(step), broken)
    assert isinstance(command, Ask)
    assert command.code == "keeps_breaking"


def test_a_done_step_that_was_edited_is_named() -> None:
    command = decide(plan(marked(0), marked(1)), begun(marks={0: "something else"}))
    assert isinstance(command, Ask)
    assert command.code == "edited_half_done"
    assert "Step 1" in command.question


def test_a_done_step_that_is_no_longer_in_the_file_is_named() -> None:
    command = decide(plan(marked(0)), begun(marks={0: "d0", 1: "d1"}))
    assert isinstance(command, Ask)
    assert command.code == "edited_half_done"


def test_temporary_objects_of_done_steps_are_known_to_be_gone_after_a_crash() -> None:
    steps = plan(marked(0, temporary=True), marked(1))
    here = begun(marks={0: "d0"})
    assert decide(steps, here) == RunMarked(step=steps.steps[1], last=True)
    after_a_crash = begun(marks={0: "d0"}, resumed=True)
    command = decide(steps, after_a_crash)
    assert isinstance(command, Ask)
    assert command.code == "temporary_lost"
    assert command.step.index == 0
    assert decide(steps, after_a_crash.with_step(0, answer="done")) == RunMarked(step=steps.steps[1], last=True)
