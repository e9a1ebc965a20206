"""Keeping the server from ending a transaction whose author's function computes for longer than it may be idle.

The limit is there for clients that froze or vanished with their locks. One whose threads run and whose lease holds has
done neither, so it says a word every now and then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_LOG = logging.getLogger("bascule.postgres")


def kept_awake(
    work: Callable[[Connection], None], *, every: float, held: Callable[[], bool]
) -> Callable[[Connection], None]:
    """`work` with a word to the server every so many seconds, as long as `held` says that the lease is ours."""

    def awake(connection: Connection) -> None:
        over = threading.Event()
        thread = threading.Thread(
            target=_speak_until, args=(over, connection, every, held), name="bascule-awake", daemon=True
        )
        thread.start()
        try:
            work(connection)
        finally:
            over.set()
            thread.join()

    return awake


def _speak_until(over: threading.Event, connection: Connection, every: float, held: Callable[[], bool]) -> None:
    import psycopg

    try:
        while not over.wait(every) and held():
            _speak(connection)
    except psycopg.Error as exc:
        # The function meets the same with its next statement, and says so.
        _LOG.debug("keeping the session awake failed: %s", exc)


def _speak(connection: Connection) -> None:
    """Nothing while a statement, a COPY or a pipeline is under way: then the server is not idle, or could not hear."""
    from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus

    # Held for as long as rows are streamed: waiting for it could take for ever.
    if not connection.lock.acquire(blocking=False):
        return
    try:
        pgconn = connection.pgconn
        idle = pgconn.transaction_status == TransactionStatus.INTRANS
        if idle and pgconn.pipeline_status == PipelineStatus.OFF:
            answer = pgconn.exec_(b"SELECT")
            if answer.status == ExecStatus.FATAL_ERROR:
                _LOG.debug("keeping the session awake failed: %s", answer.error_message)
    finally:
        connection.lock.release()
