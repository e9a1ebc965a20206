"""The state store of a SQLite database: the sidecar file, through a connection of its own."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bascule.databases.sqlite.errors import is_busy, refusal
from bascule.databases.sqlite.sidecar import Sidecar, open_sidecar
from bascule.errors import LockNotAvailable, Refused
from bascule.ports.state import Row, StateTransaction, Value
from bascule.state.tables import TABLES, named


class SqliteState:
    """One target's. Opens the file when first asked."""

    def __init__(self, path: Path, *, about: Callable[[], str], make: Callable[[], None]) -> None:
        """`path`: of the sidecar. `about` tells the target's identity, `make` makes database and sidecar where they
        are missing.
        """
        self._path = path
        self._about = about
        self._make = make
        self._guard = threading.RLock()
        self._identity = ""
        self._sidecar: Sidecar | None = None

    def about(self) -> str:
        """See the port."""
        with self._guard:
            self._identity = self._identity or self._about()
            return self._identity

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """See the port."""
        with self._guard, self._errors("read its state store"):
            sidecar = self._open()
            if sidecar is None or not sidecar.has_state():
                return []
            return sidecar.ask(_named(sql), values)

    def write(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """See the port."""
        with self.transaction() as transaction:
            return transaction.ask(sql, values)

    @contextlib.contextmanager
    def transaction(self, *, alone: str | None = None, durable: bool = True) -> Iterator[StateTransaction]:
        """See the port. There is one writer at a time anyway."""
        with self._guard, self._errors("write to its state store", alone):
            sidecar = self._prepared()
            with sidecar.writing(durable=durable):
                yield _Open(sidecar)

    def close(self) -> None:
        """See the port."""
        with self._guard:
            self._close()

    def _prepared(self) -> Sidecar:
        sidecar = self._open()
        if sidecar is None or sidecar.identity is None:
            self._make()
            self._identity = self._about()
            sidecar = self._open()
        if sidecar is None:
            raise Refused(f"{self._path} was deleted as soon as it was made.", code="gone", hint="Run again.")
        if not sidecar.has_state():
            sidecar.make_state([_named(table) for table in TABLES])
        return sidecar

    def _open(self) -> Sidecar | None:
        if self._sidecar is not None and not self._sidecar.is_current():
            # The file was replaced: what comes now belongs into the one that has its name.
            self._close()
        if self._sidecar is None:
            self._sidecar = open_sidecar(self._path)
        return self._sidecar

    def _close(self) -> None:
        if self._sidecar is not None:
            self._sidecar.close()
            self._sidecar = None

    @contextlib.contextmanager
    def _errors(self, doing: str, alone: str | None = None) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if is_busy(exc):
                raise LockNotAvailable(
                    f"Bascule could not {doing}: others are writing {self._path.name}.",
                    code="state_busy",
                    hint="Run again.",
                    details={"alone": alone} if alone else {},
                ) from exc
            raise refusal(exc, path=self._path, doing=doing) from exc


class _Open:
    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    def ask(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return self._sidecar.ask(_named(sql), values)


def _named(sql: str) -> str:
    return named(sql, lambda table: f"bascule_{table}")
