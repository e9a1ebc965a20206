"""Declared rules of the business hold."""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, Rule
from bascule.validation.declared import declared_tests


def _inspect(asked: Asked) -> Inspection:
    if not asked.declared:
        return Inspection(skipped="nothing declared")
    tests, problems = declared_tests(asked)
    return Inspection(findings=problems, tests=tests, advice="Correct the rows, or the rule.")


RULE = Rule(
    id="business_constraints",
    name="Business Constraints",
    description="Declared rules of the business hold.",
    category="business_logic",
    severity="warning",
    inspect=_inspect,
)
