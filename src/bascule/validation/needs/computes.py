"""Values that the server must be able to convert: ALTER COLUMN TYPE with an expression nobody can read but it."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.writing import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Computes:
    """The server computes the expression for every row and says whether it can; which row it was it does not say
    (`bascule.validation.needs.sieve` finds out).
    """

    source: Source
    expression: str
    columns: tuple[str, ...] = ()
    """Columns shown beside the key."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return (self.source.table,)

    def count(self, facts: Facts) -> str | None:
        # Counting what is computed makes the server compute it; the answer is always zero, or an error.
        return f"SELECT count({self.expression}\n) * 0 FROM {self.source.rows(facts)}"

    def heading(self, facts: Facts) -> tuple[str, ...]:
        return ()

    def sample(self, facts: Facts) -> str:
        return ""
