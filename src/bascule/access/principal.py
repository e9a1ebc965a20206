"""Whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody with a role."""

    name: str
    role: str
    how: str
    """``token ID``, ``jwt``, ``command line``, ``python``."""
    expires_at: datetime | None = None
    token_id: str | None = None
    session: str | None = None
    """Id of the dashboard's session that it came by."""
