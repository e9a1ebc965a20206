"""From what was found to a rule's answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bascule.domain.validation import RuleResult, Status
from bascule.ports.validation import Catalog, Inspection, Outcome, QueryTest, Test, ValidationRule

_TOLD = 5
_SAMPLES = 20


def judge(
    rule: ValidationRule,
    inspection: Inspection,
    tests: Sequence[tuple[Test, Outcome]],
    *,
    catalog: Catalog,
    at: datetime,
    own_ms: float = 0.0,
) -> RuleResult:
    """The answer of a rule that was inspected, and of its tests."""
    broken = [(test, outcome) for test, outcome in tests if outcome.offenders]
    unanswered = [(test, outcome) for test, outcome in tests if outcome.problem]
    words = [finding.words for finding in inspection.findings]
    words += [offence(test, outcome) for test, outcome in broken]
    ms = round(own_ms + sum(outcome.ms for _, outcome in tests))
    details: dict[str, Any] = {"rowsRead": sum(outcome.rows for _, outcome in tests)}
    if words:
        details["findings"] = words
    advice = [finding.advice for finding in inspection.findings if finding.advice]
    if broken and inspection.advice:
        advice.append(inspection.advice)
    if advice:
        details["advice"] = list(dict.fromkeys(advice))
    if unanswered:
        details["unanswered"] = [f"{_place(catalog, test)}: {outcome.problem}" for test, outcome in unanswered]
    sampled = [(test, outcome) for test, outcome in tests if outcome.share < 1]
    if sampled:
        details["sampling"] = [_sampling(catalog, test, outcome) for test, outcome in sampled]
    status = _status(rule, found=bool(words), unanswered=bool(unanswered), skipped=inspection.skipped)
    return RuleResult(
        rule_id=rule.id,
        rule_name=rule.name,
        category=rule.category,
        severity=rule.severity,
        status=status,
        message=_message(words, unanswered, inspection, len(tests), catalog),
        timestamp=at,
        details=details,
        sample=tuple(row for _, outcome in broken for row in outcome.sample)[:_SAMPLES],
        execution_ms=ms,
        sampled=bool(sampled),
    )


def failed(rule: ValidationRule, words: str, *, at: datetime, ms: float = 0.0) -> RuleResult:
    """The answer of a rule that came to none."""
    return RuleResult(
        rule_id=str(rule.id),
        rule_name=str(rule.name),
        category=rule.category,
        severity=rule.severity,
        status="error",
        message=words,
        timestamp=at,
        execution_ms=round(ms),
    )


def found_status(severity: str) -> Status:
    """What a finding of that severity is called."""
    return "fail" if severity == "error" else "warning"


def _status(rule: ValidationRule, *, found: bool, unanswered: bool, skipped: str) -> Status:
    if found:
        return found_status(rule.severity)
    if unanswered:
        return "error"
    return "skipped" if skipped else "pass"


def _message(
    words: list[str],
    unanswered: Sequence[tuple[Test, Outcome]],
    inspection: Inspection,
    tests: int,
    catalog: Catalog,
) -> str:
    if words:
        more = f"; and {len(words) - _TOLD} more" if len(words) > _TOLD else ""
        return "; ".join(words[:_TOLD]) + more
    if unanswered:
        test, outcome = unanswered[0]
        more = f" (and {len(unanswered) - 1} more)" if len(unanswered) > 1 else ""
        return f"no answer: {_place(catalog, test)}: {outcome.problem}{more}"
    if inspection.skipped:
        return inspection.skipped
    read = f"{tests} look{'s' if tests != 1 else ''} at rows found nothing" if tests else "nothing had to be read"
    return f"{inspection.looked}; {read}" if inspection.looked else read


def offence(test: Test, outcome: Outcome) -> str:
    """How many rows, and what is wrong with them."""
    count = f"{outcome.offenders:,}"
    if outcome.share < 1:
        count = f"about {round(outcome.offenders / outcome.share):,}"
    elif outcome.at_least:
        count = f"at least {count}"
    return f"{count} row{'' if outcome.offenders == 1 and outcome.share == 1 else 's'} {test.words}"


def _sampling(catalog: Catalog, test: Test, outcome: Outcome) -> str:
    """How sure the estimate is, as if rows were drawn one by one; blocks of like rows make it less sure."""
    where = f"{_place(catalog, test)}: {outcome.share:.2%} of the blocks, {outcome.rows:,} rows"
    if not outcome.rows:
        return f"{where}; nothing can be said"
    if not outcome.offenders:
        return f"{where}; with 95 % certainty fewer than {min(1.0, 3 / outcome.rows):.2%} of the rows offend"
    part = outcome.offenders / outcome.rows
    error = 1.96 * math.sqrt(part * (1 - part) / outcome.rows)
    return f"{where}; {part:.2%} ± {error:.2%} of the rows offend (95 %)"


def _place(catalog: Catalog, test: Test) -> str:
    if isinstance(test, QueryTest):
        return test.words
    table = catalog.table(test.table)
    return table.shown if table else test.table[1]
