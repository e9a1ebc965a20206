"""In the place of a driver's connection: reading goes to one connection, every other statement becomes a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from bascule.databases.operations.binding import DriverConnection, plain_cursor
from bascule.databases.operations.control import only_reads
from bascule.databases.operations.interpolation import with_values
from bascule.domain.statement import Dialect

Parameters = Mapping[str, Any] | Sequence[Any] | None
Emit = Callable[[str], int | None]
"""Makes a step of a statement's text; answers the rows it changed, where that is known."""


class SteppingConnection(DriverConnection):
    """Stands in for the driver's connection below SQLAlchemy."""

    def __init__(
        self, *, dialect: Dialect, reader: Callable[[], Any], emit: Emit, unknown: Callable[[], NoReturn]
    ) -> None:
        """`reader` answers the connection for reading; `unknown` raises, when a number of rows nobody knows is used."""
        self.dialect: Dialect = dialect
        self.reader = reader
        self.emit = emit
        self.unknown = unknown
        self.rolled_back: Callable[[], None] = _nothing

    def commit(self) -> None:
        """Every step is committed already."""

    def rollback(self) -> None:
        """No step can be taken back."""
        self.rolled_back()

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """A cursor that decides with each statement where it goes."""
        return SteppingCursor(self)

    def driver(self) -> Any:
        """The connection for reading."""
        return self.reader()


class SteppingCursor:
    """As much of a cursor as SQLAlchemy uses."""

    arraysize = 1
    lastrowid = None

    def __init__(self, connection: SteppingConnection) -> None:
        self._connection = connection
        self._rows: Any = None
        self.rowcount = -1

    @property
    def description(self) -> Any:
        """Columns of the rows that were read; None after a step, which answers none."""
        return None if self._rows is None else self._rows.description

    def execute(self, sql: str, parameters: Parameters = None) -> SteppingCursor:
        """Read, or make a step."""
        self.close()
        if only_reads(sql, self._connection.dialect):
            self._rows = plain_cursor(self._connection.reader(), self._connection.dialect, (), {})
            self._rows.execute(sql) if parameters is None else self._rows.execute(sql, parameters)
            self.rowcount = self._rows.rowcount
        else:
            self._step(sql, parameters)
        return self

    def executemany(self, sql: str, several: Iterable[Parameters]) -> SteppingCursor:
        """A step for each."""
        self.close()
        for parameters in several:
            self._step(sql, parameters)
        return self

    def fetchone(self) -> Any:
        """The next row that was read."""
        return self._rows.fetchone()

    def fetchmany(self, size: int | None = None) -> Any:
        """Some rows that were read."""
        return self._rows.fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> Any:
        """The rest of the rows that were read."""
        return self._rows.fetchall()

    def close(self) -> None:
        """Forget what was read."""
        if self._rows is not None:
            self._rows.close()
            self._rows = None

    def _step(self, sql: str, parameters: Parameters) -> None:
        changed = self._connection.emit(with_values(sql, parameters, self._connection.dialect))
        self.rowcount = UnknownCount(self._connection.unknown) if changed is None else changed


class UnknownCount(int):
    """A number of rows that nobody knows. It may be passed on and printed, but an author's ``if`` over it raises.

    A loop that ends when a statement changes no more rows would otherwise never end, or end at once.
    """

    _asked: Callable[[], NoReturn]

    def __new__(cls, asked: Callable[[], NoReturn]) -> UnknownCount:
        self = super().__new__(cls, -1)
        self._asked = asked
        return self

    def __str__(self) -> str:
        return "an unknown number of"

    __repr__ = __str__

    def __format__(self, _spec: str) -> str:
        return str(self)

    def _refuse(self, *_: object) -> NoReturn:
        self._asked()

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __int__ = __index__ = _refuse
    __hash__ = int.__hash__


def _nothing() -> None:
    pass
