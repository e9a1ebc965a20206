"""Statements, steps and plans as people read them: exactly what would be sent, and what protects it."""

from __future__ import annotations

from collections.abc import Sequence

from bascule.domain.plan import PlannedMigration, Step
from bascule.planning.steps import cannot_be_told

_PROTECTION = {
    "transaction": "one transaction, with the ledger row in it",
    "marked": "a transaction of its own, with a mark that it is done",
    "bare": "outside of any transaction; journaled before, looked for in the catalog after a crash",
    "again": "outside of any transaction; journaled before, run again after a crash",
    "asked": "outside of any transaction; journaled before, and after a crash only a person can say whether it ran",
    "python": "the author's function, in one transaction with the ledger row",
}
_STEPWISE_PYTHON = "the author's function, each statement of it a step of its own"
_WAYS_BACK = {"down": "its down script", "none": "none"}


def statement_lines(text: str, line: int, *, outside: bool = False, indent: str = "  ") -> list[str]:
    """A statement with its place, whole."""
    head = f"{indent}-- line {line}" + (", cannot run in a transaction" if outside else "")
    return [head, *(f"{indent}{row}" for row in f"{text};".splitlines())]


def plan_lines(migrations: Sequence[PlannedMigration]) -> list[str]:
    """What would run, in order."""
    answer: list[str] = []
    for number, planned in enumerate(migrations, start=1):
        answer += ["", *_migration_lines(number, planned)] if answer else _migration_lines(number, planned)
    return answer


def _migration_lines(number: int, planned: PlannedMigration) -> list[str]:
    from bascule.services.plan import describe

    told = describe(planned)
    way = "down" if planned.direction == "down" else ""
    answer = [f"{number}. {planned.name}" + (f"  ({way})" if way else "")]
    facts = [f"impact: {told['dataImpact']}"]
    if planned.direction == "up":
        facts.insert(0, f"way back: {_WAYS_BACK.get(told['wayBack'], told['wayBack'])}")
    if told["dependencies"]:
        facts.append(f"depends on: {', '.join(told['dependencies'])}")
    answer.append(f"   {' · '.join(facts)}")
    label = "no way back" if planned.direction == "up" else "will be lost"
    answer += [f"   {label}: {loss.removeprefix(f'{planned.name}: ')}" for loss in told["losses"]]
    answer += [f"   after a crash nobody could tell: {words}" for words in planned.undecidable]
    answer += [f"   warning: {words}" for words in planned.warnings]
    for index, step in enumerate(planned.steps, start=1):
        title = _STEPWISE_PYTHON if step.kind == "python" and not planned.transactional else _PROTECTION[_kind(step)]
        answer += _step_lines(index, step, title, alone=len(planned.steps) == 1)
    return answer


def _kind(step: Step) -> str:
    """What a crash in the step would mean; that of a bare one depends on what its statement leaves in the catalog."""
    if step.kind != "bare":
        return step.kind
    effect = step.insights[0].effect
    if step.statements[0].repeatable or (effect is not None and effect.action == "harmless"):
        return "again"
    return "asked" if cannot_be_told(step.insights[0]) else "bare"


def _step_lines(index: int, step: Step, title: str, *, alone: bool) -> list[str]:
    answer = [f"   {title}" if alone else f"   step {index}: {title}"]
    answer += [f"     {setting};  -- made earlier in the file, made again for this step" for setting in step.settings]
    for statement in step.statements:
        answer += statement_lines(statement.text, statement.line, indent="     ")
    return answer
