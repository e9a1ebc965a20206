"""Times as the state store keeps them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: datetime) -> str:
    """ISO 8601 in UTC with six digits of a second and a Z: of two such texts the greater is the later."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_moment(text: str) -> datetime:
    """The way back from `moment`."""
    return datetime.fromisoformat(text)
