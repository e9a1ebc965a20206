"""One message, one deadline: whatever a receiver does with it, nobody waits longer.

A library's time-out counts from byte to byte, so one that sends a byte every three seconds is waited for without end.
What is not done in time is left to a thread of its own, whose connection is cut; the message is owed as before.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final

LONGEST: Final = 5.0
"""Seconds for one message, from the first name that is looked up to the end of the answer."""

_own = threading.local()


def within(seconds: float, hand_over: Callable[[], None]) -> None:
    """Do it, for so long. Raises TimeoutError, and what it raises."""
    raised: list[BaseException] = []
    sockets: list[socket.socket] = []

    def work() -> None:
        _own.sockets = sockets
        try:
            hand_over()
        except BaseException as problem:  # noqa: BLE001 - it is raised where somebody waits for it
            raised.append(problem)

    thread = threading.Thread(target=work, name="bascule-message", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        for each in tuple(sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        raise TimeoutError
    if raised:
        raise raised[0]


def opened(connection: socket.socket) -> None:
    """Is called by whoever hands over, for each connection: it is cut when the time is over."""
    sockets: list[socket.socket] | None = getattr(_own, "sockets", None)
    if sockets is not None:
        sockets.append(connection)
