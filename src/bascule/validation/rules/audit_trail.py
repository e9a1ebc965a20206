"""Whether rows say when and by whom, as the project declares they do.

Bad: ``updated_by`` NULL in rows that a script wrote. Good: ``columns = ["created_at", "updated_by"]``, and a trigger.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, ColumnFacts, Declaration, Inspection, Rule
from bascule.validation.declared import only_declared
from bascule.validation.scans import quoted


def _empty(_declaration: Declaration, column: ColumnFacts) -> tuple[str, str]:
    return f"{quoted(column.name)} IS NULL", "is not filled"


def inspect(asked: Asked) -> Inspection:
    """Nothing but declarations."""
    return only_declared(asked, _empty, advice="Fill the columns, by a default or a trigger; make them NOT NULL.")


RULE = Rule(
    id="audit_trail",
    name="Audit Trail",
    description="Declared audit columns are there and filled.",
    category="business_logic",
    severity="info",
    inspect=inspect,
)
