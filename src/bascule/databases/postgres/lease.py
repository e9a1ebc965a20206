"""The lease: one row in the target, server time, a token that fences, and a thread that renews it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.farewell import Farewell
from bascule.databases.postgres.keeper import Keeper, now
from bascule.databases.postgres.message import literal
from bascule.databases.postgres.wire import IDLE, ask, settled
from bascule.domain.history import Holder
from bascule.errors import BasculeError

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]
    from bascule.databases.postgres.session import Session

CONTENDED: Final = 1.0
"""Seconds for which a row that somebody has locked is asked for again."""


class PostgresLease:
    """The right to change the target. Made by `take`."""

    def __init__(
        self, *, token: int, taken_from: Holder | None, keeper: Keeper, give_back: Callable[[PostgresLease], None]
    ) -> None:
        """`give_back` writes to the target that the lease is free."""
        self.token = token
        self.taken_from = taken_from
        self.keeper = keeper
        self._give_back = give_back
        self._released = False

    def held(self) -> bool:
        """True while, by this process's own clock, the lease surely has not run out."""
        return not self._released and self.keeper.held()

    def release(self) -> None:
        """Give it back. Never raises for a connection that is gone already; the lease then runs out by itself."""
        if self._released:
            return
        self._released = True
        self.keeper.stop()
        self._give_back(self)


def try_acquire(
    session: Session, *, schema: str, owner: str, run: str, ttl: float, tag: str
) -> tuple[int, Holder | None, float] | Holder:
    """One try: (token, the former holder after an unclean end, `now` before asking), or who holds it.

    A former holder's server processes are seen off first. Raises `NeedsPerson` where they do not go, and
    psycopg.Error.
    """
    sql = settled(
        f"SELECT {schema}.acquire({literal(owner)}, {literal(run)}, '{ttl} seconds', {literal(tag)}, "
        f"{str(session.pooled).lower()})"
    )
    farewell: Farewell | None = None
    contended_until: float | None = None
    while True:
        asked = now()
        answer = json.loads(ask(session.connection, sql)[0][0] or "{}")
        if answer["outcome"] == "taken":
            former = answer["former"]
            return answer["token"], holder_of(former) if former else None, asked
        holder = answer["holder"]
        if answer["outcome"] == "held":
            return holder_of(holder)
        if answer["outcome"] == "leaving":
            farewell = farewell or Farewell(session.connection, holder["owner"])
            farewell.wait(answer["workers"], at_once=answer["expired"])
            continue
        contended_until = contended_until or asked + CONTENDED
        if asked > contended_until:
            return holder_of({**holder, "owner": holder["owner"] or "another process"})
        time.sleep(0.01)


def read_holder(connection: Connection, schema: str) -> Holder | None:
    """Who holds it now; None when nobody does, or whoever did is surely gone. Raises psycopg.Error."""
    rows = ask(
        connection,
        f"SELECT {schema}.holder_words(l) FROM {schema}.lease AS l WHERE name = 'target' AND owner IS NOT NULL "
        f"AND expires_at > pg_catalog.clock_timestamp() AND NOT {schema}.is_orphaned(l)",
    )
    return holder_of(json.loads(rows[0][0] or "{}")) if rows else None


def read_left_behind(connection: Connection, schema: str) -> Holder | None:
    """Who had it and did not give it back, where its time is over or its process surely gone. Raises psycopg.Error."""
    rows = ask(
        connection,
        f"SELECT {schema}.holder_words(l) FROM {schema}.lease AS l WHERE name = 'target' AND owner IS NOT NULL "
        f"AND (expires_at <= pg_catalog.clock_timestamp() OR {schema}.is_orphaned(l))",
    )
    return holder_of(json.loads(rows[0][0] or "{}")) if rows else None


def holder_of(words: Mapping[str, Any]) -> Holder:
    """From what the function `holder_words` answers."""
    return Holder(
        owner=words["owner"] or "",
        run=words["run"] or "",
        since=_moment(words["since"]),
        expires_at=_moment(words["expires_at"]),
        token=words["token"],
        backend=words["backend"] or "",
    )


def give_back(session: Session | None, keeper: Keeper, *, schema: str, token: int) -> None:
    """Write that the lease is free, on the main session; without one, which is when a server process of ours may still
    be at work, that it has run out, so that the next one sees to that process first.
    """
    import psycopg

    clean = session is not None and session.connection.pgconn.transaction_status == IDLE
    sql = settled(f"SELECT {schema}.release({token}, {str(clean).lower()})")
    try:
        if session is not None and clean:
            ask(session.connection, sql, seconds=5.0)
        else:
            keeper.ask(sql)
    except (psycopg.Error, BasculeError, TimeoutError):
        return  # it runs out by itself
    finally:
        keeper.aside.close()


def _moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC) if text else datetime.now(UTC)
