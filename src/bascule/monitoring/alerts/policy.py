"""What a project has decided about its alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from bascule.domain.alert import TYPES, Alert, AlertType, Raised
from bascule.monitoring.alerts.windows import Window

ALERTS = "migration.alert_*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Somebody outside who is told."""

    name: str
    url: str = field(repr=False)
    """It may hold a token."""
    kind: str = "webhook"
    """``webhook`` or ``apprise``."""
    events: tuple[str, ...] = (ALERTS,)
    """Patterns of the names of events."""
    least: AlertType = "info"
    """Milder alerts are not told."""
    rules: tuple[str, ...] = ("*",)
    """Patterns of the rules whose alerts are told."""

    def takes(self, event: str) -> bool:
        """It is told of such events."""
        return any(fnmatchcase(event, pattern) for pattern in self.events)

    def takes_alert(self, event: str, alert: Alert) -> bool:
        """It is told this about this alert."""
        mild = TYPES.index(alert.type) < TYPES.index(self.least)
        return self.takes(event) and not mild and any(fnmatchcase(alert.rule, pattern) for pattern in self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPolicy:
    """Thresholds, filters, limits, channels."""

    failures: int = 3
    """So many failed runs within `failures_within` are an alert of their own; 0: never."""
    failures_within: float = 3600.0
    """Seconds."""
    slow: float | None = None
    """Seconds from which a run that went well is an alert."""
    ignore: tuple[str, ...] = ()
    """Patterns of rules, or of a rule and what it is about: ``run_failed:test_*``."""
    types: Mapping[str, AlertType] = field(default_factory=dict)
    """Rule → type, in place of its own."""
    repeat: float | None = 4 * 3600.0
    """Seconds after which an open alert that happens again is told again; None: never."""
    most: int = 30
    """Messages about alerts that a channel gets in an hour."""
    windows: tuple[Window, ...] = ()
    channels: tuple[Channel, ...] = ()
    secret: str | None = field(default=None, repr=False)
    """Signs the bodies of webhooks."""

    def ignores(self, raised: Raised) -> bool:
        """It is no alert."""
        names = (raised.rule, f"{raised.rule}:{raised.subject}")
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.ignore)

    def type_of(self, raised: Raised) -> AlertType:
        """As the project sees it."""
        return self.types.get(raised.rule, raised.type)

    def held_until(self, alert: Alert, now: datetime) -> datetime | None:
        """The end of the maintenance window that the alert falls into; None: it falls into none."""
        ends = [end for window in self.windows if window.covers(alert.rule) and (end := window.end(now)) is not None]
        return max(ends, default=None)

    def of_alerts(self) -> Sequence[Channel]:
        """The channels that are told of alerts."""
        return [each for each in self.channels if each.takes("migration.alert_created")]

    def of_facts(self, events: Sequence[str]) -> Sequence[Channel]:
        """The channels that are told of one of these events."""
        return [each for each in self.channels if any(map(each.takes, events))]
