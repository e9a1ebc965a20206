"""From what was found to the answer of a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import sqrt
from typing import Any

from bascule.domain.validation import RuleResult, Status
from bascule.ports.validation import (
    AggregateTest,
    Catalog,
    Inspection,
    Outcome,
    QueryTest,
    RowTest,
    Test,
    ValidationRule,
)

_TOLD = 3
"""Findings that a message names."""
_LISTED = 100
"""Findings that the details list."""
_SURE = 1.96
"""Standard deviations on either side that hold 95 of 100 cases."""
_NONE_SEEN = 3.0
"""None among n rows: 95 times of 100 fewer than 3/n are so."""


def judge(
    rule: ValidationRule,
    inspection: Inspection,
    outcomes: Sequence[Outcome],
    *,
    catalog: Catalog,
    at: datetime,
    ms: float,
) -> RuleResult:
    """The answer of a rule that was inspected; `outcomes` are those of its tests, in order; `ms` is what the inspection
    itself took.
    """
    answered = list(zip(inspection.tests, outcomes, strict=True))
    broken = [(test, outcome) for test, outcome in answered if outcome.offenders]
    open_ones = [*inspection.unread, *(outcome.problem for _, outcome in answered if outcome.problem)]
    found = [each.words for each in inspection.findings] + [offence(test, outcome) for test, outcome in broken]
    advice = [each.advice for each in inspection.findings if each.advice]
    if broken and inspection.advice:
        advice.append(inspection.advice)
    status = _status(rule, inspection, found=bool(found), open_ones=bool(open_ones))
    # Tests of one pass share its problem, which is told once.
    problems = list(dict.fromkeys(open_ones))
    return RuleResult(
        rule_id=rule.id,
        rule_name=rule.name,
        category=rule.category,
        severity=rule.severity,
        status=status,
        message=_message(inspection, found, problems, status),
        timestamp=at,
        details=_details(inspection, answered, found, problems, advice, catalog),
        sample=tuple(row for _, outcome in broken for row in outcome.sample),
        execution_ms=round(ms + sum(outcome.ms for outcome in outcomes)),
        sampled=any(outcome.share < 1 for outcome in outcomes),
        counts={each.words: (1, 1) for each in inspection.findings}
        | {test.words: _between(outcome) for test, outcome in broken},
    )


def _status(rule: ValidationRule, inspection: Inspection, *, found: bool, open_ones: bool) -> Status:
    if found:
        return "fail" if rule.severity == "error" else "warning"
    if open_ones:
        return "error"
    return "skipped" if inspection.skipped else "pass"


def _message(inspection: Inspection, found: Sequence[str], problems: Sequence[str], status: Status) -> str:
    if status == "skipped":
        return inspection.skipped
    if status == "pass":
        return inspection.looked or "nothing found"
    told = [*found, *(f"not looked at: {words}" for words in problems)]
    rest = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return "; ".join(told[:_TOLD]) + rest


def offence(test: Test, outcome: Outcome) -> str:
    """What is wrong, and in how many rows; of a sample, about how many."""
    if isinstance(test, AggregateTest):
        return f"{test.words}: {test.shown} is {outcome.value or 'NULL'}"
    if outcome.share >= 1:
        return f"{test.words}: {outcome.offenders:,} {'row' if outcome.offenders == 1 else 'rows'}"
    estimate, error = estimated(outcome)
    return f"{test.words}: about {estimate:,} rows (give or take {error:,}; {outcome.share:.1%} of the table was read)"


def estimated(outcome: Outcome) -> tuple[int, int]:
    """How many rows of the whole table offend, and the error of that in 95 of 100 cases, if they lie about evenly."""
    rows = max(outcome.rows, 1)
    if not outcome.offenders:
        return 0, round(_NONE_SEEN / outcome.share)
    part = outcome.offenders / rows
    return round(outcome.offenders / outcome.share), round(_SURE * sqrt(part * (1 - part) * rows) / outcome.share)


def _between(outcome: Outcome) -> tuple[int, int]:
    """How many rows offend, at least and at most."""
    if outcome.share >= 1:
        return outcome.offenders, outcome.offenders
    estimate, error = estimated(outcome)
    return max(estimate - error, outcome.offenders), estimate + error


def _details(
    inspection: Inspection,
    answered: Sequence[tuple[Test, Outcome]],
    found: Sequence[str],
    problems: Sequence[str],
    advice: Sequence[str],
    catalog: Catalog,
) -> Mapping[str, Any]:
    details: dict[str, Any] = {
        "tests": len(answered),
        "rowsRead": rows_read(answered),
    }
    if found:
        details |= {"findings": list(found[:_LISTED]), "found": len(found)}
    if advice:
        details["advice"] = list(dict.fromkeys(advice))
    if problems:
        details["notLookedAt"] = problems[:_LISTED]
    if inspection.passed_over:
        details["passedOver"] = list(inspection.passed_over[:_LISTED])
    sampling = [
        _sampling(test, outcome, catalog) for test, outcome in answered if outcome.share < 1 and not outcome.problem
    ]
    if sampling:
        details["sampling"] = sampling[:_LISTED]
    return details


def rows_read(answered: Sequence[tuple[Test, Outcome]]) -> int:
    """Conditions of one table are read in one pass, whose rows count once."""
    together: dict[Any, int] = {}
    for number, (test, outcome) in enumerate(answered):
        place = test.table if isinstance(test, RowTest | AggregateTest) else number
        together[place] = max(together.get(place, 0), outcome.rows)
    return sum(together.values())


def _sampling(test: Test, outcome: Outcome, catalog: Catalog) -> Mapping[str, Any]:
    estimate, error = estimated(outcome)
    table = None if isinstance(test, QueryTest) else catalog.tables.get(test.table)
    return {
        "table": table.shown if table else "",
        "about": test.words,
        "share": round(outcome.share, 6),
        "rowsRead": outcome.rows,
        "offenders": outcome.offenders,
        "estimate": estimate,
        "error": error,
    }


def failed(rule: ValidationRule, words: str, *, at: datetime, ms: float) -> RuleResult:
    """A rule that came to no answer by itself."""
    return RuleResult(
        rule_id=rule.id,
        rule_name=rule.name,
        category=rule.category,
        severity=rule.severity,
        status="error",
        message=words,
        timestamp=at,
        execution_ms=round(ms),
    )
