"""Where everybody who looks at the journal for alerts stands, as it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from bascule.ports.state import Row, Value

Ask = Callable[[str, Sequence[Value]], list[Row]]

NOTE: Final = "alerts"
"""The key under which it is kept."""


def kept(ask: Ask, about: str) -> dict[str, Any] | None:
    """It; None before anybody has looked. `bascule.state.alerts.places` tells what it means."""
    rows = ask("SELECT value FROM @note WHERE target = ? AND key = ?", (about, NOTE))
    found: dict[str, Any] | None = json.loads(rows[0][0]) if rows else None
    return found
