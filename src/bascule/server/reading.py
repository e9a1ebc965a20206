"""Looking at the target without making anybody wait: some threads, each with a connection that it keeps a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bascule.errors import Refused, UsageError
from bascule.services.context import Context

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.ports.database import Target

T = TypeVar("T")

_LIFE = 60.0
"""Seconds for which a connection is kept: what a target says of itself may be remembered with it."""


@dataclass(slots=True, kw_only=True)
class _Kept:
    target: Target
    until: float


class Readers:
    """Asks questions of a context in threads of its own. Nothing it does changes the target."""

    def __init__(self, settings: Settings, *, threads: int) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bascule-reader")
        self._own = threading.local()
        self._all: list[_Kept] = []
        self._lock = threading.Lock()

    async def ask(self, question: Callable[[Context], T]) -> T:
        """The answer to a question. Raises what it raises, and `TargetUnreachable`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.now, question)

    def now(self, question: Callable[[Context], T]) -> T:
        """As `ask`, in the caller's thread."""
        kept: _Kept | None = getattr(self._own, "kept", None)
        if kept is not None and time.monotonic() < kept.until:
            try:
                return question(self._context(kept.target))
            except (UsageError, Refused):
                # The question was wrong, or the connection is gone; the latter shows with a new one.
                self._forget(kept)
            except Exception:
                self._forget(kept)
                raise
        elif kept is not None:
            self._forget(kept)
        return self._with_a_new_one(question)

    def _with_a_new_one(self, question: Callable[[Context], T]) -> T:
        from bascule import wiring

        kept = _Kept(target=wiring.open_target(self._settings, read_only=True), until=time.monotonic() + _LIFE)
        try:
            found = question(self._context(kept.target))
            keep = kept.target.describe().prepared
        except BaseException:
            kept.target.close()
            raise
        if keep:
            self._own.kept = kept
            with self._lock:
                self._all.append(kept)
        else:
            # That it is not prepared is remembered by the connection, and may change at any time.
            kept.target.close()
        return found

    def _context(self, target: Target) -> Context:
        from bascule import wiring

        return wiring.context(self._settings, publish=_nobody, say=_nobody, target=target, read_only=True)

    def _forget(self, kept: _Kept) -> None:
        self._own.kept = None
        with self._lock:
            if kept in self._all:
                self._all.remove(kept)
        kept.target.close()

    def close(self) -> None:
        """Give all connections back, once the questions under way are answered."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for kept in self._all:
            kept.target.close()
        self._all.clear()


def _nobody(_told: object) -> None:
    """Nobody listens while somebody only looks."""
