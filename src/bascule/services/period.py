"""Report on a period, from the journal and from what was measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from bascule.domain.health import Health
from bascule.domain.metrics import metrics_of
from bascule.domain.period import PeriodReport
from bascule.errors import UsageError
from bascule.services.alerts import alerts
from bascule.services.context import Context
from bascule.services.history import history
from bascule.services.metrics import Kept, own, tallied
from bascule.services.performance import performance

_DEFAULT: Final = timedelta(days=30)
_YEARS: Final = range(1970, 9000)
"""Beyond them the arithmetic of dates has ends that it could fall over."""
_MOST: Final = 1000
"""Runs and records that are listed; the metrics count all."""


def period_report(
    context: Context,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    health: Health | None = None,
    kept: Kept | None = None,
) -> PeriodReport:
    """Without an end up to now, without a start from thirty days before the end on. Raises `UsageError` where the end
    comes before the start, and as `metrics`.
    """
    now = context.clock.now()
    end = (end or now + timedelta(microseconds=1)).astimezone(UTC)
    start = (start or end - _DEFAULT).astimezone(UTC)
    if end < start:
        raise UsageError("The period ends before it begins.", hint="Give the earlier date first.")
    first, last = start.date().isoformat(), end.date().isoformat()
    tallies = [each for each in tallied(context, kept) if first <= each.day <= last]
    info = context.target.describe()
    return PeriodReport(
        start=start,
        end=end,
        made_at=now,
        target=f"{info.database} on {info.server}",
        metrics=metrics_of(tallies, monitoring=own(context)),
        runs=tuple(run for run in history(context, limit=_MOST) if start <= run.timestamp < end),
        performance=performance(context, limit=_MOST, since=start, until=end),
        health=health,
        alerts=tuple(
            each.as_dict()
            for each in alerts(
                context, include_acknowledged=True, include_resolved=True, limit=_MOST, since=start, until=end
            )
        ),
    )


def read_date(text: str, *, name: str, end: bool = False) -> datetime:
    """A day or a moment in ISO 8601; without a zone it is UTC. `end`: a day is meant with all its hours. Raises
    `UsageError`.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.year not in _YEARS:
            raise ValueError("no year in which anything was migrated")
        if end and len(text) <= len("2026-01-01"):
            found += timedelta(days=1)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as problem:
        raise UsageError(
            f"{name} is no date: {text[:50]!r}.", hint="Write 2026-11-23, or 2026-11-23T14:30:00Z."
        ) from problem
