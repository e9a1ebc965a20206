"""A rule with aggregates, as a project would write one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bascule.ports.validation import AggregateTest, Asked, Inspection, RowTest


class Balance:
    """Aggregates of a rule of the project's own, read together with everybody else's conditions."""

    id = "balance"
    name = "Balance"
    description = "what is booked is balanced"
    category = "business_logic"
    severity = "error"

    def inspect(self, asked: Asked) -> Inspection:
        (table,) = asked.catalog.find("book")

        def aggregate(kind: Any, expression: str, offends: Callable[[Any], bool], words: str) -> AggregateTest:
            return AggregateTest(table=table.key, kind=kind, expression=expression, offends=offends, words=words)

        return Inspection(
            tests=(
                aggregate("sum", "n", lambda value: value != 0, "not balanced"),
                aggregate("min", "n", lambda value: value < -50, "too low"),
                aggregate("count", "*", lambda value: value > 1e9, "too many"),
                aggregate("max", "n / 0.5", lambda value: value.nothing, "never told"),
                RowTest(table=table.key, offends="n = 77", words="book.n is 77"),
            )
        )
