"""Maintenance windows: times in which alerts are kept and nobody is woken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Once, from a moment to a moment; or again and again, on days of the week from a time of day to a time of day.
    All in UTC.
    """

    begins: datetime | None = None
    ends: datetime | None = None
    days: tuple[str, ...] = DAYS
    since: time | None = None
    until: time | None = None
    """Where it is not after `since` it is of the next day."""
    rules: tuple[str, ...] = ("*",)
    """Patterns of the rules that it holds for."""

    def covers(self, rule: str) -> bool:
        """It holds for this rule."""
        return any(fnmatchcase(rule, pattern) for pattern in self.rules)

    def end(self, now: datetime) -> datetime | None:
        """When it ends, if it is on now."""
        if self.begins is not None and self.ends is not None:
            return self.ends if self.begins <= now < self.ends else None
        if self.since is None or self.until is None:
            return None
        now = now.astimezone(UTC)
        # One that began yesterday may not be over.
        for day in (now.date(), now.date() - timedelta(days=1)):
            if DAYS[day.weekday()] not in self.days:
                continue
            begins = datetime.combine(day, self.since, tzinfo=UTC)
            ends = datetime.combine(day, self.until, tzinfo=UTC)
            if ends <= begins:
                ends += timedelta(days=1)
            if begins <= now < ends:
                return ends
        return None
