"""Strict mode: what the data rules find about the tables that a run touches refuses the run before it begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from bascule.domain.event import Event
from bascule.domain.plan import PlannedMigration
from bascule.domain.validation import RuleResult, ValidationReport
from bascule.errors import Refused
from bascule.services.concealed import concealed
from bascule.services.context import Context
from bascule.services.validation_failed import note_failed
from bascule.validation.counts import touched_tables

_TOLD = 5
"""Rules whose answers a message tells."""
_ROWS = 3
"""Rows that it shows of each."""


def refuse_faults(context: Context, planned: Sequence[PlannedMigration]) -> None:
    """Ask the rules of data and business about all tables that the migrations name, and those that refer to them; about
    all there are where a migration runs code that nobody can follow.

    Raises:
        Refused: code ``data_not_valid``; a rule of severity error or warning found something, or came to no answer.
        ConfigError, Interrupted, TargetUnreachable: as `bascule.services.validate.validate`.
    """
    from bascule.services.rules_around import RULES
    from bascule.services.validate import Wanted, validate

    tables, everything = touched_tables(planned, context.target.dialect)
    if context.rules is None or not (tables or everything):
        return
    validation, begun = dataclasses.replace(context.rules(), strict=True), context.clock.monotonic()
    with closing(validation.reader):
        wanted = Wanted(
            rules=RULES,
            touched=() if everything else tables,
            context={"environment": context.policy.environment},
        )
        report = validate(validation, wanted)
    if not report.is_valid:
        _publish(context, planned, report, took=context.clock.monotonic() - begun)
        raise _refused(context, report)


def _publish(context: Context, planned: Sequence[PlannedMigration], report: ValidationReport, *, took: float) -> None:
    data: dict[str, Any] = {"errors": [context.conceal(words) for words in report.errors]}
    at = context.clock.now()
    name = planned[0].name
    rules = [result.rule_id for result in report.results if report.refuses(result)]
    note_failed(context, name, rules, data["errors"])
    data |= {"rules": rules, "executionTime": round(took * 1000)}
    context.publish(Event(name="migration.validation_failed", run_id="", migration=name, at=at, data=data))


def _refused(context: Context, report: ValidationReport) -> Refused:
    broken = [result for result in report.results if report.refuses(result)]
    lines = ["The data that the run touches is not valid, and the mode is strict:"]
    for result in broken[:_TOLD]:
        lines += [f"  {result.rule_id} ({result.severity}): {result.message}", *_rows(result)]
    if len(broken) > _TOLD:
        lines.append(f"  and {len(broken) - _TOLD} more rules")
    return Refused(
        context.conceal("\n".join(lines)),
        code="data_not_valid",
        hint="Correct these rows and run again. A migration that is to mend them runs with --no-validate; without "
        "validation.strict faults that are there already refuse nothing.",
        details={"report": concealed(report.as_dict(), context.conceal)},
    )


def _rows(result: RuleResult) -> list[str]:
    shown = []
    for row in result.sample[:_ROWS]:
        values = ", ".join(f"{name} {_value(value)}" for name, value in dict(row.get("row") or {}).items())
        shown.append(f"    {row.get('table', '')}: {values}")
    return shown


def _value(value: object) -> str:
    """On one line, whatever it holds."""
    text = "NULL" if value is None else str(value)
    return text if text.isprintable() and text else repr(text)
