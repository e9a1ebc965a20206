"""Aggregates that rules of a project want: put together from the ranges of a table, and judged when all is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bascule.ports.validation import AggregateTest, Outcome


@dataclass(frozen=True, slots=True)
class _Mixed:
    """Values of two ranges that cannot be added or compared (SQLite takes any value in any column)."""

    why: str


def together(test: AggregateTest, known: Any, more: Any) -> Any:
    """The aggregate over two ranges; None is that of a range without values."""
    if known is None or more is None:
        return more if known is None else known
    if isinstance(known, _Mixed):
        return known
    try:
        return _together(test.kind, known, more)
    except (TypeError, ArithmeticError) as exc:
        return _Mixed(str(exc))


def _together(kind: str, known: Any, more: Any) -> Any:
    if kind in ("count", "sum"):
        return known + more
    # Both databases put NaN last, which Python compares with nothing.
    if known != known or more != more:
        real, nan = (more, known) if known != known else (known, more)
        return real if kind == "min" else nan
    return min(known, more) if kind == "min" else max(known, more)


def judged(test: AggregateTest, value: Any, *, rows: int, ms: float) -> Outcome:
    """What the rule says to the value. Whatever it raises is a problem of this test."""
    if isinstance(value, _Mixed):
        return Outcome(rows=rows, ms=ms, problem=f"{test.shown}: {value.why}")
    try:
        offends = bool(test.offends(value))
    except Exception as exc:  # noqa: BLE001 - somebody else's code
        return Outcome(rows=rows, ms=ms, problem=f"{test.shown}: it raised {type(exc).__name__}: {exc}")
    text = None if value is None else str(value)
    return Outcome(offenders=int(offends), rows=rows, ms=ms, value=text)
