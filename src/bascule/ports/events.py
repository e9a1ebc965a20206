"""Where events go.

How to implement a sink: be quick, raise nothing that matters (a failing sink never fails a run: the bus catches,
counts and
logs it), and do not call back into the engine.
"""

from __future__ import annotations

from typing import Protocol

from bascule.domain.event import Event


class EventSink(Protocol):
    """Receives each event, in order, in the engine's own thread."""

    def __call__(self, event: Event, /) -> None:
        """Take the event."""
