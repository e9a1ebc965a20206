"""How much a script does to stored data: low, medium or high, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bascule.domain.statement import Insight

Impact = Literal["low", "medium", "high"]

MANY_ROWS = 1_000_000
MANY_BYTES = 1 << 30
"""From here on a change of a table's rows or shape is of high impact."""

_CHANGES_ROWS = ("UPDATE", "DELETE", "MERGE", "INSERT", "COPY", "DO", "CALL", "UNKNOWN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A table that a statement works on, and what it holds today."""

    table: str
    words: str
    rows: int
    bytes: int

    @property
    def large(self) -> bool:
        """A change of it takes its time, and concerns many."""
        return self.rows >= MANY_ROWS or self.bytes >= MANY_BYTES


def impact(insights: Iterable[Insight]) -> Impact:
    """High: stored data is removed. Medium: rows or the shape of existing tables change. Low: everything else."""
    answer: Impact = "low"
    for insight in insights:
        if insight.destroys:
            return "high"
        if insight.kind.startswith(("ALTER", *_CHANGES_ROWS)):
            answer = "medium"
    return answer


def weighed(insight: Insight, line: int, held: Sequence[Held]) -> tuple[Impact, str]:
    """Of one statement, on tables that hold so much; the words are empty where there is nothing to be said of it."""
    level = impact((insight,))
    if level == "medium" and any(each.large for each in held):
        level = "high"
    if level == "low" and not held:
        return level, ""
    what = insight.destroys or insight.kind
    today = "; ".join(f"{each.table} holds {each.words}" for each in held)
    return level, f"line {line}: {what}" + (f" ({today})" if today else "")


def highest(levels: Iterable[Impact]) -> Impact:
    """Of several."""
    found = set(levels)
    return "high" if "high" in found else "medium" if "medium" in found else "low"
