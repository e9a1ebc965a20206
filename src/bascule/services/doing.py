"""What the run under way is at, when another process than this one does it."""

from __future__ import annotations

from typing import Any

from bascule.errors import BasculeError
from bascule.services.context import Context


def doing(context: Context) -> dict[str, Any] | None:
    """As the data of ``migration.progress`` tells it; None where nothing runs, or the database cannot tell."""
    holder = context.target.holder()
    try:
        progress = context.target.doing(holder) if holder is not None else None
    except BasculeError:
        # It helps whoever watches, and is no reason to show nothing at all.
        return None
    if holder is None or progress is None:
        return None
    elapsed = context.clock.now() - holder.since
    return {
        "phase": progress.phase,
        "percent": progress.percent,
        "elapsedMs": max(0, round(elapsed.total_seconds() * 1000)),
        "waiting": list(progress.waiting_for),
    }
