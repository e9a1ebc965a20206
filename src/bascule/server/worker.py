"""``python -m bascule.server.worker``: one piece of long work in a process of its own, which outlives its server.

The job comes on standard input as one JSON document; what happens goes to standard output, a document a line. Whatever
the author's Python prints goes to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from bascule.errors import BasculeError
from bascule.server.pipe import Line
from bascule.server.recipe import Recipe

_PATIENCE = 1.0
"""Seconds after which the statement under way is cancelled again: the first cancel may have come before it."""


class Stopping:
    """Whether somebody asked this process to end. The first signal asks and cancels the statement under way, the third
    one ends the process; all are safe.
    """

    def __init__(self) -> None:
        self._asked: str | None = None
        self._count = 0
        self.cancel: Callable[[], None] | None = None

    def __call__(self) -> str | None:
        """Name of the first signal, None while there was none."""
        return self._asked

    def heard(self, number: int, _frame: FrameType | None) -> None:
        """A signal came. Runs in the main thread, which does nothing but wait."""
        self._count += 1
        self._asked = self._asked or signal.Signals(number).name
        if self._count > 2:
            os._exit(130)
        self.press()

    def press(self) -> None:
        """Cancel what is under way, if somebody has asked for it."""
        if self._asked is None or self.cancel is None:
            return
        try:
            self.cancel()
        except Exception as problem:  # noqa: BLE001 - the next try may do
            logging.getLogger("bascule.server").warning("The statement could not be cancelled: %s", problem)


def main() -> int:
    """Do the job of standard input."""
    line = _own_line()
    given = json.loads(sys.stdin.buffer.read())
    stopping = Stopping()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopping.heard)
    work = threading.Thread(target=_work, args=(given, line, stopping), name="bascule-work", daemon=True)
    work.start()
    while work.is_alive():
        work.join(_PATIENCE)
        stopping.press()
    return 0


def _own_line() -> Line:
    """What led to the server becomes ours alone; standard output leads to standard error from now on."""
    line = Line(os.dup(1))
    os.dup2(2, 1)
    return line


def _work(given: dict[str, Any], line: Line, stopping: Stopping) -> None:
    from bascule.server.tasks import Task, perform

    clean: Callable[[str], str] = str
    try:
        settings = Recipe.from_dict(given["recipe"]).settings(**given["settings"])
        clean = settings.clean
        task = Task(
            settings=settings,
            line=line,
            stopping=stopping,
            run_id=given["run"],
            asked_by=given["by"],
            watched=given["watched"],
        )
        line.end({"end": perform(task, given["verb"], given["arguments"])})
    except BasculeError as error:
        line.end({"end": refusal(error, clean)})
    except BaseException as problem:  # noqa: BLE001 - the one door through which every failure leaves
        import traceback

        print(clean("".join(traceback.format_exception(problem))), file=sys.stderr)
        line.end({"end": refusal(unexpected(problem), clean)})


def unexpected(problem: BaseException) -> BasculeError:
    """What is told of a failure nobody foresaw; the log of the server has its traceback."""
    return BasculeError(
        f"Unexpected {type(problem).__name__}.",
        code="unexpected",
        state="unknown",
        hint="The server's log tells more; the status shows where the database stands.",
    )


def refusal(error: BasculeError, clean: Callable[[str], str]) -> dict[str, Any]:
    """An error as the server is told of it, without secrets."""
    from bascule.server.problems import status_of
    from bascule.services.concealed import concealed

    described: dict[str, Any] = concealed(error.as_dict(), clean)
    return {"success": False, "status": status_of(error), "message": clean(error.message), "error": described}


if __name__ == "__main__":
    sys.exit(main())
