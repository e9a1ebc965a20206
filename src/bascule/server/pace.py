"""How often somebody may come."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

_MINUTE = 60.0
_CALLERS = 10_000
"""Callers whose pace is remembered."""


class Pace:
    """How often each caller came within the last minute."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Seconds until the caller may come again; 0: now, which is not counted yet."""
        moments = self._seen.get(caller)
        if moments is None:
            return 0.0
        now = self._clock()
        while moments and moments[0] <= now - _MINUTE:
            moments.popleft()
        return 0.0 if len(moments) < self._most else moments[0] + _MINUTE - now

    def count(self, caller: str) -> None:
        """The caller came."""
        moments = self._seen.setdefault(caller, deque(maxlen=max(1, self._most)))
        moments.append(self._clock())
        self._seen.move_to_end(caller)
        while len(self._seen) > _CALLERS:
            self._seen.popitem(last=False)

    def uncount(self, caller: str) -> None:
        """The last time is not to count."""
        moments = self._seen.get(caller)
        if moments:
            moments.pop()
