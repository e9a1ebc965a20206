"""Look at what the journal and health have to tell, and keep what is decided about it, once.

Alerts, the messages about them and the place up to which the journal was looked at are kept in one transaction. A
process that dies before it has changed nothing, one that dies after it has left everything to whoever comes next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from bascule.domain.alert import Alert, Raised, Settled
from bascule.domain.health import Health
from bascule.domain.history import Fact
from bascule.domain.run import iso
from bascule.domain.telling import TELLING
from bascule.monitoring.alerts import events, rules
from bascule.monitoring.alerts.deciding import Decided, decide
from bascule.monitoring.alerts.policy import AlertPolicy
from bascule.ports.database import Target
from bascule.ports.state import StateDoor
from bascule.services.concealed import concealed
from bascule.state import alerts as state
from bascule.state.deliveries import Delivery, delivery_id, owe

_FIRST: Final = 86400.0
"""Seconds of the past that are looked at for the first time."""
_LATE: Final = 60.0
"""Seconds for which a fact with a smaller number may come to light after one with a greater."""
_TRIES: Final = 5
_AT_ONCE: Final = 1000
"""Open alerts that are looked at; a thousand say enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of it."""

    created: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()
    messages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one look found, before anything is kept."""

    places: state.Places
    moved: state.Places
    decided: Decided
    facts: tuple[tuple[str, Fact], ...] = ()
    """Channel → a fact that it is to be told of."""

    @property
    def messages(self) -> int:
        return len(self.decided.messages) + len(self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    delivery: Delivery
    due: datetime | None = None
    """None: at once."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks by one policy."""

    policy: AlertPolicy
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    clean: Callable[[str], str] = str
    """Takes secrets out of a text."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """The target, as messages tell of it."""

    def look(self, target: Target, door: StateDoor, *, health: Health | None = None) -> Looked:
        """Raises as the journal and the state store do; `LockNotAvailable` when others were quicker each time."""
        for _ in range(_TRIES):
            identity = door.about()
            if not identity:
                return Looked()
            seen = self._see(target, door, identity, health)
            if seen.moved == seen.places and not seen.decided.changed and not seen.messages:
                return Looked()
            if self._keep(door, identity, seen):
                return Looked(created=seen.decided.created, resolved=seen.decided.resolved, messages=seen.messages)
        # Whoever was quicker has seen what was to be seen.
        return Looked()

    def _see(self, target: Target, door: StateDoor, identity: str, health: Health | None) -> _Seen:
        now = self.now()
        places = state.places(door.read, identity)
        known = state.open_alerts(door.read, identity)[:_AT_ONCE]
        kinds = (*TELLING, "run_completed") if self.policy.slow is not None else TELLING
        facts, mine = self._new_facts(target, kinds, places.alerts)
        noticed: list[Raised | Settled] = [each for fact in facts for each in rules.of_fact(fact, self.policy)]
        if any(fact.kind == "run_failed" for fact in facts) and self.policy.failures:
            failed = target.journal(kinds=("run_failed",), limit=2 * self.policy.failures)
            many = rules.many_failures([each for each in failed if each.direction == "up"], self.policy)
            noticed += [many] if many is not None else []
        noticed += _settled(target, known, now)
        if health is not None:
            noticed += rules.of_health(health, known)
        told, channels = self._facts_for_channels(target, places)
        return _Seen(
            places=places,
            moved=replace(places, alerts=mine, channels=channels),
            decided=decide(known, noticed, self.policy, now=now, new_id=self.new_id),
            facts=told,
        )

    def _new_facts(
        self, target: Target, kinds: Sequence[str], place: state.Place | None
    ) -> tuple[list[Fact], state.Place | None]:
        """The facts nobody has looked at, and the place after them."""
        # Whoever looks for the first time looks at the newest past only.
        start = place or state.Place(upto=target.newest_fact(older_than=_FIRST))
        found = target.journal(kinds=kinds, after=start.upto)
        facts = [fact for fact in found if fact.number not in start.seen]
        if not facts:
            return [], start if start.upto else place
        sure = max(start.upto, target.newest_fact(older_than=_LATE))
        seen = frozenset(fact.number for fact in found if fact.number > sure)
        return facts, state.Place(upto=sure, seen=seen)

    def _facts_for_channels(
        self, target: Target, places: state.Places
    ) -> tuple[tuple[tuple[str, Fact], ...], Mapping[str, state.Place]]:
        told: list[tuple[str, Fact]] = []
        moved = dict(places.channels)
        for channel in self.policy.of_facts(events.NAMES):
            facts, place = self._new_facts(target, events.KINDS, places.channels.get(channel.name))
            if place is not None:
                moved[channel.name] = place
            named = ((fact, events.name_of(fact)) for fact in facts)
            told += [(channel.name, fact) for fact, name in named if name is not None and channel.takes(name)]
        return tuple(told), moved

    def _keep(self, door: StateDoor, identity: str, seen: _Seen) -> bool:
        """False: somebody else has changed something since, and nothing was kept."""
        now = self.now()
        lasting = bool(seen.decided.changed or seen.messages)
        with door.transaction(alone=state.ALONE, durable=lasting) as transaction:
            if state.places(transaction.ask, identity).turn != seen.places.turn:
                return False
            # The resolved ones first: one that happens again takes the place of its forerunner.
            for alert in seen.decided.changed:
                state.save(transaction, identity, alert)
            for number, message in enumerate(self._messages(identity, seen)):
                # They are sent in the order in which they were made, so that no two are made at once.
                made = now + timedelta(microseconds=number)
                owe(transaction, identity, message.delivery, made=made, due=message.due or now)
            state.next_turn(transaction, identity, seen.moved, now)
        return True

    def _messages(self, identity: str, seen: _Seen) -> Iterator[_Message]:
        for message in seen.decided.messages:
            alert, event = message.alert, message.event
            yield _Message(
                due=message.held_until,
                delivery=Delivery(
                    id=delivery_id(identity, message.channel, alert.id, event, alert.occurrences),
                    channel=message.channel,
                    about=alert.id,
                    event=event,
                    body=self._body(event, alert.as_dict()),
                    held=message.held_until is not None,
                ),
            )
        for channel, fact in seen.facts:
            event, about = events.name_of(fact) or fact.kind, f"fact-{fact.number}"
            yield _Message(
                delivery=Delivery(
                    id=delivery_id(identity, channel, about, event, 0),
                    channel=channel,
                    about=about,
                    event=event,
                    body=self._body(event, events.data_of(fact)),
                )
            )

    def _body(self, event: str, data: Mapping[str, Any]) -> str:
        body = {"type": event, "timestamp": iso(self.now()), "target": dict(self.about), "data": data}
        return json.dumps(concealed(body, self.clean), default=str)


_HALF_DONE: Final = f"{rules.HEALTH}half_done"


def _settled(target: Target, known: Sequence[Alert], now: datetime) -> list[Settled]:
    """The alerts that later facts have ended."""
    found = []
    for alert in known:
        if alert.rule == "backup_unverified":
            facts = target.journal(kinds=("backup_verified", "backup_removed"), after=alert.fact)
            about = [each for each in facts if each.data.get("id") == alert.subject]
            ends = [each for each in about if each.kind == "backup_removed" or each.data.get("good")]
            why = "the backup was proved, or removed"
        elif alert.rule == "validation_failed" and not alert.migration:
            ends = list(target.journal(kinds=("validation_passed",), after=alert.fact, limit=1))
            why = "a look at all data found no errors"
        elif alert.rule in rules.RUNS:
            ends = _ends(target, alert, ("run_completed", "rolled_back"))
            why = "the migration has been run"
        elif alert.rule == "rollback_failed":
            ends = _ends(target, alert, ("rolled_back", "run_completed"))
            why = "the migration has been rolled back, or run"
        elif alert.rule == _HALF_DONE:
            if not target.marks():
                # Health would say so too, and is looked at less often.
                found.append(Settled(fingerprint=alert.fingerprint, at=now, why="nothing is half done any more"))
            continue
        elif alert.rule == "many_failures":
            ends = target.journal(kinds=("run_completed",), after=alert.fact, limit=1)  # type: ignore[assignment]
            why = "a run went well"
        else:
            continue
        if ends and ends[-1].at is not None:
            found.append(Settled(fingerprint=alert.fingerprint, at=ends[-1].at, why=why))
    return found


def _ends(target: Target, alert: Alert, kinds: tuple[str, ...]) -> list[Fact]:
    return list(target.journal(migration=alert.migration, kinds=kinds, after=alert.fact, limit=1))
