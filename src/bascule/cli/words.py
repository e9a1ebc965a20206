"""Numbers and names as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime


def duration(seconds: float) -> str:
    """``8 ms``, ``1.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def plural(count: int, word: str) -> str:
    """``1 migration``, ``2 migrations``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def moment(at: datetime | None) -> str:
    """UTC to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"


def table(rows: Iterable[Sequence[str]], *, indent: str = "  ") -> list[str]:
    """Columns under each other; the last one is never padded."""
    rows = [tuple(row) for row in rows]
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        indent + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
