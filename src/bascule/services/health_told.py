"""The event that health was looked at."""

from __future__ import annotations

from bascule.domain.event import Event
from bascule.domain.health import Health
from bascule.services.context import Context


def tell(context: Context, health: Health) -> None:
    """Say what was found to whoever listens."""
    data = health.as_dict()
    event = Event(name="migration.health_check", run_id="", migration="", at=health.last_check, data=data)
    context.publish(event)
