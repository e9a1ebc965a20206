"""Declared columns of the audit trail are there and filled."""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, Rule
from bascule.validation.declared import declared_tests


def _inspect(asked: Asked) -> Inspection:
    if not asked.declared:
        return Inspection(skipped="nothing declared")
    tests, problems = declared_tests(asked)
    return Inspection(findings=problems, tests=tests, advice="Fill in the columns, and make them NOT NULL.")


RULE = Rule(
    id="audit_trail",
    name="Audit Trail",
    description="Declared columns of the audit trail are there and filled.",
    category="business_logic",
    severity="info",
    inspect=_inspect,
)
