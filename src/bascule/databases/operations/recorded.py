"""What an author's function would send, found by calling it without a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from bascule.databases.operations import refusals
from bascule.databases.operations.author import AuthorFunction, current_line
from bascule.databases.operations.backfill import Backfill
from bascule.databases.operations.scripts import check_inside_transaction
from bascule.databases.operations.step_carrier import StepCarrier, run
from bascule.domain.statement import Dialect, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The statements of one direction of a Python migration, as far as they can be known without a database."""

    statements: tuple[Statement, ...]
    """In order, values written as literals; `line` is the line of the author's file that made it."""
    depends_on_data: str | None = None
    """In words; the function reads the database after the last of `statements`, so that nobody knows how it goes on."""
    error: str | None = None
    """In words, without the place: the file or the function raised, or did not come to its end in time."""
    error_line: int | None = None
    hint: str = ""
    batched: tuple[int, ...] = ()
    """Indexes of the statements that will run in batches: backfills of a migration without a transaction."""

    @property
    def complete(self) -> bool:
        """Whether `statements` is all that the function sends."""
        return self.depends_on_data is None and self.error is None


def statements_of(
    function: AuthorFunction, *, dialect: Dialect, server_version: int | None = None, transactional: bool = True
) -> Recorded:
    """Call the author's function in this process with an ``op`` that has no database, and answer what it would send.

    It ends early, with the reason in `Recorded.depends_on_data`, where the function reads. Raises MigrationFailed,
    with the line, where it raises.
    """
    made: list[Statement] = []
    carrier = RecordingCarrier(
        function, dialect=dialect, server_version=server_version, into=made, transactional=transactional
    )
    depends: str | None = None
    try:
        run(function, carrier)
    except DependsOnData as reason:
        depends = f"depends on data: try it on a copy of the database (line {reason.line} {reason.what})"
    return Recorded(statements=tuple(made), depends_on_data=depends, batched=tuple(carrier.batched))


class DependsOnData(BaseException):
    """The function wants to know what only the database knows. No Exception: authors catch those."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


class RecordingCarrier(StepCarrier):
    """Has no database: keeps the statements, and gives up where the function wants to read."""

    def __init__(
        self,
        function: AuthorFunction,
        *,
        dialect: Dialect,
        server_version: int | None,
        into: list[Statement],
        transactional: bool,
    ) -> None:
        super().__init__(
            function, dialect=dialect, server_version=server_version, execute=into.append, connect=self._no_database
        )
        self.batched: list[int] = []
        self._transactional = transactional

    def backfill(self, work: Backfill) -> None:
        """The UPDATE as a whole: which rows a batch takes depends on the table."""
        if not self._transactional:
            self.batched.append(self.count)
        super().backfill(work)

    def enter_autocommit(self) -> None:
        """As in the real run."""
        if self._transactional:
            raise refusals.autocommit_refused()

    def recreate(self, table: str, schema: str | None, *, reflected: bool) -> None:
        """Nothing was read, or this would not have been reached."""

    def _check(self, sql: str) -> None:
        if not self._transactional:
            super()._check(sql)
            return
        check_inside_transaction(sql, self.dialect)

    def _meet(self) -> None:
        """There is no server to meet."""

    def _no_database(self) -> NoReturn:
        raise DependsOnData(current_line(self._path), "reads the database")

    def _unknown(self) -> NoReturn:
        raise DependsOnData(current_line(self._path), "asks how many rows were changed")
