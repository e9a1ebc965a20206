"""One job as one transaction: fence, look of before, statements, mark and ledger row, or nothing at all."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bascule.databases.sqlite.blockers import who_locks
from bascule.databases.sqlite.catalog import shape
from bascule.databases.sqlite.errors import SENDING_ERRORS, error_name, is_busy, is_io_error, work_failed
from bascule.databases.sqlite.memory import (
    change_ledger,
    change_marks,
    forget_before,
    forget_older,
    keep_before,
    look_as_text,
    read_token,
)
from bascule.databases.sqlite.session import UNSAFE_JOURNALS, SessionState, changes_session, ends_transaction
from bascule.databases.sqlite.stopping import Stop
from bascule.domain.statement import Statement
from bascule.ports.database import Job, Lease, Watch, WorkFailed

_NOT_ALLOWED = "begins or ends a transaction, which is Bascule's to do: it holds one around the whole of this work"
_ENDED_INSIDE = (
    "The transaction was ended from inside, before Bascule could write its ledger. What had run until then is in the "
    "database; the ledger does not know of it."
)
_ENDED_HINT = "Take COMMIT out of the script. Undo what has run, or record it with: bascule mark"
_FOREIGN_KEY_LOOK = 1.0
"""Seconds to spend on finding which rows break a foreign key."""


def may_set(job: Job) -> bool:
    """Something in it may outlive its transaction: a setting of the session or of the file."""
    return bool(job.settings) or changes_session(statement.text for statement in job.statements)


class Performer:
    """Runs jobs on one connection. A new one with each connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        path: Path,
        stop: Stop,
        lock_timeout: float,
        statement_timeout: float | None,
    ) -> None:
        self._connection = connection
        self._path = path
        self._stop = stop
        self._lock_timeout = lock_timeout
        self._statement_timeout = statement_timeout
        self.broken = False
        """The connection could not be brought back to how it was and must be replaced."""

    def perform(self, job: Job, lease: Lease, watch: Watch | None) -> tuple[int, ...]:
        """The job's own statements; answers the rows each of them changed. Raises `WorkFailed`."""

        def work() -> tuple[int, ...]:
            if job.preimages is None:
                return self._statements(job.statements, tell=job.tell)
            return self._keeping(job)

        return self._run(lambda: self._transact(job, lease, work), job.settings, restore=may_set(job), watch=watch)

    def perform_with(
        self, job: Job, author: Callable[[sqlite3.Connection], None], lease: Lease, watch: Watch | None
    ) -> None:
        """The author's function in place of the statements. Raises `WorkFailed`, and what the function raises."""

        def work() -> tuple[int, ...]:
            if job.preimages is None:
                with self._lent():
                    author(self._connection)
                return ()
            from bascule.databases.sqlite import preimages

            preimages.before(self._connection, job)
            with self._lent():
                author(self._connection)
            preimages.after(self._connection, job)
            return ()

        self._run(lambda: self._transact(job, lease, work), job.settings, restore=True, watch=watch)

    def perform_bare(
        self, statement: Statement, settings: tuple[str, ...], lease: Lease, watch: Watch | None
    ) -> tuple[int, ...]:
        """One statement, which commits by itself. Raises `WorkFailed`."""

        def work() -> tuple[int, ...]:
            self._check_fence(lease)
            rows = self._statements((statement,))
            if self._connection.in_transaction:
                # Kept from happening by looking at the text; if it does, nothing of it may stay open.
                self._undo()
                raise WorkFailed("error", f"The statement {_NOT_ALLOWED}.", statement=0)
            return rows

        telling = bool(settings) or changes_session((statement.text,))
        return self._run(work, settings, restore=telling, watch=watch)

    def _run(
        self, work: Callable[[], tuple[int, ...]], settings: tuple[str, ...], *, restore: bool, watch: Watch | None
    ) -> tuple[int, ...]:
        self._stop.arm(watch)
        try:
            if not restore:
                return work()
            with self._session(settings):
                return work()
        except Exception as exc:
            if self._stop.raised is not None:
                # A signal handler or the watcher ended the statement; its own word comes before SQLite's "interrupted".
                raise self._stop.raised from exc
            if isinstance(exc, sqlite3.Error):
                raise self._failed(exc) from exc
            raise
        finally:
            self._stop.disarm()

    def _transact(self, job: Job, lease: Lease, work: Callable[[], tuple[int, ...]]) -> tuple[int, ...]:
        connection = self._connection
        begun = time.perf_counter()
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._check_fence(lease)
            look = None if job.before is None else look_as_text(shape(connection, job.before))
            rows = work()
            self._stop.limit(None)
            self._heed_stop()
            if not connection.in_transaction:
                raise WorkFailed("error", _ENDED_INSIDE, hint=_ENDED_HINT)
            self._remember(job, look, took_ms=int((time.perf_counter() - begun) * 1000))
            self._commit(patience=time.perf_counter() - begun)
        except sqlite3.Error as exc:
            # Before undoing: as long as we stand in the queue, who stands in front can be seen.
            failed = self._failed(exc)
            self._undo()
            raise failed from exc
        except BaseException:
            self._undo()
            raise
        return rows

    def _remember(self, job: Job, look: str | None, *, took_ms: int) -> None:
        connection, ledger = self._connection, job.ledger
        rides = ledger is not None and ledger.entry is not None and ledger.entry.name == job.migration
        if look is not None:
            forget_older(connection, job.migration)
        if look is not None and not rides:
            keep_before(connection, job.migration, look)
        if job.mark is not None or job.clear_marks:
            change_marks(connection, job)
        if ledger is not None:
            change_ledger(connection, ledger, took_ms=took_ms, before=look if rides else None)
        if job.forget_before:
            forget_before(connection, job.migration)

    def _statements(
        self,
        statements: tuple[Statement, ...],
        *,
        first: int = 0,
        tell: Callable[[int, float], object] | None = None,
    ) -> tuple[int, ...]:
        """`first`: the place of the first of them in the job; `tell`: as the job's."""
        connection, stop = self._connection, self._stop
        rows = []
        # What a migration selects is of no interest, and need not be text that Python can read.
        connection.text_factory = bytes
        try:
            for number, statement in enumerate(statements, first):
                text = statement.text
                if ends_transaction(text):
                    raise WorkFailed("error", f"The statement {_NOT_ALLOWED}.", statement=number, hint="Take it out.")
                self._heed_stop(number)
                stop.limit(self._statement_timeout)
                begun = time.perf_counter()
                try:
                    cursor = connection.execute(text)
                    if cursor.description is not None:
                        for _ in cursor:
                            pass
                except SENDING_ERRORS as exc:
                    raise self._failed(exc, statement=number, text=text) from exc
                rows.append(cursor.rowcount)
                if tell is not None:
                    tell(number, time.perf_counter() - begun)
        finally:
            connection.text_factory = str
        return tuple(rows)

    def _keeping(self, job: Job) -> tuple[int, ...]:
        """The statements, and around each what is kept of what it destroys, or put back."""
        from bascule.databases.sqlite import preimages

        connection = self._connection
        preimages.before(connection, job)
        rows: list[int] = []
        for number in range(len(job.statements)):
            preimages.before_statement(connection, job, number)
            rows += self._statements((job.statements[number],), first=number, tell=job.tell)
            preimages.after_statement(connection, job, number)
        self._stop.limit(None)
        preimages.after(connection, job)
        return tuple(rows)

    def _heed_stop(self, statement: int | None = None) -> None:
        """Asked between two statements, or of an author's function that went on regardless."""
        if self._stop.raised is not None:
            raise self._stop.raised
        if self._stop.reason is not None:
            raise WorkFailed("cancelled", "The work was stopped on request.", statement=statement)

    def _commit(self, *, patience: float) -> None:
        """Readers may hold up the end of a transaction. Waiting for them is worth as long as doing the work again
        would take.
        """
        deadline = time.perf_counter() + patience
        while True:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as exc:
                if is_busy(exc) and time.perf_counter() < deadline and not self._stop.asked:
                    time.sleep(0.001)
                    continue
                if is_io_error(exc) and error_name(exc) != "SQLITE_IOERR_WRITE":
                    # What failed came after the last write, so the transaction may have ended or not.
                    self.broken = True
                    raise WorkFailed(
                        "lost",
                        f"The operating system failed while the transaction was being ended. SQLite says: {exc}.",
                        sqlstate=error_name(exc),
                        hint="Look at the disk. The next look at the database finds out whether it ended.",
                    ) from exc
                raise self._failed(exc, detail=self._broken_foreign_keys(exc)) from exc
            return

    def _check_fence(self, lease: Lease) -> None:
        token = read_token(self._connection)
        if token == lease.token and lease.held():
            return
        if token is None:
            words = "Bascule's own tables are gone from the database."
        elif token != lease.token:
            words = "Another process has taken the lease since."
        else:
            words = "The lease was given back, or the sidecar file was taken away."
        raise WorkFailed("fence", f"{words} Nothing was committed.")

    def _undo(self) -> None:
        """Roll back. A connection that cannot is to be closed: the next one finds the journal and does it."""
        self._stop.disarm()
        connection = self._connection
        tries = 2  # an interrupt that came late may hit the first
        while connection.in_transaction:
            tries -= 1
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                if tries == 0:
                    self.broken = True
                    return

    @contextmanager
    def _lent(self) -> Iterator[None]:
        """The connection is in the hands of somebody else's code, which may do anything but end the transaction."""
        connection = self._connection
        # Not for our own statements: an authorizer costs a call for each column that one names.
        connection.set_authorizer(_deny_transactions)
        if self._statement_timeout is not None:
            connection.set_trace_callback(lambda _: self._stop.limit(self._statement_timeout))
        try:
            yield
        except sqlite3.DatabaseError as exc:
            if str(exc) == "not authorized":
                raise WorkFailed(
                    "error", f"What ran here {_NOT_ALLOWED}.", hint="Take begin, commit and rollback out."
                ) from exc
            raise
        finally:
            connection.set_authorizer(None)
            connection.set_trace_callback(None)
            connection.row_factory, connection.text_factory = None, str
            if connection.isolation_level is not None:
                # To set it back would commit; this connection is good for this transaction and no more.
                self.broken = True

    @contextmanager
    def _session(self, settings: tuple[str, ...]) -> Iterator[None]:
        """The script's own settings hold inside, and nothing of them after."""
        state = SessionState(self._connection)
        try:
            self._set(settings)
            yield
        finally:
            self._stop.disarm()
            try:
                state.restore()
            except sqlite3.Error:
                # Replaced by one that is as it should be.
                self.broken = True

    def _set(self, settings: tuple[str, ...]) -> None:
        for setting in settings:
            self._connection.execute(setting).fetchall()
        self._connection.execute(f"PRAGMA busy_timeout = {int(self._lock_timeout * 1000)}").fetchone()
        (journal,) = self._connection.execute("PRAGMA main.journal_mode").fetchone()
        if journal in UNSAFE_JOURNALS:
            raise WorkFailed(
                "error",
                f"The script sets journal_mode to {journal}, with which a killed transaction leaves a damaged file.",
                hint="Take that PRAGMA out.",
            )

    def _failed(
        self, exc: BaseException, *, statement: int | None = None, text: str = "", detail: str = ""
    ) -> WorkFailed:
        blockers = who_locks(self._path) if is_busy(exc) else ()
        failed = work_failed(exc, path=self._path, statement=statement, text=text, blockers=blockers, detail=detail)
        if failed.kind == "cancelled" and self._stop.reason == "timeout":
            failed.kind = "timeout"
            failed.message = f"The statement took longer than {self._statement_timeout:g} s (statement_timeout)."
        elif failed.kind == "cancelled" and not self._stop.asked and _is_main_thread():
            # Nobody asked: Ctrl-C came in the one instant in which SQLite's question cannot catch what it raises.
            self._stop.raised = KeyboardInterrupt()
        return failed

    def _broken_foreign_keys(self, exc: BaseException) -> str:
        if "FOREIGN KEY" not in str(exc):
            return ""
        self._stop.limit(_FOREIGN_KEY_LOOK)
        try:
            rows = self._connection.execute("PRAGMA foreign_key_check").fetchmany(3)
        except sqlite3.Error:
            return ""  # a large database: the hint says how to look without a limit
        finally:
            self._stop.limit(None)
            self._stop.reason = None
        return "; ".join(f"row {row[1]} of {row[0]} points to no row of {row[2]}" for row in rows)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _deny_transactions(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK
