"""Declared counters, copies and encodings are right."""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, Rule
from bascule.validation.declared import declared_tests


def _inspect(asked: Asked) -> Inspection:
    if not asked.declared:
        return Inspection(skipped="nothing declared")
    tests, problems = declared_tests(asked)
    return Inspection(findings=problems, tests=tests, advice="Correct the counters and copies, and look at what writes them.")


RULE = Rule(
    id="data_consistency",
    name="Data Consistency",
    description="Declared counters, copies and encodings are right.",
    category="data_integrity",
    severity="warning",
    inspect=_inspect,
)
