"""The thread of whoever holds the lease: renews it, looks at long statements, and stops what may no longer run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres import watch as looking
from bascule.databases.postgres.aside import Aside
from bascule.databases.postgres.wire import hang_up, settled
from bascule.errors import BasculeError
from bascule.ports.database import FailureKind, Watch

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

FIRST_LOOK: Final = 0.02
"""Seconds before a statement is looked at: most are over by then, and a try at a lock is not."""
TICK: Final = 0.015
IDLE_TICK: Final = 0.1
_CLOSE_LOOKS: Final = 0.5
"""For that long it is looked at with every tick, for the sake of tries at a lock."""
_STOP_GRACE: Final = 5.0
"""Seconds between first asking for a statement to be cancelled and breaking the connection."""
_ASK_AGAIN: Final = 0.3
"""Seconds between two requests: one that comes before the server has begun with the statement is without effect."""
_LOG = logging.getLogger("bascule.postgres")


_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds that also pass while the machine sleeps, where the system knows them."""
    return time.clock_gettime(_CLOCK)


class Work:
    """A statement, or a message of several, under way on the main connection."""

    __slots__ = (
        "asked_at",
        "blockers",
        "connection",
        "lock_wait",
        "next_look",
        "process",
        "reason",
        "started",
        "stopped_at",
        "waiting_since",
        "watch",
    )

    def __init__(self, connection: Connection, process: str, *, lock_wait: float, watch: Watch | None) -> None:
        """`process`: see `watch.process_of`. `lock_wait`: seconds it may wait for a lock, where the server does not
        bound that.
        """
        self.connection = connection
        self.process = process
        self.lock_wait = lock_wait
        self.watch = watch
        self.started = now()
        self.next_look = self.started + FIRST_LOOK
        self.waiting_since: float | None = None
        self.blockers: tuple[str, ...] = ()
        self.stopped_at: float | None = None
        self.asked_at = 0.0
        self.reason: FailureKind | None = None
        """Why we want it to be cancelled."""


class Keeper:
    """Runs from `start` to `stop`."""

    def __init__(self, aside: Aside, *, schema: str, token: int, ttl: float, taken_at: float) -> None:
        """`schema` is quoted; `taken_at`: `now` before the lease was asked for."""
        self.aside = aside
        self._renewal = settled(
            f"SELECT {schema}.renew({token}, '{ttl} seconds', pg_catalog.pg_backend_pid() = {{pid}})"
        )
        self._ttl = ttl
        self._deadline = taken_at + ttl
        self._next_beat = taken_at
        self._lost = False
        self._work: Work | None = None
        self._seen_work = taken_at
        self._tried_at = 0.0
        self._calling = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bascule-lease", daemon=True)

    def start(self) -> None:
        """The first heartbeat, which opens the second connection, then the thread. Raises `TargetUnreachable`,
        psycopg.Error.
        """
        self._beat(seconds=max(self._ttl, 5.0))
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the connection."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def held(self) -> bool:
        """By our own clock the lease has not run out, and nobody said that it is somebody else's."""
        return not self._lost and not self._stopped.is_set() and now() < self._deadline

    def is_lost(self) -> bool:
        """The target itself said that the lease is somebody else's."""
        return self._lost

    def renewed(self, asked_at: float) -> None:
        """The lease was renewed in another way, at the time given."""
        self._deadline = asked_at + self._ttl
        self._next_beat = asked_at + self._ttl / 3

    def lost(self) -> None:
        """The lease is somebody else's."""
        self._lost = True

    def begin(self, work: Work) -> None:
        """Something is being sent. Costs nothing but an assignment."""
        self._work = work

    def end(self) -> None:
        """It is over; its watch is not called any more when this returns."""
        self._work = None
        with self._calling:
            pass

    def cancel(self) -> None:
        """Stop what is under way, if anything is. For other threads and signal handlers, so it takes no lock."""
        work = self._work
        if work is not None:
            work.reason = work.reason or "cancelled"
            ask_to_stop(work.connection)

    def ask(self, message: str) -> list[tuple[str | None, ...]]:
        """Ask on the second connection. Raises as `Aside.ask`."""
        return self.aside.ask(message, seconds=max(1.0, self._ttl / 3))

    def _run(self) -> None:
        try:
            while not self._stopped.wait(self._pause()):
                self._turn()
        except BaseException:  # noqa: BLE001 - a thread has nobody to raise to
            # Without heartbeats the lease runs out; whoever asks is told that it has.
            self._lost = True
            _LOG.exception("The thread that renews the lease ended.")

    def _turn(self) -> None:
        moment = now()
        if not self._lost and (moment >= self._next_beat or self._has_lost_its_connection(moment)):
            self._guarded(lambda: self._beat(seconds=max(1.0, self._ttl / 3)))
        work = self._work
        if work is None:
            return
        self._seen_work = moment
        if self._lost or moment >= self._deadline - min(1.0, self._ttl / 10):
            self._stop_work(work, "fence")
        elif work.reason is not None:
            self._stop_work(work, work.reason)
        elif moment >= work.next_look:
            self._guarded(lambda: self._look(work))

    def _has_lost_its_connection(self, moment: float) -> bool:
        """Others take the end of the second connection for the end of this process, so they must soon see a new one."""
        if moment < self._tried_at + _ASK_AGAIN or self.aside.is_whole():
            return False
        self._tried_at = moment
        return True

    def _pause(self) -> float:
        return TICK if self._work is not None or now() - self._seen_work < 1.0 else IDLE_TICK

    def _beat(self, *, seconds: float) -> None:
        asked = now()
        self._next_beat = asked + min(0.25, self._ttl / 10)  # soon again, should this one fail
        answer = self.aside.ask(self._renewal, seconds=seconds)
        if answer[0][0] == "t":
            self.renewed(asked)
        else:
            self._lost = True

    def _guarded(self, act: Callable[[], None]) -> None:
        """The second connection may break, or every connection be taken: tried again until the lease has run out."""
        import psycopg

        try:
            act()
        except (psycopg.Error, BasculeError, TimeoutError) as exc:
            _LOG.debug("second connection: %s", exc)

    def _look(self, work: Work) -> None:
        elapsed = now() - work.started
        if looking.is_waiting(self.ask, work.process):
            work.blockers = looking.blockers(self.ask, work.process) or work.blockers
            if work.waiting_since is None:
                work.waiting_since = now()
            elif now() - work.waiting_since > work.lock_wait:
                self._stop_work(work, "lock_timeout")
        else:
            work.waiting_since = None
        if elapsed < _CLOSE_LOOKS:
            work.next_look = now() + TICK
            if elapsed < 0.2:
                return
        else:
            work.next_look = now() + (0.2 if elapsed < 30 else 1.0)
        if work.watch is not None:
            self._tell(work)

    def _tell(self, work: Work) -> None:
        told = looking.progress(self.ask, work.process, work.blockers if work.waiting_since is not None else ())
        if told is None:
            return
        with self._calling:
            if self._work is not work or work.watch is None:
                return
            try:
                work.watch(told)
            except BaseException:  # noqa: BLE001 - it is somebody else's code
                # Whoever only looks on must not be able to end a migration.
                work.watch = None
                _LOG.exception("A listener for progress failed; it is not called again for this statement.")

    def _stop_work(self, work: Work, reason: FailureKind) -> None:
        moment = now()
        if work.stopped_at is None:
            work.stopped_at = work.asked_at = moment
            work.reason = work.reason or reason
        elif moment - work.stopped_at > _STOP_GRACE:
            # The server does not hear us: it is told by the end of the connection, when it hears again.
            work.stopped_at = moment
            hang_up(work.connection)
            return
        elif moment - work.asked_at < _ASK_AGAIN:
            return
        work.asked_at = moment
        # Under the lock, so that the request cannot reach the statement after this one.
        with self._calling:
            if self._work is work:
                ask_to_stop(work.connection)


def ask_to_stop(connection: Connection) -> None:
    """Send a cancel request; on a connection of its own, so from any thread."""
    import psycopg

    try:
        connection.cancel_safe(timeout=2.0)
    except (psycopg.Error, OSError) as exc:
        _LOG.debug("cancelling failed: %s", exc)
