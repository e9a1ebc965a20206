"""The door to the state store: where Bascule keeps what is no fact of a run. See `bascule.state` for what is in it.

How to implement one:

1. A connection of its own, opened when first asked. Unlike a target, a door may be used by several threads: it lets
   one in at a time.
2. ``@name`` in a statement stands for a table of `bascule.state.tables`, ``?`` for a value.
3. Reading makes nothing: where Bascule keeps nothing yet, or an older version has not made the tables, there are no
   rows.
4. What a transaction wrote survives a power loss once it has ended, or did not happen.
5. Nobody waits for a lock inside a transaction: on PostgreSQL that would hold up every CREATE INDEX CONCURRENTLY.
6. Run ``tests/conformance/state.py`` against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Value = str | int | None
Row = tuple[Any, ...]


class StateTransaction(Protocol):
    """Statements that happen together or not at all."""

    def ask(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """One statement; its rows, or those of its RETURNING."""


class StateDoor(Protocol):
    """The state store of one target. Each method raises `TargetUnreachable`, or `Refused` for what the server or the
    file refuses.
    """

    def about(self) -> str:
        """The identity of the target, which tells its rows from those of others in the same store; empty where
        Bascule keeps nothing yet.
        """

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """One SELECT."""

    def write(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """One statement in a transaction of its own. Makes the tables where they are missing."""

    def transaction(
        self, *, alone: str | None = None, durable: bool = True
    ) -> AbstractContextManager[StateTransaction]:
        """Several statements. `alone`: a name; no two transactions of the same name are open at a time, on whichever
        host. Makes the tables where they are missing. Raises `LockNotAvailable` (code ``state_busy``) when it was not
        its turn within half a minute. Without `durable` nobody waits for the disk: a power loss may take it
        back, whole.
        """

    def close(self) -> None:
        """Give everything back."""
