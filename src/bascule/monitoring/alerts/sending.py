"""Hand over the messages that are owed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from bascule.monitoring.alerts.deadline import LONGEST, within
from bascule.monitoring.alerts.deciding import RESOLVED
from bascule.monitoring.alerts.policy import AlertPolicy, Channel
from bascule.ports.state import StateDoor
from bascule.state import deliveries
from bascule.state.alerts import beginning_with
from bascule.state.deliveries import Delivery

WAITS: Final = (10.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 14400.0, 28800.0, 43200.0)
"""Seconds after each attempt that failed; after the last one, nobody tries any more. A day and a bit in all."""
_CLAIM: Final = timedelta(minutes=2)
"""After which somebody else may send what was claimed."""
_AT_ONCE: Final = 10
_FULL: Final = timedelta(minutes=5)
"""When a channel that has had enough is looked at again."""


class NotTaken(Exception):
    """The message was not taken."""

    def __init__(self, why: str, *, wait: float | None = None, final: bool = False) -> None:
        """`wait`: seconds that the receiver asks for. `final`: it will never take it."""
        super().__init__(why)
        self.why, self.wait, self.final = why, wait, final


class Hand(Protocol):
    """Takes a message to a channel."""

    def __call__(self, channel: Channel, message: Delivery, /) -> None:
        """Raises `NotTaken`."""


def hand_over(hand: Hand, channel: Channel, message: Delivery, seconds: float = LONGEST) -> None:
    """Once, for so many seconds at most, and never longer than `LONGEST`. Raises `NotTaken`."""
    seconds = max(0.1, min(seconds, LONGEST))
    try:
        within(seconds, lambda: hand(channel, message))
    except TimeoutError:
        raise NotTaken(f"{channel.name} did not take it within {seconds:.1f} s") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of one round."""

    sent: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    """Channel → why it took nothing."""


@dataclass(slots=True, kw_only=True)
class Outbox:
    """Sends by one policy. Several processes may send at a time."""

    policy: AlertPolicy
    hands: Mapping[str, Hand]
    """By the kind of the channel."""
    now: Callable[[], datetime]
    clean: Callable[[str], str] = str

    def send(self, door: StateDoor, *, seconds: float = 60.0) -> Sent:
        """Send what is due, for so many seconds at most; what was not taken by then is owed as before. Raises as the
        state store does.
        """
        channels = {each.name: each for each in self.policy.channels}
        until = self.now() + timedelta(seconds=seconds)
        sent, failed = 0, dict[str, str]()
        while deliveries.is_owed(door, open_ones := [name for name in channels if name not in failed], self.now()):
            now = self.now()
            claimed = deliveries.claim(door, open_ones, now=now, until=now + _CLAIM, limit=_AT_ONCE)
            for at, message in enumerate(claimed):
                if self.now() >= until:
                    for each in claimed[at:]:
                        deliveries.put_off(door, each, self.now(), tried=False)
                    return Sent(sent=sent, failed=failed)
                if message.channel in failed:
                    # What comes after the one that failed waits with it, so that nobody hears of the end first.
                    deliveries.put_off(door, message, self.now() + timedelta(seconds=WAITS[0]), tried=False)
                    continue
                try:
                    sent += self._one(door, channels[message.channel], message, until)
                except NotTaken as problem:
                    failed[message.channel] = self.clean(problem.why)
                    self._failed(door, message, problem)
            if not claimed:
                break
        return Sent(sent=sent, failed=failed)

    def _one(self, door: StateDoor, channel: Channel, message: Delivery, until: datetime) -> bool:
        """Whether it was sent. Raises `NotTaken`."""
        now = self.now()
        of_alert = not message.about.startswith("fact-")
        if message.held and self._over(door, message):
            deliveries.dropped(door, message, now, "It was over before anybody was to be told.")
            return False
        if of_alert and message.event == RESOLVED and not deliveries.may_be_told(door, message):
            deliveries.dropped(door, message, now, "It was over before anybody was told of it.")
            return False
        if of_alert and message.event != RESOLVED:
            hour = deliveries.sent_since(door, channel.name, now - timedelta(hours=1))
            if hour >= self.policy.most:
                why = f"The channel got {hour} messages within an hour; alerts.most allows no more."
                deliveries.put_off(door, message, now + _FULL, why=why, held=True, tried=False)
                return False
        if message.held:
            deliveries.let_go(door, message)
        hand_over(self.hands[channel.kind], channel, message, (until - now).total_seconds())
        deliveries.sent(door, message, self.now())
        return True

    def _over(self, door: StateDoor, message: Delivery) -> bool:
        found = beginning_with(door.read, door.about(), message.about)
        return not found or found[0].state != "open"

    def _failed(self, door: StateDoor, message: Delivery, problem: NotTaken) -> None:
        why = self.clean(problem.why)[:500]
        if problem.final or message.attempts > len(WAITS):
            deliveries.given_up(door, message, self.now(), why)
            return
        wait = max(WAITS[message.attempts - 1], min(problem.wait or 0.0, WAITS[-1]))
        deliveries.put_off(door, message, self.now() + timedelta(seconds=wait), why=why)
