"""The alerts that are kept: shown, acknowledged, resolved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime

from bascule.domain.alert import ONE_OFF, Alert
from bascule.domain.health import Health
from bascule.errors import UsageError
from bascule.ports.state import StateDoor
from bascule.services.context import Context
from bascule.state import alerts as state

_LONGEST = 200
"""Characters of a name."""


def alerts(
    context: Context,
    *,
    include_acknowledged: bool = False,
    include_resolved: bool = False,
    limit: int = 100,
    offset: int = 0,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Alert, ...]:
    """Newest first (0: all). Raises `TargetUnreachable`, `Refused`."""
    with closing(context.target.state(beside=False)) as door:
        return state.newest(
            door,
            acknowledged=include_acknowledged,
            resolved=include_resolved,
            limit=limit,
            offset=offset,
            since=since,
            until=until,
        )


def acknowledge(context: Context, alert_id: str, by: str) -> Alert:
    """Somebody has taken note of it: nobody is told again unless it gets worse. One about what happened once is over
    with that. Of an alert that was acknowledged before, the first name stays.

    Raises `UsageError` (code ``unknown_alert``), `TargetUnreachable`, `Refused`.
    """
    now = context.clock.now()

    def change(alert: Alert) -> Alert:
        if alert.acknowledged_at is not None:
            return alert
        alert = replace(alert, acknowledged_by=by[:_LONGEST], acknowledged_at=now)
        if alert.rule in ONE_OFF and alert.resolved_at is None:
            alert = replace(alert, resolved_at=now, resolution="it was acknowledged")
        return alert

    return _changed(context, alert_id, change)


def resolve(context: Context, alert_id: str, by: str) -> Alert:
    """Somebody says that it is over. If it happens again it is another alert. Raises as `acknowledge`."""
    now = context.clock.now()

    def change(alert: Alert) -> Alert:
        if alert.resolved_at is not None:
            return alert
        return replace(alert, resolved_at=now, resolution=f"{by[:_LONGEST]} said so")

    return _changed(context, alert_id, change)


def outlived(context: Context, health: Health) -> bool:
    """An open alert stands for a condition of health that is not there any more. Raises as `alerts`."""
    now = {issue.condition for issue in health.found}
    if "unreachable" in now or not context.target.describe().prepared:
        return False
    with closing(context.target.state(beside=False)) as door:
        known = state.open_alerts(door.read, door.about())
    return any(alert.rule.startswith("health.") and alert.rule.removeprefix("health.") not in now for alert in known)


def _changed(context: Context, alert_id: str, change: Callable[[Alert], Alert]) -> Alert:
    with closing(context.target.state()) as door:
        about = door.about()
        known = _the_one(door, about, alert_id)
        if change(known) is known:
            return known
        with door.transaction(alone=state.ALONE) as transaction:
            known = next(iter(state.beginning_with(transaction.ask, about, known.id)), known)
            changed = change(known)
            if changed is not known:
                state.save(transaction, about, changed)
                state.next_turn(transaction, about, state.places(transaction.ask, about), context.clock.now())
        return changed


def _the_one(door: StateDoor, about: str, alert_id: str) -> Alert:
    """By its id, or the beginning of it where that is enough."""
    wanted = alert_id.strip()
    safe = wanted.isascii() and wanted.isalnum()
    found = state.beginning_with(door.read, about, wanted) if about and safe else ()
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"More than one alert's id begins with {wanted}.", code="ambiguous_alert", hint="Give more of it."
        )
    raise UsageError(
        f"There is no alert {wanted[:50]!r}.", code="unknown_alert", hint="`bascule alerts --all` lists them."
    )
