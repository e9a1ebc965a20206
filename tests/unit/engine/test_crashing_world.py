"""Kill the engine anywhere, as often as you like, in a world that behaves like a database: every effect happens once.

The world keeps what a database keeps (ledger, marks, journal, a catalog with broken leftovers); the loop keeps
nothing over a
crash. A bare statement may die before it reached the server, half way (leaving a broken effect), or after it was done.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from bascule.domain.history import Fact
from bascule.domain.plan import PlannedMigration, Step
from bascule.engine.commands import Ask, Begin, Fail, Finished, Look, MarkDone, Repair, RunMarked, RunWhole, Send
from bascule.engine.decide import BEGUN, decide
from bascule.engine.facts import Facts, recall
from tests.unit.engine.test_decide import UNKNOWN, bare, marked, plan

Cut = Literal["before", "half", "after"]


class Crash(Exception):
    pass


@dataclass
class World:
    ledger: bool = False
    marks: dict[int, str] = field(default_factory=dict)
    journal: list[Fact] = field(default_factory=list)
    catalog: dict[int, str] = field(default_factory=dict)
    effects: dict[int, int] = field(default_factory=dict)
    ledger_writes: int = 0

    def happen(self, step: int) -> None:
        self.effects[step] = self.effects.get(step, 0) + 1


def perform(world: World, planned: PlannedMigration, cuts: list[tuple[int, Cut]]) -> str:
    """Run to the end or to the next crash; `cuts` says at which command, and where in it, to crash."""
    if world.marks:
        facts = replace(recall(applied=world.ledger, marks=world.marks, journal=world.journal), resumed=True)
    else:
        facts = Facts(applied=world.ledger)
    cut_at = cuts.pop(0) if cuts else None
    number = 0
    while True:
        command = decide(planned, facts)
        cut = cut_at[1] if cut_at and cut_at[0] == number else None
        number += 1
        if isinstance(command, Finished):
            return "finished"
        if isinstance(command, Ask):
            return command.code
        assert not isinstance(command, Fail)
        if cut == "before":
            raise Crash
        facts = act(world, planned, command, facts, cut)
        if cut is not None:
            raise Crash


def act(world: World, planned: PlannedMigration, command: object, facts: Facts, cut: Cut | None) -> Facts:
    if isinstance(command, RunWhole):
        if cut != "half":
            world.happen(0)
            world.ledger, world.ledger_writes = True, world.ledger_writes + 1
        return replace(facts, applied=True)
    if isinstance(command, Begin):
        if cut != "half":
            world.marks[BEGUN] = "all"
        return facts.with_mark(BEGUN, "all")
    if isinstance(command, RunMarked):
        if cut != "half":
            world.happen(command.step.index)
            return done(world, command.step, command.last, facts)
        return facts
    if isinstance(command, Look):
        seen = look(world, command.step)
        known = facts.of(command.step.index)
        if known.before is None and known.outcome is None:
            return facts.with_step(command.step.index, seen=seen, before=seen)
        return facts.with_step(command.step.index, seen=seen)
    if isinstance(command, Send):
        return send(world, command.step, facts, cut)
    if isinstance(command, Repair):
        world.catalog.pop(command.step.index, None)
        again = {"outcome": None} if facts.of(command.step.index).outcome in ("ended", "sent") else {}
        return facts.with_step(command.step.index, seen=None, **again)
    assert isinstance(command, MarkDone)
    if cut != "half":
        return done(world, command.step, command.last, facts)
    return facts


def send(world: World, step: Step, facts: Facts, cut: Cut | None) -> Facts:
    index = step.index
    before = facts.of(index).before
    world.journal.append(Fact(kind="step_started", run_id="r", migration="1_m", step=index, data={"before": before}))
    assert world.catalog.get(index) is None, "a statement is never sent over an effect that is there"
    if cut == "half":
        world.catalog[index] = "broken"
        return facts
    world.catalog[index] = "complete"
    world.happen(index)
    if cut == "after":
        return facts
    world.journal.append(Fact(kind="step_done", run_id="r", migration="1_m", step=index))
    return facts.with_step(index, outcome="ended", seen=None, answer=None)


def look(world: World, step: Step) -> str:
    effect = step.insights[0].effect
    if effect is not None and effect.action == "unknown":
        return "undecidable"
    return world.catalog.get(step.index, "absent")


def done(world: World, step: Step, last: bool, facts: Facts) -> Facts:
    if last:
        world.ledger, world.ledger_writes = True, world.ledger_writes + 1
        world.marks.clear()
        return replace(facts, applied=True, marks={})
    world.marks[step.index] = step.digest
    return facts.with_mark(step.index, step.digest)


shapes = st.lists(st.sampled_from(["marked", "bare"]), min_size=1, max_size=5)
crashes = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["before", "half", "after"])), max_size=6)


def steps_of(shape: list[str]) -> PlannedMigration:
    return plan(*(marked(index) if kind == "marked" else bare(index) for index, kind in enumerate(shape)))


@settings(max_examples=400)
@given(shapes, crashes)
def test_every_effect_happens_exactly_once_whatever_is_killed(shape: list[str], cuts: list[tuple[int, Cut]]) -> None:
    world, planned, left = World(), steps_of(shape), list(cuts)
    for _ in range(len(cuts) + 1):
        try:
            assert perform(world, planned, left) == "finished"
            break
        except Crash:
            continue
    assert world.ledger
    assert world.ledger_writes == 1
    assert not world.marks
    assert world.effects == dict.fromkeys(range(len(shape)), 1)
    assert "broken" not in world.catalog.values()


@given(st.sampled_from(["half", "after"]))
def test_an_effect_nobody_can_see_ends_in_a_question_not_in_a_guess(cut: Cut) -> None:
    world, planned = World(), plan(bare(0, UNKNOWN))
    with suppress(Crash):
        perform(world, planned, [(2, cut)])
    world.catalog.clear()
    assert perform(world, planned, []) == "undecidable_step"
    assert not world.ledger
