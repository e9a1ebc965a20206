"""From what was noticed to alerts and messages. Nothing here reads or writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bascule.domain.alert import Alert, Raised, Settled, worse
from bascule.monitoring.alerts.policy import AlertPolicy

CREATED = "migration.alert_created"
REPEATED = "migration.alert_repeated"
RESOLVED = "migration.alert_resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """That a channel is to be told of an alert."""

    channel: str
    event: str
    alert: Alert
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is to be kept and told."""

    changed: tuple[Alert, ...] = ()
    """New ones, and those that are not as they were."""
    created: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()
    messages: tuple[Message, ...] = ()


def decide(
    known: Iterable[Alert],
    noticed: Iterable[Raised | Settled],
    policy: AlertPolicy,
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> Decided:
    """`known`: the alerts that are not resolved. `noticed`: in the order in which it happened."""
    table = _Table({each.fingerprint: each for each in known}, new_id)
    for each in noticed:
        if isinstance(each, Settled):
            table.settle(each)
        elif not policy.ignores(each):
            table.raise_(replace(each, type=policy.type_of(each)))
    messages = [message for at in range(len(table.resolved)) for message in _of_an_end(table, at, policy, now)]
    for alert in tuple(table.open.values()):
        event = _event(alert, table, policy, now)
        told = _messages(alert, event, policy, now) if event else []
        if told:
            table.put(replace(alert, told_at=now))
            messages += told
    return Decided(
        changed=(*table.resolved, *(table.open[each] for each in table.touched if each in table.open)),
        created=tuple(table.open[each] for each in table.created if each in table.open),
        resolved=tuple(table.resolved),
        messages=tuple(messages),
    )


class _Table:
    """The alerts by fingerprint while what was noticed is gone through."""

    def __init__(self, known: dict[str, Alert], new_id: Callable[[], str]) -> None:
        self.open = known
        self.resolved: list[Alert] = []
        self.created: list[str] = []
        self.touched: dict[str, None] = {}
        self.again: set[str] = set()
        self.grown: set[str] = set()
        self._new_id = new_id

    def put(self, alert: Alert) -> None:
        self.open[alert.fingerprint] = alert
        self.touched[alert.fingerprint] = None

    def settle(self, settled: Settled) -> None:
        alert = self.open.get(settled.fingerprint)
        if alert is None or alert.last_at > settled.at:
            return
        del self.open[settled.fingerprint]
        self.resolved.append(replace(alert, resolved_at=settled.at, resolution=settled.why))

    def raise_(self, raised: Raised) -> None:
        fingerprint = raised.fingerprint
        old = self.open.get(fingerprint)
        if old is None:
            self.created.append(fingerprint)
            self.put(_new(raised, self._new_id()))
            return
        grown = worse(old.type, raised.type) != old.type
        if grown:
            self.grown.add(fingerprint)
        self.again.add(fingerprint)
        self.put(
            replace(
                old,
                type=worse(old.type, raised.type),
                title=raised.title,
                message=raised.message,
                last_at=max(old.last_at, raised.at),
                occurrences=old.occurrences + 1,
                run_id=raised.run_id,
                fact=max(old.fact, raised.fact),
                data=raised.data,
                # Whoever took note of it has not taken note of this.
                acknowledged_by=None if grown else old.acknowledged_by,
                acknowledged_at=None if grown else old.acknowledged_at,
            )
        )


def _new(raised: Raised, its_id: str) -> Alert:
    return Alert(
        id=its_id,
        fingerprint=raised.fingerprint,
        rule=raised.rule,
        subject=raised.subject,
        type=raised.type,
        title=raised.title,
        message=raised.message,
        first_at=raised.at,
        last_at=raised.at,
        migration=raised.migration,
        run_id=raised.run_id,
        fact=raised.fact,
        data=raised.data,
    )


def _of_an_end(table: _Table, at: int, policy: AlertPolicy, now: datetime) -> list[Message]:
    """That it is over. One that began and ended between two looks is told from its beginning: a process that was killed
    is somebody's business after it was recovered, too.
    """
    alert = table.resolved[at]
    if alert.told_at is not None or alert.fingerprint not in table.created or alert.acknowledged_at is not None:
        return _messages(alert, RESOLVED, policy, now)
    begun = _messages(replace(alert, resolved_at=None, resolution=""), CREATED, policy, now)
    if not begun:
        return []
    alert = table.resolved[at] = replace(alert, told_at=now)
    held = {each.channel for each in begun if each.held_until is not None}
    return [*begun, *(each for each in _messages(alert, RESOLVED, policy, now) if each.channel not in held)]


def _event(alert: Alert, table: _Table, policy: AlertPolicy, now: datetime) -> str | None:
    """What is to be told of an open alert now; None: nothing."""
    if alert.acknowledged_at is not None:
        return None
    if alert.told_at is None:
        return CREATED
    if alert.fingerprint in table.grown:
        return REPEATED
    due = policy.repeat is not None and now - alert.told_at >= timedelta(seconds=policy.repeat)
    return REPEATED if due and alert.fingerprint in table.again else None


def _messages(alert: Alert, event: str, policy: AlertPolicy, now: datetime) -> list[Message]:
    if event == RESOLVED and alert.told_at is None:
        return []
    held = policy.held_until(alert, now) if event != RESOLVED else None
    return [
        Message(channel=channel.name, event=event, alert=alert, held_until=held)
        for channel in policy.of_alerts()
        if channel.takes_alert(event, alert)
    ]
