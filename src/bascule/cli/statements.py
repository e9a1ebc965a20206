"""Statements, steps and plans as people read them: exactly what would be sent, and what protects it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bascule.domain.forecast import Forecast
from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.way_back import MigrationWayBack
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
_REASONS = 5
"""Of one migration that are shown."""
_WAYS_BACK = {
    "down": "its down script",
    "inverse": "the inverse of its statements",
    "preimage": "its down script, and what is kept of what it destroys",
    "backup": "a backup",
    "none": "none",
}
_WAYS = {
    "down": "the down script",
    "inverse": "its inverse",
    "preimage": "kept, and put back",
    "backup": "only a backup",
    "none": "none",
}


def statement_lines(text: str, line: int, *, outside: bool = False, indent: str = "  ") -> list[str]:
    """A statement with its place, whole."""
    head = f"{indent}-- line {line}" + (", cannot run in a transaction" if outside else "")
    return [head, *(f"{indent}{row}" for row in f"{text};".splitlines())]


def plan_lines(migrations: Sequence[PlannedMigration], forecast: Forecast | None = None) -> list[str]:
    """What would run, in order."""
    answer: list[str] = []
    for number, planned in enumerate(migrations, start=1):
        lines = _migration_lines(number, planned, forecast)
        answer += ["", *lines] if answer else lines
    return answer


def forecast_lines(forecast: Forecast | None) -> list[str]:
    """The plan as a whole."""
    if forecast is None or not forecast.migrations:
        return []
    answer = ["", f"Impact: {forecast.impact} · time: {_time(forecast.total)}"]
    back = forecast.rollback
    if back.migrations_to_revert:
        to = f"back to {back.target_migration}" if back.target_migration else "back to none applied"
        loss = ", with losses (see above)" if back.data_loss_warning else ""
        answer.append(f"Way back: {len(back.migrations_to_revert)} to revert, {to}{loss}")
    if forecast.backup is not None:
        because = f" ({forecast.backup.why[0]})" if forecast.backup.why else ""
        what = "the whole database" if forecast.backup.tables is None else ", ".join(forecast.backup.tables)
        answer.append(f"Backup before: {what}{because}")
    checks = (*forecast.validation.pre_migration_checks, *forecast.validation.post_migration_checks)
    return [*answer, *(["Checked by up:", *(f"  {each}" for each in checks)] if checks else [])]


def _time(estimate: Mapping[str, Any]) -> str:
    """An estimate, and what it is taken from."""
    basis = {
        "history": f"from {estimate['runs']} like runs",
        "prior": "a prior, no like runs",
        "mixed": "in part a prior",
    }
    interval = f"{_span(estimate['low'])} to {_span(estimate['high'])}"
    return f"about {_span(estimate['ms'])} ({interval}; {basis[estimate['basis']]})"


def _span(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    return f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"


def _migration_lines(number: int, planned: PlannedMigration, forecast: Forecast | None) -> list[str]:
    from bascule.services.plan import describe

    told = describe(planned)
    answer = [f"{number}. {planned.name}" + ("  (down)" if planned.direction == "down" else "")]
    found = forecast.migrations[planned.name] if forecast is not None else None
    facts = [f"impact: {told['dataImpact'] if found is None else found.impact}"]
    if planned.direction == "up":
        way = told["wayBack"] if found is None else found.back.way
        facts.insert(0, f"way back: {_WAYS_BACK.get(way, way)}")
    if told["dependencies"]:
        facts.append(f"depends on: {', '.join(told['dependencies'])}")
    answer.append(f"   {' · '.join(facts)}")
    if found is not None:
        answer.append(f"   time: {_time(found.estimate)}")
        answer += [f"   impact: {words}" for words in found.reasons[:_REASONS]]
        if len(found.reasons) > _REASONS:
            answer.append(f"   impact: and {len(found.reasons) - _REASONS} more statements")
    if found is not None and planned.direction == "up":
        answer += _back_lines(found.back)
    label = "no way back" if planned.direction == "up" else "will be lost"
    losses = told["losses"] if found is None else found.back.losses
    answer += [f"   {label}: {loss.removeprefix(f'{planned.name}: ')}" for loss in losses]
    answer += [f"   after a crash nobody could tell: {words}" for words in planned.undecidable]
    answer += [f"   warning: {words}" for words in planned.warnings]
    for index, step in enumerate(planned.steps, start=1):
        title = _STEPWISE_PYTHON if step.kind == "python" and not planned.transactional else _PROTECTION[_kind(step)]
        answer += _step_lines(index, step, title, alone=len(planned.steps) == 1)
    return answer


def _back_lines(back: MigrationWayBack) -> list[str]:
    """Statement by statement where more leads back than the down script, and what a rollback leaves different."""
    answer = []
    for each in back.ways:
        if each.way in ("down", "inverse") and not each.loses:
            continue
        why = f" ({each.why})" if each.why is not None else ""
        loses = f"; loses {'; '.join(each.loses)}" if each.way == "backup" and each.loses else ""
        answer.append(f"   way back of line {each.line}, {each.what}: {_WAYS[each.way]}{loses}{why}")
    told = back.foretold
    for label, words in (
        ("after a rollback", (*told.differences, *told.rows)),
        ("a rollback puts right by itself", told.mended),
        ("a rollback may not be exact", told.unsure),
    ):
        answer += [f"   {label}: {each}" for each in words[:_REASONS]]
        if len(words) > _REASONS:
            answer.append(f"   {label}: and {len(words) - _REASONS} more")
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
