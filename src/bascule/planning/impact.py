"""How much a script does to stored data, as a first word: low, medium or high."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from bascule.domain.statement import Insight

Impact = Literal["low", "medium", "high"]

_CHANGES_ROWS = ("UPDATE", "DELETE", "MERGE", "INSERT", "COPY", "DO", "CALL", "UNKNOWN")


def impact(insights: Iterable[Insight]) -> Impact:
    """High: stored data is removed. Medium: rows or the shape of existing tables change. Low: everything else."""
    answer: Impact = "low"
    for insight in insights:
        if insight.destroys:
            return "high"
        if insight.kind.startswith(("ALTER", *_CHANGES_ROWS)):
            answer = "medium"
    return answer
