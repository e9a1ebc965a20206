"""What is told of runs to whoever gathers traces and metrics.

How to implement one: be quick, raise nothing, keep nobody waiting for longer than is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bascule.domain.family import Family


class Telemetry(Protocol):
    """Follows one call that may change something."""

    def around(self, action: str) -> AbstractContextManager[None]:
        """The block is that call. What it raises comes out unchanged."""

    def hand_over(self, measures: Callable[[], Iterable[Family]] | None = None) -> str | None:
        """The call is over: send what is known of it, and the metrics. Waits a short while; answers in words what could
        not be sent. Does nothing where the call did nothing.
        """
