"""No row is older than was declared."""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, Rule
from bascule.validation.declared import declared_tests


def _inspect(asked: Asked) -> Inspection:
    if not asked.declared:
        return Inspection(skipped="nothing declared")
    tests, problems = declared_tests(asked)
    return Inspection(findings=problems, tests=tests, advice="Remove or archive the old rows.")


RULE = Rule(
    id="data_retention",
    name="Data Retention",
    description="No row is older than was declared.",
    category="business_logic",
    severity="info",
    inspect=_inspect,
)
