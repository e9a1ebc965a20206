"""The line from a worker process to its server: one JSON document a line, and nothing that could hold the worker up."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from typing import Any

_WHOLE = select.PIPE_BUF
"""Bytes that a pipe takes whole or not at all."""
_LAST = 30.0
"""Seconds for which the end is offered to a server that does not read."""


class Line:
    """Writes to a file descriptor that is its own. A server that is gone or does not read loses what it would have been
    told; the journal has it.
    """

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._lock = threading.Lock()
        self._gone = False

    def tell(self, document: dict[str, Any]) -> None:
        """Say it, or drop it where that would take time."""
        data = _bytes(document)
        if len(data) > _WHOLE or self._gone:
            return
        with self._lock:
            try:
                os.write(self._fd, data)
            except BlockingIOError:
                return
            except OSError:
                self._gone = True

    def end(self, document: dict[str, Any]) -> None:
        """Say the last thing, however long it is."""
        rest = memoryview(_bytes(document))
        until = time.monotonic() + _LAST
        with self._lock:
            while rest and not self._gone and time.monotonic() < until:
                select.select([], [self._fd], [], 1.0)
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._gone = True


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, default=str).encode() + b"\n"
