"""Doing a job: its message sent, its results read, and every way it can end told apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from bascule.databases.postgres import watch as looking
from bascule.databases.postgres.errors import connection_lost, driver_failed, kind_of, work_failed
from bascule.databases.postgres.keeper import Keeper, Work, ask_to_stop
from bascule.databases.postgres.message import (
    COMMIT,
    OURS,
    Message,
    Names,
    check_characters,
    check_texts,
    leaves_traces,
    modes_of,
    needs_pieces,
    resets_all,
    whole,
)
from bascule.databases.postgres.wire import FATAL_ERROR, IDLE, collect, exchange, send
from bascule.domain.statement import Statement
from bascule.errors import BasculeError
from bascule.ports.database import FailureKind, Job, Limits, Meanwhile, Performed, Watch, WorkFailed

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGresult

    from bascule.databases.postgres.session import Session

_STOP_SECONDS = 5.0
_STOP_TRIES = 10
_ROLLBACKS = 3
_STOPPED: Mapping[FailureKind, str] = {
    "fence": "stopped, because the lease could not be renewed in time",
    "lock_timeout": "stopped, because it waited too long for others to release their locks",
    "cancelled": "stopped on request",
}
"""What we say where the server only says that it was asked to stop."""
"""Seconds for a cancelled statement to end; after that the connection is given up."""


class Performer:
    """Performs on one session, under one lease."""

    def __init__(self, session: Session, *, schema: str, tag: str, limits: Limits) -> None:
        """`schema` is quoted. Cheap to make anew for each session."""
        self.session = session
        self._limits = limits
        self.names = Names(
            schema=schema,
            tag=tag,
            limits=(
                f"{_ms(limits.lock_timeout)}ms",
                None if limits.statement_timeout is None else f"{_ms(limits.statement_timeout)}ms",
                f"{_ms(limits.idle_timeout)}ms",
                session.own_check,
            ),
            search_path=session.search_path if session.pooled else None,
            tail=session.tail,
            ascii_only=session.ascii_only,
        )
        self._ready: tuple[Job, Message] | None = None
        self._process = looking.process_of(None if session.pooled else session.pid, tag)

    # A job

    def perform(
        self,
        job: Job,
        *,
        token: int,
        keeper: Keeper,
        facts: bool,
        watch: Watch | None,
        meanwhile: Meanwhile | None,
    ) -> Performed:
        """One transaction, in one message where that is possible. `facts`: the job's facts ride in it. Raises
        `WorkFailed`.
        """
        self._begin(job, keeper)
        if job.tell is not None or needs_pieces(job):
            if meanwhile is not None:
                meanwhile.tell()
                meanwhile.think()
            return self._in_pieces(job, token, keeper, facts, watch)
        message = self._whole(job, token, facts)

        def make_ready() -> None:
            if meanwhile is None:
                return
            meanwhile.tell()
            following = meanwhile.think()
            if following is not None and not needs_pieces(following):
                self._ready = following, self._whole(following, token, facts)

        results = self._run(message, job, keeper, watch, make_ready)
        if leaves_traces(job.statements):
            self.session.traces_of = (job.migration, job.direction)
        return self._performed(message, job, results)

    def _whole(self, job: Job, token: int, facts: bool) -> Message:
        """The job as one message, which may have been made ready."""
        ready, self._ready = self._ready, None
        if ready is not None and ready[0] is job:
            return ready[1]
        traces = self.session.pooled and leaves_traces(job.statements)
        return whole(self.names, job, token, facts=facts, traces=traces)

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, token: int, keeper: Keeper, facts: bool, watch: Watch | None
    ) -> Performed:
        """One transaction, with `work` in the place of the statements. Raises `WorkFailed`, and what `work` raises."""
        self._begin(job, keeper)
        number = self._open(job, token, keeper, watch, ())
        self._call(job, work, keeper, watch)
        self.session.traces_of = (job.migration, job.direction)
        return self._close(job, number, keeper, facts, watch, [])

    # One statement outside any transaction

    def bare(
        self,
        statement: Statement,
        *,
        settings: Sequence[str],
        run_id: str,
        keeper: Keeper,
        watch: Watch | None,
    ) -> Performed:
        """The statement alone in its message, under a comment that tells whose it is. Raises `WorkFailed`."""
        check_characters(statement, 0)
        if keeper.is_lost():
            raise WorkFailed("fence", "the lease is no longer ours")
        if self.session.pooled and settings:
            raise WorkFailed(
                "error",
                f"the statement relies on settings made before it ({settings[0]}), which do not hold outside a "
                "transaction behind a pooler",
                hint="Name a connection past the pooler (MIGRATION_DIRECT_URL).",
            )
        job = Job(run_id=run_id, migration="", direction="", statements=(statement,))
        try:
            if not self.session.pooled:
                self._prepare_bare(settings, job, keeper)
            if not keeper.held():
                raise WorkFailed("fence", "the lease ran out before the statement was sent")
            message = Message(self.names.comment(run_id))
            message.add(statement.text, 0)
            begun = time.perf_counter()
            results = self._run(message, job, keeper, watch, None, lock_wait=self._limits.bare_lock_wait)
            spent = time.perf_counter() - begun
        finally:
            self._restore()
        return Performed(ms=round(spent * 1000), rows=_rows(results), notices=self.session.take_notices())

    def _prepare_bare(self, settings: Sequence[str], job: Job, keeper: Keeper) -> None:
        """Settings for the session, in a message of their own. A lock that does not come in time ends the statement
        on the server's side too, should we be gone by then.
        """
        message = Message()
        limits = f"SET lock_timeout = '{_ms(self._limits.bare_lock_wait)}ms';"
        if self._limits.statement_timeout is not None:
            limits += f"SET statement_timeout = '{_ms(self._limits.statement_timeout)}ms';"
        message.own(limits, OURS)
        for setting in settings:
            message.own(setting + "\n;", OURS)
            if resets_all(setting):
                message.own(limits, OURS)
        self._run(message, job, keeper, None, None)

    def _restore(self) -> None:
        import psycopg

        if self.session.pooled or self.session.broken:
            return
        try:
            self.session.restore()
        except psycopg.Error:
            self.session.close()

    # In pieces

    def _in_pieces(self, job: Job, token: int, keeper: Keeper, facts: bool, watch: Watch | None) -> Performed:
        """Statement by statement: what is too large for one message, or changes how the rest of one is read."""
        first = modes_of(job)
        tell = job.tell or _nobody
        begun = time.monotonic()
        number = self._open(job, token, keeper, watch, first)
        for index in range(len(first)):
            # They are sent with what is ours, as one.
            tell(index, (time.monotonic() - begun) / len(first))
        rows = [-1] * len(first)
        for index in range(len(first), len(job.statements)):
            statement = job.statements[index]
            message = Message(self.names.comment(job.run_id))
            self.names.around(message, job, index, "before")
            at = len(message.slots)
            message.add(statement.text, index)
            if resets_all(statement.text):
                self.names.again(message, token)
            self.names.around(message, job, index, "after")
            begun = time.monotonic()
            rows += _rows(self._run(message, job, keeper, watch, None)[at : at + 1])
            tell(index, time.monotonic() - begun)
        if leaves_traces(job.statements):
            self.session.traces_of = (job.migration, job.direction)
        return self._close(job, number, keeper, facts, watch, rows)

    def _open(self, job: Job, token: int, keeper: Keeper, watch: Watch | None, first: Sequence[Statement]) -> str:
        """Begin; answers the transaction's number."""
        message = Message(self.names.comment(job.run_id))
        self.names.open(message, job, token, first)
        message.own("SELECT pg_catalog.pg_current_xact_id();", OURS)
        value = self._run(message, job, keeper, watch, None)[-1].get_value(0, 0)
        return (value or b"").decode()

    def _close(
        self, job: Job, number: str, keeper: Keeper, facts: bool, watch: Watch | None, rows: list[int]
    ) -> Performed:
        message = Message(self.names.comment(job.run_id))
        traces = self.session.pooled and self.session.traces_of is not None
        self.names.close(message, job, facts=facts, transaction=number, traces=traces)
        done = self._performed(message, job, self._run(message, job, keeper, watch, None))
        return Performed(ms=done.ms, rows=tuple(rows), notices=done.notices)

    def _call(self, job: Job, work: Callable[[Any], None], keeper: Keeper, watch: Watch | None) -> None:
        import psycopg

        connection = self.session.connection
        at_work = Work(connection, self._process, lock_wait=self._limits.lock_retry, watch=watch)
        finished = False
        keeper.begin(at_work)
        try:
            # A transaction context inside of ours: in it psycopg refuses commit() and rollback().
            with connection.transaction():
                work(connection)
                finished = True
        except psycopg.Error as exc:
            keeper.end()
            raise self._driver_failed(exc, job, keeper, at_work) from exc
        except BaseException:
            keeper.end()
            self._roll_back()
            raise
        finally:
            keeper.end()
            connection.prepare_threshold = None
        if not finished:
            self._roll_back()
            raise WorkFailed("error", "the function rolled its own work back")

    # Sending and judging

    def _begin(self, job: Job, keeper: Keeper) -> None:
        import psycopg

        check_texts(job.statements)
        if keeper.is_lost():
            raise WorkFailed("fence", "the lease is no longer ours")
        try:
            self.session.clear_traces((job.migration, job.direction))
        except psycopg.Error as exc:
            self.session.close()
            raise connection_lost(exc) from exc

    def _run(
        self,
        message: Message,
        job: Job,
        keeper: Keeper,
        watch: Watch | None,
        meanwhile: Callable[[], None] | None,
        *,
        lock_wait: float | None = None,
    ) -> list[PGresult]:
        """Send a message and wait for its end. Raises `WorkFailed`; the transaction is then rolled back or its fate
        unknown.
        """
        import psycopg

        connection = self.session.connection
        results: list[PGresult] = []
        work = Work(connection, self._process, lock_wait=lock_wait or self._limits.lock_retry, watch=watch)
        copies = _Copies(message, job)
        keeper.begin(work)
        try:
            send(connection, message.encode(connection.info.encoding))
            if meanwhile is not None:
                meanwhile()
            collect(connection, results, copy_data=copies.of_place)
        except psycopg.OperationalError as exc:
            self._lost(results, exc)
        except psycopg.Error as exc:
            self.session.close()
            raise driver_failed(exc) from exc
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the server has to be stopped first
            self._broken_off(results, exc, job, keeper, work, message)
        finally:
            keeper.end()
        if results and results[-1].status == FATAL_ERROR and not _committed(results):
            raise self._failure(message, job, keeper, work, results)
        return results

    def _lost(self, results: list[PGresult], exc: psycopg.OperationalError) -> None:
        """The connection broke. The server may have told what became of the work before that: an error, or the
        commit.
        """
        self.session.close()
        if not _committed(results) and not (results and results[-1].status == FATAL_ERROR):
            raise connection_lost(exc) from exc

    def _broken_off(
        self, results: list[PGresult], exc: BaseException, job: Job, keeper: Keeper, work: Work, message: Message
    ) -> NoReturn:
        """Ctrl-C while waiting, or `meanwhile` raised: stop the server, then say what became of the work."""
        import psycopg

        connection = self.session.connection
        try:
            for _ in range(_STOP_TRIES):
                ask_to_stop(connection)
                try:
                    collect(connection, results, seconds=_STOP_SECONDS / _STOP_TRIES)
                    break
                except TimeoutError:
                    continue  # the request may have come before the server had begun
            else:
                raise connection_lost() from exc
        except psycopg.Error:
            self.session.close()
            raise connection_lost() from exc
        except BaseException:
            self.session.close()
            raise
        if (
            results
            and results[-1].status == FATAL_ERROR
            and not _committed(results)
            and isinstance(exc, KeyboardInterrupt)
        ):
            work.reason = work.reason or "cancelled"
            raise self._failure(message, job, keeper, work, results) from exc
        # What was done before it could be stopped stays done; the ledger tells.
        self._roll_back()
        raise exc

    def _failure(self, message: Message, job: Job, keeper: Keeper, work: Work, results: list[PGresult]) -> WorkFailed:
        """From the error at the end of the results. Rolls back."""
        import psycopg

        encoding = self.session.connection.info.encoding
        error = psycopg.errors.error_from_result(results[-1], encoding=encoding)
        told = error.diag
        index, offset = self._place(message, told.statement_position, len(results) - 1)
        kind = self._kind(told, work)
        self._roll_back()
        failure = work_failed(
            told,
            kind=kind,
            words=_STOPPED.get(kind) if work.reason else None,
            statement=index,
            position=offset,
            blockers=self._blockers(kind, job, keeper, work),
        )
        failure.__cause__ = error
        return failure

    def _driver_failed(self, exc: psycopg.Error, job: Job, keeper: Keeper, work: Work) -> WorkFailed:
        self._roll_back()
        if not exc.sqlstate:
            return connection_lost(exc) if self.session.broken else driver_failed(exc)
        kind = self._kind(exc.diag, work)
        return work_failed(exc.diag, kind=kind, blockers=self._blockers(kind, job, keeper, work))

    def _kind(self, told: psycopg.errors.Diagnostic, work: Work) -> FailureKind:
        sqlstate = told.sqlstate or ""
        if sqlstate == "57014" and work.reason is not None:
            return work.reason
        if (told.severity_nonlocalized or "") in ("FATAL", "PANIC"):
            self.session.close()
            return "lost"
        return kind_of(sqlstate, told.message_primary or "")

    def _place(self, message: Message, position: str | None, count: int) -> tuple[int | None, int | None]:
        """Statement index and offset of an error: by the position the server gives, else by how many results came
        before it.
        """
        if position:
            offset = int(position) - 1
            if self.session.counts_bytes:
                offset = len(message.encode()[:offset].decode(errors="ignore"))
            found = message.locate(offset)
            if found is not None:
                return found
        slot = message.slots[count] if count < len(message.slots) else OURS
        return (slot if slot >= 0 else None), None

    def _blockers(self, kind: FailureKind, job: Job, keeper: Keeper, work: Work) -> tuple[str, ...]:
        if kind not in ("lock_timeout", "deadlock"):
            return ()
        if work.blockers or job.before is None:
            return work.blockers
        import psycopg

        try:
            return looking.lock_holders(keeper.ask, job.before)
        except (psycopg.Error, BasculeError, TimeoutError):
            return ()  # nobody can be named; the failure itself stands

    def _roll_back(self) -> None:
        """Leave the transaction. Where that fails the connection is given up, which leaves it too."""
        import psycopg

        connection = self.session.connection
        if self.session.broken:
            self.session.close()
            return
        try:
            for _ in range(_ROLLBACKS):
                if connection.pgconn.transaction_status == IDLE:
                    break
                # A request to stop that was late may cancel this one instead of the work.
                exchange(connection, b"ROLLBACK", seconds=_STOP_SECONDS)
            if connection.broken or connection.pgconn.transaction_status != IDLE:
                self.session.close()
        except (psycopg.Error, TimeoutError):
            self.session.close()

    def _performed(self, message: Message, job: Job, results: list[PGresult]) -> Performed:
        at = _commit_at(results)
        spent = int(results[at - 1].get_value(0, 0) or 0)
        rows: tuple[int, ...] = ()
        if message.slots.index(COMMIT) == at and job.statements:
            rows = _rows([result for slot, result in zip(message.slots, results, strict=False) if slot >= 0])
        if results[-1].status == FATAL_ERROR:
            # Committed; only putting the session back in order failed.
            self._roll_back()
            self._restore()
        return Performed(ms=spent, rows=rows, notices=self.session.take_notices())


def _nobody(_statement: int, _seconds: float) -> None:
    """Nobody looks so closely."""


class _Copies:
    """Rows for the COPY statements of a message."""

    __slots__ = ("_given", "_job", "_message")

    def __init__(self, message: Message, job: Job) -> None:
        self._message = message
        self._job = job
        self._given: set[int] = set()

    def of_place(self, place: int) -> str | None:
        """Once for each; asked again after an interruption there are none, which ends the COPY with an error."""
        slot = self._message.slots[place] if place < len(self._message.slots) else OURS
        if slot < 0 or slot in self._given:
            return None
        self._given.add(slot)
        return self._job.statements[slot].copy_data


def _committed(results: Sequence[PGresult]) -> bool:
    return _commit_at(results) > 0


def _commit_at(results: Sequence[PGresult]) -> int:
    """Place of our COMMIT: the one that follows the answer of `leave`. 0: there is none."""
    for at in range(len(results) - 1, 0, -1):
        if results[at].command_status == b"COMMIT" and results[at - 1].fname(0) == b"leave":
            return at
    return 0


def _rows(results: Sequence[PGresult]) -> tuple[int, ...]:
    return tuple(-1 if result.command_tuples is None else result.command_tuples for result in results)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
