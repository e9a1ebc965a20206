"""Tell that the target, and with it the alerts that are kept there, cannot be reached.

Nothing can be kept of this: another server, or this one after a restart, tells it again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bascule.domain.alert import Alert
from bascule.domain.run import iso
from bascule.monitoring.alerts.deciding import CREATED, REPEATED, RESOLVED
from bascule.monitoring.alerts.policy import AlertPolicy
from bascule.monitoring.alerts.sending import Hand, NotTaken, hand_over
from bascule.state.deliveries import Delivery

PATIENCE = 30.0
"""Seconds for which a target may be away before anybody is told: restarts and failovers take a moment."""


@dataclass(slots=True, kw_only=True)
class Unreachable:
    """What is known of one target's absence."""

    policy: AlertPolicy
    hands: Mapping[str, Hand]
    now: Callable[[], datetime]
    about: Mapping[str, Any] = field(default_factory=dict)
    alert: Alert | None = None
    """None: it is there."""
    _told: set[str] = field(default_factory=set)
    """Channels that have been told."""

    def away(self, why: str) -> None:
        """It was not reached just now."""
        now = self.now()
        if self.alert is None:
            self.alert = Alert(
                id=secrets.token_hex(6),
                fingerprint="",
                rule="health.unreachable",
                type="critical",
                title="The target cannot be reached",
                message=why,
                first_at=now,
                last_at=now,
            )
            self._told = set()
            return
        self.alert = replace(self.alert, message=why, last_at=now, occurrences=self.alert.occurrences + 1)
        if now - self.alert.first_at < timedelta(seconds=PATIENCE) or self.policy.held_until(self.alert, now):
            return
        told, repeat = self.alert.told_at, self.policy.repeat
        if told is not None and repeat is not None and now - told >= timedelta(seconds=repeat):
            for name in tuple(self._told):
                self._tell(name, REPEATED)
        for channel in self.policy.of_alerts():
            if channel.name not in self._told and channel.takes_alert(CREATED, self.alert):
                self._tell(channel.name, CREATED)

    def there(self) -> None:
        """It was reached."""
        if self.alert is None:
            return
        self.alert = replace(self.alert, resolved_at=self.now(), resolution="it can be reached again")
        for name in tuple(self._told):
            self._tell(name, RESOLVED)
        self.alert = None

    def _tell(self, name: str, event: str) -> None:
        channel = next(each for each in self.policy.channels if each.name == name)
        if self.alert is None or not channel.takes(event):
            return
        body = {"type": event, "timestamp": iso(self.now()), "target": dict(self.about), "data": self.alert.as_dict()}
        message = Delivery(
            id=f"msg_{secrets.token_hex(16)}",
            channel=name,
            about=self.alert.id,
            event=event,
            body=json.dumps(body, default=str),
        )
        try:
            hand_over(self.hands[channel.kind], channel, message)
        except NotTaken:
            # The next round tries again, as long as there is something to tell.
            return
        self._told.add(name)
        self.alert = replace(self.alert, told_at=self.now())
