"""The duties of a server, over one connection that is opened again when it breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bascule.domain.health import Health
from bascule.errors import BasculeError, TargetUnreachable
from bascule.monitoring.alerts.sending import Outbox
from bascule.monitoring.alerts.unreachable import Unreachable
from bascule.monitoring.alerts.watching import Looked
from bascule.ports.state import StateDoor
from bascule.services.cleanup import Cleaned, last_clean_up
from bascule.services.context import Context
from bascule.services.health_told import tell


@dataclass(slots=True, kw_only=True)
class AlertRounds:
    """All of one target, all from one thread."""

    open_context: Callable[[], Context]
    look: Callable[[Context, StateDoor, Health | None], Looked]
    judge: Callable[[Context], Health]
    clean_up: Callable[[Context], Cleaned]
    outbox: Outbox
    between_clean_ups: float
    """Seconds."""
    about: Mapping[str, Any] = field(default_factory=dict)
    clean: Callable[[str], str] = str
    settle: Callable[[Context], object] = lambda context: None
    """Writes down what a killed process has broken off."""
    _context: Context | None = None
    _door: StateDoor | None = None
    _absence: Unreachable | None = None

    def tell_ends(self) -> None:
        """See to what killed processes have left."""

        def work(context: Context, _door: StateDoor) -> None:
            self.settle(context)

        self._over(work)

    def watch(self) -> None:
        """Look at what has happened, and send what is owed. Raises what goes wrong, `BasculeError` or not."""
        self._over(lambda context, door: self._watched(context, door, None))

    def check(self) -> None:
        """Look at health."""
        self._over(lambda context, door: self._watched(context, door, self.judge(context)))

    def tidy(self) -> None:
        """Clean up, unless somebody has done it lately."""

        def work(context: Context, _door: StateDoor) -> None:
            last = last_clean_up(context)
            if last is None or context.clock.now() - last >= timedelta(seconds=self.between_clean_ups):
                self.clean_up(context)

        self._over(work)

    def close(self) -> None:
        """Hang up."""
        door, self._door = self._door, None
        context, self._context = self._context, None
        with suppress(BasculeError):
            if door is not None:
                door.close()
        with suppress(BasculeError):
            if context is not None:
                context.target.close()

    def _watched(self, context: Context, door: StateDoor, health: Health | None) -> None:
        if health is not None:
            unreachable = next((each for each in health.found if each.condition == "unreachable"), None)
            if unreachable is not None:
                raise TargetUnreachable(unreachable.message, hint=unreachable.recommendation)
            tell(context, health)
        self.look(context, door, health)
        self.outbox.send(door)

    def _over(self, work: Callable[[Context, StateDoor], None]) -> None:
        absence = self._absence = self._absence or Unreachable(
            policy=self.outbox.policy, hands=self.outbox.hands, now=self.outbox.now, about=self.about
        )
        try:
            if self._context is None:
                self._context = self.open_context()
            if self._door is None:
                self._door = self._context.target.state()
            work(self._context, self._door)
        except TargetUnreachable as problem:
            self.close()
            absence.away(self.clean(problem.message))
            raise
        except BaseException:
            self.close()
            raise
        absence.there()
