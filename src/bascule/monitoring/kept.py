"""An answer that is made once and told many times, until something changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

A = TypeVar("A")
T = TypeVar("T")


class Kept(Generic[A, T]):
    """Of several threads that ask at once, one makes the answer. What making it raises comes out, and is not kept."""

    def __init__(
        self,
        make: Callable[[A], T],
        *,
        pulse: Callable[[A], Hashable],
        most: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Both are given what `get` is given. `pulse`: something cheap to ask that is another one as soon as the answer
        would be. `most`: seconds after which the answer is made anew all the same.
        """
        self._make = make
        self._pulse = pulse
        self._most = most
        self._clock = clock
        self._guard = threading.Lock()
        self._known: tuple[T, Hashable, float] | None = None

    def get(self, through: A) -> T:
        """The answer, made now where it is not known."""
        with self._guard:
            # Asked before the answer is made: what changes meanwhile is seen the next time.
            now, pulse = self._clock(), self._pulse(through)
            if self._known is not None and self._known[1] == pulse and now - self._known[2] < self._most:
                return self._known[0]
            answer = self._make(through)
            self._known = (answer, pulse, now)
            return answer

    def forget(self) -> None:
        """The next one who asks gets a new answer."""
        with self._guard:
            self._known = None
