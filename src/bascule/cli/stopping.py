"""Ctrl-C and SIGTERM while something runs.

The first one asks: the statement under way is cancelled and undone, and the engine ends at its next boundary. The
second one breaks off Python at once, the third one ends the process. All three are safe, the first is the quickest to
recover from.

A signal handler of Python runs only when the interpreter is back from whatever C function it is in, and a long
statement of SQLite is one such function. So the signals wake a thread, and the thread cancels.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_SHOW_CURSOR = b"\x1b[?25h"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN = 2.0
"""Seconds after which the cancel is sent again: the first may have come just before the statement did."""
_QUESTION = 0.2
"""Seconds after which a question that is still open is interrupted again."""


class Stop:
    """Whether somebody asked this process to stop. Use it as a context manager in the main thread."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._cancel: Callable[[], None] | None = None
        self._asked: str | None = None
        self._count = 0
        self._handled = 0
        self._waiting_for_answer = False

    def __call__(self) -> str | None:
        """Name of the first signal, None while there was none."""
        return self._asked

    def cancels(self, cancel: Callable[[], None]) -> None:
        """What stops the statement under way; called in the helper thread."""
        self._cancel = cancel

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """While a person is asked something there is nothing to undo: the first signal ends the question at once."""
        self._waiting_for_answer = True
        try:
            yield
        finally:
            self._waiting_for_answer = False

    def __enter__(self) -> Stop:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old_handlers = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        self._thread = threading.Thread(target=self._watch, name="bascule-stop", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cancel = None
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._writer)
        self._thread.join(1.0)
        if not self._thread.is_alive():
            os.close(self._reader)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # Either of the two may learn of a signal first, and the interpreter hands on two quick ones as one.
        self._handled += 1
        if self._waiting_for_answer or max(self._handled, self._count) > 1:
            raise KeyboardInterrupt
        self._asked = self._asked or signal.Signals(number).name

    def _watch(self) -> None:
        import select

        while True:
            ready, _, _ = select.select([self._reader], [], [], self._patience())
            if not ready:
                if self._waiting_for_answer:
                    # The signal came in the instant before the terminal was read, which then waits for ever.
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                else:
                    self._cancel_quietly()
                continue
            numbers = os.read(self._reader, 64)
            if not numbers:
                return
            for number in numbers:
                if number in _SIGNALS:
                    self._asked_by(signal.Signals(number).name)

    def _patience(self) -> float | None:
        if not self._count:
            return None
        return _QUESTION if self._waiting_for_answer else _AGAIN

    def _asked_by(self, name: str) -> None:
        self._count += 1
        if self._waiting_for_answer:
            return
        self._asked = self._asked or name
        if self._count == 1:
            self._say(f"{name}: stopping. What is under way is cancelled and undone; once more breaks off harder.")
        elif self._count > 2:
            # Nothing is lost by it: a run that ends at any point is finished or undone by the next one.
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR)
            os._exit(130)
        self._cancel_quietly()

    def _cancel_quietly(self) -> None:
        cancel = self._cancel
        if cancel is None:
            return
        try:
            cancel()
        except Exception as problem:  # noqa: BLE001 - the thread must live on to hear the next signal
            self._say(f"The statement under way could not be cancelled: {problem}")
