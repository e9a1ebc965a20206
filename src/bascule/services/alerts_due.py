"""Whether anything has to be done about alerts. Asked at the end of every run, so it loads nothing that only alerts
need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.domain.telling import TELLING
from bascule.state.alert_note import kept

if TYPE_CHECKING:
    from bascule.ports.state import StateDoor
    from bascule.services.context import Context


def anything_new(context: Context, door: StateDoor) -> bool:
    """Something may have to be done about alerts: one is open, or there are facts that nobody has looked at."""
    about = door.about()
    if not about:
        return False
    place = (kept(door.read, about) or {}).get("alerts") or {"upto": 0, "seen": []}
    if any(fact.number not in place["seen"] for fact in context.target.journal(kinds=TELLING, after=place["upto"])):
        return True
    return bool(door.read("SELECT 1 FROM @alert WHERE target = ? AND resolved_at IS NULL LIMIT 1", (about,)))
