"""What the project declares to be always true.

Bad: nothing declared, and the rule lives in one service's code. Good: ``check = "paid <= total"``.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, Rule
from bascule.validation.declared import only_declared


def inspect(asked: Asked) -> Inspection:
    """Nothing but declarations."""
    return only_declared(asked, None, advice="Correct these rows; where it can be one, make the rule a CHECK.")


RULE = Rule(
    id="business_constraints",
    name="Business Constraints",
    description="Declared business rules hold.",
    category="business_logic",
    severity="warning",
    inspect=inspect,
)
