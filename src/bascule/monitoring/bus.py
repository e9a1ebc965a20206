"""Hands every event to whoever asked for it. A listener that fails never fails a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bascule.domain.event import Event
from bascule.ports.events import EventSink


@dataclass(slots=True, kw_only=True)
class _Subscription:
    pattern: str
    sink: EventSink
    failures: int = 0


@dataclass(slots=True)
class Bus:
    """Events in, listeners called in the order they came, in the engine's own thread."""

    _subscriptions: list[_Subscription] = field(default_factory=list)
    failures: int = 0
    """How often a listener raised."""

    def subscribe(self, sink: EventSink, pattern: str = "*") -> Callable[[], None]:
        """Call `sink` for each event whose name matches, as ``migration.*`` does. Answers how to stop that."""
        subscription = _Subscription(pattern=pattern, sink=sink)
        self._subscriptions.append(subscription)

        def unsubscribe() -> None:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell everybody. Never raises."""
        for subscription in tuple(self._subscriptions):
            if not fnmatchcase(event.name, subscription.pattern):
                continue
            try:
                subscription.sink(event)
            except BaseException as problem:  # noqa: BLE001 - whatever a listener raises is its own affair
                # Also what ends a process elsewhere (SystemExit, KeyboardInterrupt): a run is not a listener's to end.
                self.failures += 1
                subscription.failures += 1
                _log(subscription, event, problem)


def _log(subscription: _Subscription, event: Event, problem: BaseException) -> None:
    import logging

    # The whole traceback once per listener; a listener that fails a thousand times is not worth a thousand of them.
    first = subscription.failures == 1
    logging.getLogger("bascule.bus").warning(
        "A listener failed on %s (%s: %s)%s",
        event.name,
        type(problem).__name__,
        problem,
        "; the run goes on" if first else f"; failure {subscription.failures} of this listener",
        exc_info=problem if first and logging.getLogger("bascule").isEnabledFor(logging.DEBUG) else None,
    )
