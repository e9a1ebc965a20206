"""Work beside SQLite's own, whose library lets other threads run while it computes and while it waits for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue


class Aside:
    """One thread more, begun when there is first something to do."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @contextmanager
    def doing(self, work: Callable[[], None]) -> Iterator[None]:
        """`work` is done by the time this ends. What it raises is raised then, unless something else is already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_working, name="bascule-aside", daemon=True)
            self._thread.start()
        self._work.put(work)
        try:
            yield
        except BaseException:
            self._ended.get()
            raise
        problem = self._ended.get()
        if problem is not None:
            raise problem

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None

    def _keep_working(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
                self._ended.put(None)
            except BaseException as problem:  # noqa: BLE001 - it is raised where it is waited for
                self._ended.put(problem)
