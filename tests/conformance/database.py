"""What every target must show. Subclass `TargetConformance` beside a `target_factory` fixture and the two others
named there.

The SQL here means the same to every database. Where a promise needs a second session or a process that dies, these
are real.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bascule.domain.history import Fact, Holder, LedgerEntry
from bascule.domain.statement import Effect, ObjectName, Statement, Touch
from bascule.ports.database import Job, Lease, LedgerChange, Mark, Meanwhile, Target, WorkFailed

TargetFactory = Callable[[], Target]
"""Opens one more target on the same database; the fixture closes them all."""
TableLock = Callable[[str], AbstractContextManager[None]]
"""Keeps others from changing a table, from a session of its own, for the length of the block."""

PATIENCE = 30.0
"""Seconds within which the lease of a process that died must be to be had."""

CREATE = "CREATE TABLE thing (id integer PRIMARY KEY, note text)"
ENDLESS = (
    "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) "
    "SELECT i FROM n) AS numbers"
)

THING = Touch(objects=frozenset((ObjectName(kind="relation", name="thing"),)))


def statements(*texts: str) -> tuple[Statement, ...]:
    """Statements as a splitter would give them."""
    return tuple(Statement(text=text, index=n, line=n + 1, offset=0) for n, text in enumerate(texts))


def entry(name: str = "create_thing", **changes: Any) -> LedgerEntry:
    """A ledger entry; the store sets position and time."""
    start = LedgerEntry(
        name=name,
        version="1",
        position=0,
        run_id=f"{name}_1",
        applied_at=datetime(2000, 1, 1, tzinfo=UTC),
        execution_ms=7,
        exact_hash="e" * 64,
        semantic_hash="s" * 64,
        parser="test-1",
        script=f"-- up of {name}\n{CREATE}",
    )
    return replace(start, **changes)


def job(*texts: str, name: str = "create_thing", **parts: Any) -> Job:
    """A job of these statements."""
    return Job(run_id=f"{name}_1", migration=name, direction="up", statements=statements(*texts), **parts)


def applied(*texts: str, name: str = "create_thing", **parts: Any) -> Job:
    """A job that also writes the ledger row."""
    return job(*texts, name=name, ledger=LedgerChange(entry=entry(name)), **parts)


def taken(answer: Lease | Holder) -> Lease:
    """The lease, when it was given."""
    assert not isinstance(answer, Holder), f"held by {answer}"
    return answer


def lease_of(target: Target, run: str = "run_1") -> Lease:
    """Prepare, and take the lease."""
    target.prepare()
    return taken(target.acquire(owner="me@here:1", run=run))


def fact(kind: str = "step_started", **changes: Any) -> Fact:
    """A journal fact of the usual migration."""
    return replace(Fact(kind=kind, run_id="create_thing_1", migration="create_thing"), **changes)


def tables_named(target: Target, name: str) -> int:
    """1 when the table is there. Asked of the catalog, which differs by database."""
    where = "sqlite_master WHERE name" if target.dialect == "sqlite" else "pg_class WHERE relname"
    rows: Sequence[tuple[Any, ...]] = target.query(f"SELECT count(*) FROM {where} = '{name}'")
    return int(rows[0][0])


class TargetConformance:
    """Promises of `bascule.ports.database.Target`, one a test.

    Fixtures of the subclass's module: ``target_factory`` (`TargetFactory`), ``table_lock`` (`TableLock`) and
    ``opening``, Python source that makes a variable ``target`` on the same database in another process, with a lease
    that runs out soon.
    """

    @pytest.fixture
    def target(self, target_factory: TargetFactory) -> Target:
        return target_factory()

    # Where Bascule never ran

    def test_an_untouched_database_has_no_history_and_reading_it_creates_nothing(self, target: Target) -> None:
        assert list(target.ledger()) == []
        assert list(target.journal()) == []
        assert dict(target.marks()) == {}
        assert target.script("create_thing") is None
        assert target.before("create_thing") is None
        assert target.holder() is None
        assert target.snapshot(THING).objects == {}
        info = target.describe()
        assert not info.prepared
        assert info.environment is None
        assert info.dialect == target.dialect
        assert info.server

    def test_preparing_twice_is_preparing_once(self, target: Target, target_factory: TargetFactory) -> None:
        target.prepare()
        target.prepare()
        target_factory().prepare()
        assert target.describe().prepared
        assert list(target.ledger()) == []

    def test_many_may_prepare_at_once(self, target_factory: TargetFactory) -> None:
        targets = [target_factory() for _ in range(8)]
        failures: list[BaseException] = []
        together = threading.Barrier(len(targets))

        def prepare(target: Target) -> None:
            together.wait()
            try:
                target.prepare()
            except BaseException as exc:  # noqa: BLE001 - a thread's failure must reach the test
                failures.append(exc)

        threads = [threading.Thread(target=prepare, args=(target,)) for target in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert all(target.describe().prepared for target in targets)

    def test_the_environment_is_remembered(self, target: Target, target_factory: TargetFactory) -> None:
        target.remember_environment("staging")
        target.remember_environment("production")
        assert target_factory().describe().environment == "production"

    # The lease

    def test_the_lease_goes_to_one_and_the_other_learns_to_whom(
        self, target: Target, target_factory: TargetFactory
    ) -> None:
        other = target_factory()
        target.prepare()
        assert target.holder() is None
        lease = taken(target.acquire(owner="first@here:1", run="run_1"))
        assert lease.held()
        assert lease.taken_from is None
        answer = other.acquire(owner="second@here:2", run="run_2")
        assert isinstance(answer, Holder)
        assert (answer.owner, answer.run, answer.token) == ("first@here:1", "run_1", lease.token)
        assert answer.expires_at > answer.since
        seen = other.holder()
        assert seen is not None
        assert seen.owner == "first@here:1"

    def test_a_lease_given_back_goes_to_the_next_with_a_higher_token(
        self, target: Target, target_factory: TargetFactory
    ) -> None:
        other = target_factory()
        first = lease_of(target)
        first.release()
        assert not first.held()
        assert other.holder() is None
        assert other.left_behind() is None
        second = taken(other.acquire(owner="second@here:2", run="run_2"))
        assert second.token > first.token
        assert second.taken_from is None
        second.release()
        assert taken(target.acquire(owner="first@here:1", run="run_3")).token > second.token

    def test_giving_back_twice_harms_nobody(self, target: Target, target_factory: TargetFactory) -> None:
        first = lease_of(target)
        first.release()
        second = taken(target_factory().acquire(owner="second@here:2", run="run_2"))
        first.release()
        assert second.held()
        assert isinstance(target.acquire(owner="first@here:1", run="run_3"), Holder)

    def test_one_target_does_not_get_the_lease_twice(self, target: Target) -> None:
        lease = lease_of(target)
        assert isinstance(target.acquire(owner="me@here:1", run="run_2"), Holder)
        assert lease.held()

    # One transaction

    def test_a_job_commits_statements_mark_ledger_row_look_and_facts_together(
        self, target: Target, target_factory: TargetFactory
    ) -> None:
        lease = lease_of(target)
        done = target.perform(
            applied(
                CREATE,
                "INSERT INTO thing (id, note) VALUES (1, 'a'), (2, 'b')",
                mark=Mark(step=0, digest="d0"),
                before=THING,
                facts=(fact("run_completed"),),
            ),
            lease=lease,
        )
        assert done.ms >= 0
        assert done.rows[-1] == 2
        assert len(done.rows) == 2
        other = target_factory()
        assert [row.name for row in other.ledger()] == ["create_thing"]
        assert other.marks() == {("create_thing", "up"): {0: ("d0", "create_thing_1")}}
        assert [each.kind for each in other.journal()] == ["run_completed"]
        before = other.before("create_thing")
        assert before is not None
        assert before.objects == {}
        assert other.query("SELECT note FROM thing ORDER BY id") == [("a",), ("b",)]

    def test_a_failing_statement_undoes_everything(self, target: Target, target_factory: TargetFactory) -> None:
        lease = lease_of(target)
        with pytest.raises(WorkFailed) as failure:
            target.perform(
                applied(
                    CREATE,
                    "INSERT INTO thing (id, note) VALUES (1, 'a')",
                    "INSERT INTO nowhere VALUES (1)",
                    mark=Mark(step=0, digest="d0"),
                    before=THING,
                    facts=(fact("run_completed"),),
                ),
                lease=lease,
            )
        assert failure.value.kind == "error"
        assert failure.value.statement == 2
        assert "nowhere" in failure.value.message
        assert failure.value.__cause__ is not None
        other = target_factory()
        assert tables_named(other, "thing") == 0
        assert list(other.ledger()) == []
        assert dict(other.marks()) == {}
        assert list(other.journal()) == []
        assert other.before("create_thing") is None

    def test_after_a_failure_the_same_target_works_on(self, target: Target) -> None:
        lease = lease_of(target)
        with pytest.raises(WorkFailed):
            target.perform(job("SELECT nothing FROM nowhere"), lease=lease)
        assert lease.held()
        target.perform(applied(CREATE), lease=lease)
        assert tables_named(target, "thing") == 1

    def test_a_script_cannot_end_the_transaction_it_runs_in(
        self, target: Target, target_factory: TargetFactory
    ) -> None:
        lease = lease_of(target)
        with pytest.raises(WorkFailed) as failure:
            target.perform(applied(CREATE, "COMMIT", "SELECT 1"), lease=lease)
        assert failure.value.kind == "error"
        assert tables_named(target_factory(), "thing") == 0
        assert list(target.ledger()) == []

    def test_the_fence_keeps_out_whoever_lost_the_lease(self, target: Target, target_factory: TargetFactory) -> None:
        other = target_factory()
        old = lease_of(target)
        old.release()
        new = taken(other.acquire(owner="second@here:2", run="run_2"))
        with pytest.raises(WorkFailed) as failure:
            target.perform(applied(CREATE), lease=old)
        assert failure.value.kind == "fence"
        assert tables_named(other, "thing") == 0
        assert list(other.ledger()) == []
        other.perform(applied(CREATE), lease=new)
        assert [row.name for row in other.ledger()] == ["create_thing"]

    def test_a_lock_is_waited_for_only_shortly_and_its_owner_is_named(
        self, target: Target, table_lock: TableLock
    ) -> None:
        lease = lease_of(target)
        target.perform(job(CREATE), lease=lease)
        begun = time.monotonic()
        with table_lock("thing"), pytest.raises(WorkFailed) as failure:
            target.perform(applied("ALTER TABLE thing ADD COLUMN more text"), lease=lease)
        assert time.monotonic() - begun < 5
        assert failure.value.kind == "lock_timeout"
        assert failure.value.blockers
        assert str(os.getpid()) in failure.value.blockers[0] or "pid" in failure.value.blockers[0]
        target.perform(applied("ALTER TABLE thing ADD COLUMN more text"), lease=lease)

    def test_work_is_stopped_on_request(self, target: Target, target_factory: TargetFactory) -> None:
        lease = lease_of(target)
        timer = threading.Timer(0.3, target.cancel)
        timer.start()
        with pytest.raises(WorkFailed) as failure:
            target.perform(applied(CREATE, ENDLESS), lease=lease)
        timer.join()
        assert failure.value.kind == "cancelled"
        assert tables_named(target_factory(), "thing") == 0
        target.perform(applied(CREATE), lease=lease)

    def test_a_cancel_with_nothing_to_stop_stops_nothing_later(self, target: Target) -> None:
        lease = lease_of(target)
        target.cancel()
        target.perform(applied(CREATE), lease=lease)
        assert [row.name for row in target.ledger()] == ["create_thing"]

    def test_what_is_to_be_done_meanwhile_is_done_once_and_told_in_the_caller_s_thread(self, target: Target) -> None:
        lease = lease_of(target)
        calls: list[object] = []
        meanwhile = Meanwhile(tell=lambda: calls.append(threading.get_ident()), think=lambda: calls.append("thought"))
        target.perform(applied(CREATE), lease=lease, meanwhile=meanwhile)
        assert sorted(calls, key=str) == [threading.get_ident(), "thought"]

    # The ledger

    def test_positions_grow_and_scripts_are_kept_apart(self, target: Target, target_factory: TargetFactory) -> None:
        lease = lease_of(target)
        for name in ("b_second", "a_first", "c_third"):
            target.perform(applied(name=name), lease=lease)
        rows = target_factory().ledger()
        assert [row.name for row in rows] == ["b_second", "a_first", "c_third"]
        assert [row.position for row in rows] == sorted({row.position for row in rows})
        assert all(row.script == "" for row in rows)
        assert target.script("a_first") == entry("a_first").script
        assert target.script("unknown") is None

    def test_an_entry_is_read_as_it_was_written(self, target: Target) -> None:
        lease = lease_of(target)
        written = entry("odd 'name': ünï", how="mark", repeatable=True, version="2024_01", execution_ms=1234)
        before = datetime.now(UTC)
        target.perform(job(ledger=LedgerChange(entry=written)), lease=lease)
        (row,) = target.ledger()
        assert abs((row.applied_at - before).total_seconds()) < 60
        assert row.applied_at.utcoffset() is not None
        assert row == replace(written, position=row.position, applied_at=row.applied_at, script="")

    def test_a_time_of_zero_is_measured_by_the_store(self, target: Target) -> None:
        lease = lease_of(target)
        slow = "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
        change = LedgerChange(entry=entry(execution_ms=0))
        done = target.perform(job(slow + "SELECT i FROM n) AS numbers", ledger=change), lease=lease)
        (row,) = target.ledger()
        assert 0 < row.execution_ms <= done.ms + 1

    def test_an_entry_that_ran_again_replaces_the_former_and_goes_to_the_end(self, target: Target) -> None:
        lease = lease_of(target)
        target.perform(applied(name="first"), lease=lease)
        target.perform(applied(name="second"), lease=lease)
        again = entry("first", exact_hash="f" * 64, run_id="first_2", script="-- new")
        target.perform(job(ledger=LedgerChange(entry=again)), lease=lease)
        rows = target.ledger()
        assert [row.name for row in rows] == ["second", "first"]
        assert rows[1].exact_hash == "f" * 64
        assert target.script("first") == "-- new"

    def test_a_corrected_entry_keeps_its_place_and_time(self, target: Target) -> None:
        lease = lease_of(target)
        target.perform(applied(name="first"), lease=lease)
        target.perform(applied(name="second"), lease=lease)
        former = target.ledger()[0]
        corrected = replace(former, exact_hash="f" * 64, script="-- new")
        target.perform(job(ledger=LedgerChange(entry=corrected)), lease=lease)
        assert target.ledger()[0] == replace(former, exact_hash="f" * 64)
        assert [row.name for row in target.ledger()] == ["first", "second"]
        assert target.script("first") == "-- new"

    def test_an_entry_is_removed(self, target: Target) -> None:
        lease = lease_of(target)
        target.perform(applied(name="first"), lease=lease)
        target.perform(applied(name="second"), lease=lease)
        target.perform(job(ledger=LedgerChange(remove="second")), lease=lease)
        assert [row.name for row in target.ledger()] == ["first"]
        target.perform(applied(name="third"), lease=lease)
        assert [row.name for row in target.ledger()] == ["first", "third"]

    # Marks, and the look of before

    def test_marks_stay_until_the_script_is_done(self, target: Target, target_factory: TargetFactory) -> None:
        lease = lease_of(target)
        target.perform(job(mark=Mark(step=-1, digest="")), lease=lease)
        target.perform(job(CREATE, mark=Mark(step=0, digest="d0")), lease=lease)
        target.perform(job(name="another", mark=Mark(step=-1, digest="")), lease=lease)
        marks = target_factory().marks()
        assert marks[("create_thing", "up")] == {-1: ("", "create_thing_1"), 0: ("d0", "create_thing_1")}
        target.perform(applied(clear_marks=True), lease=lease)
        assert list(target.marks()) == [("another", "up")]

    def test_the_end_of_a_script_clears_the_marks_of_both_directions(self, target: Target) -> None:
        lease = lease_of(target)
        target.perform(job(mark=Mark(step=-1, digest="")), lease=lease)
        target.perform(replace(job(mark=Mark(step=-1, digest="")), direction="down"), lease=lease)
        assert sorted(target.marks()) == [("create_thing", "down"), ("create_thing", "up")]
        target.perform(replace(job(clear_marks=True), direction="down"), lease=lease)
        assert dict(target.marks()) == {}

    def test_the_first_look_of_before_is_the_one_that_stays(self, target: Target) -> None:
        lease = lease_of(target)
        target.perform(job(CREATE), lease=lease)
        looked = target.snapshot(THING)
        assert looked.objects
        begun = Mark(step=-1, digest="")
        target.perform(
            job("ALTER TABLE thing ADD COLUMN more text", name="widen", before=THING, mark=begun), lease=lease
        )
        target.perform(job("ALTER TABLE thing ADD COLUMN yet_more text", name="widen", before=THING), lease=lease)
        kept = target.before("widen")
        assert kept == looked
        assert target.snapshot(THING) != looked
        # What neither is under way nor applied runs anew, and how things are then is what counts.
        target.perform(job(name="widen", clear_marks=True), lease=lease)
        now = target.snapshot(THING)
        target.perform(job("ALTER TABLE thing ADD COLUMN last text", name="widen", before=THING), lease=lease)
        assert target.before("widen") == now
        target.perform(job(name="widen", forget_before=True), lease=lease)
        assert target.before("widen") is None

    # The journal

    def test_the_journal_answers_oldest_first_and_can_be_asked_for_less(self, target: Target) -> None:
        target.prepare()
        target.append((fact("run_started"), fact("step_started", step=0, data={"pid": 7, "words": "ünï"})))
        target.append((fact("step_done", step=0),), durable=False)
        target.append((fact("run_started", run_id="other_1", migration="other", direction="down"),))
        kinds = [each.kind for each in target.journal()]
        assert kinds == ["run_started", "step_started", "step_done", "run_started"]
        assert [each.kind for each in target.journal(migration="create_thing")] == kinds[:3]
        assert [each.migration for each in target.journal(run_id="other_1")] == ["other"]
        assert [each.kind for each in target.journal(limit=2)] == kinds[2:]
        assert [each.migration for each in target.journal(kinds=("run_started",))] == ["create_thing", "other"]
        assert [each.step for each in target.journal(kinds=("step_started", "step_done"), limit=1)] == [0]

    def test_a_fact_comes_back_with_its_number_and_time(self, target: Target, target_factory: TargetFactory) -> None:
        target.prepare()
        written = fact("step_failed", step=3, direction="down", data={"error": {"kind": "error"}, "list": [1, None]})
        target.append((written, fact("run_failed")))
        first, second = target_factory().journal()
        assert first == replace(written, number=first.number, at=first.at)
        assert first.number < second.number
        assert first.at is not None
        assert abs((datetime.now(UTC) - first.at).total_seconds()) < 60

    # The author's own code

    def test_work_gets_the_drivers_connection_inside_the_transaction(
        self, target: Target, target_factory: TargetFactory
    ) -> None:
        lease = lease_of(target)
        target.perform_with(applied(), lambda connection: connection.execute(CREATE), lease=lease)
        assert tables_named(target_factory(), "thing") == 1
        assert [row.name for row in target.ledger()] == ["create_thing"]

    def test_what_work_raises_undoes_everything_and_comes_out_unchanged(self, target: Target) -> None:
        lease = lease_of(target)
        trouble = LookupError("the author's own")

        def work(connection: Any) -> None:
            connection.execute(CREATE)
            raise trouble

        with pytest.raises(LookupError) as failure:
            target.perform_with(applied(), work, lease=lease)
        assert failure.value is trouble
        assert tables_named(target, "thing") == 0
        assert list(target.ledger()) == []

    def test_the_drivers_error_in_work_comes_as_failed_work(self, target: Target) -> None:
        lease = lease_of(target)
        with pytest.raises(WorkFailed) as failure:
            target.perform_with(applied(), lambda connection: connection.execute("SELECT * FROM nowhere"), lease=lease)
        assert failure.value.kind == "error"
        assert "nowhere" in failure.value.message
        assert list(target.ledger()) == []

    def test_work_cannot_end_the_transaction(self, target: Target, target_factory: TargetFactory) -> None:
        lease = lease_of(target)

        def work(connection: Any) -> None:
            connection.execute(CREATE)
            connection.commit()

        with pytest.raises(WorkFailed):
            target.perform_with(applied(), work, lease=lease)
        assert tables_named(target_factory(), "thing") == 0
        assert list(target_factory().ledger()) == []

    # Outside a transaction

    def test_a_bare_statement_runs_outside_any_transaction(self, target: Target) -> None:
        lease = lease_of(target)
        (vacuum,) = statements("VACUUM")
        done = target.perform_bare(vacuum, lease=lease, run_id="create_thing_1")
        assert done.ms >= 0

    def test_a_bare_statement_that_is_refused_says_so(self, target: Target) -> None:
        lease = lease_of(target)
        (nonsense,) = statements("VACUUM nowhere")
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(nonsense, lease=lease, run_id="create_thing_1")
        assert failure.value.kind == "error"
        assert "nowhere" in failure.value.message

    def test_a_bare_statement_needs_the_lease(self, target: Target, target_factory: TargetFactory) -> None:
        old = lease_of(target)
        old.release()
        taken(target_factory().acquire(owner="second@here:2", run="run_2"))
        (vacuum,) = statements("VACUUM")
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(vacuum, lease=old, run_id="create_thing_1")
        assert failure.value.kind == "fence"

    def test_what_may_be_repeated_is_absent_and_what_nobody_can_know_is_undecidable(self, target: Target) -> None:
        assert target.observe(Effect(action="harmless")).state == "absent"
        assert target.observe(Effect(action="unknown")).state == "undecidable"

    # Ends

    def test_a_query_cannot_write(self, target: Target) -> None:
        target.prepare()
        with pytest.raises(WorkFailed):
            target.query(CREATE)
        assert tables_named(target, "thing") == 0
        assert target.query("SELECT 1") == [(1,)]

    def test_a_reader_sees_what_was_committed_and_belongs_to_whoever_asked(self, target: Target) -> None:
        lease = lease_of(target)
        reader = target.open_reader()
        try:
            target.perform(applied(CREATE, "INSERT INTO thing VALUES (1, 'a')"), lease=lease)
            assert reader.execute("SELECT note FROM thing").fetchall() == [("a",)]
            target.perform(job("UPDATE thing SET note = 'b'"), lease=lease)
            assert reader.execute("SELECT note FROM thing").fetchall() == [("b",)]
        finally:
            reader.close()

    def test_a_new_connection_goes_on_with_the_same_lease(self, target: Target) -> None:
        lease = lease_of(target)
        target.reconnect()
        assert lease.held()
        target.perform(applied(CREATE), lease=lease)
        assert tables_named(target, "thing") == 1

    def test_closing_gives_the_lease_back(self, target_factory: TargetFactory) -> None:
        first = target_factory()
        lease_of(first)
        first.close()
        answer = taken(target_factory().acquire(owner="second@here:2", run="run_2"))
        assert answer.taken_from is None

    def test_a_process_killed_in_its_transaction_leaves_nothing_and_is_taken_over(
        self, target: Target, opening: str
    ) -> None:
        target.prepare()
        child = start_child(
            opening,
            """
            lease = target.acquire(owner="child@here:9", run="run_1")

            def work(connection):
                connection.execute("CREATE TABLE thing (id integer PRIMARY KEY, note text)")
                connection.execute("INSERT INTO thing VALUES (1, 'half')")
                print("in the middle", flush=True)
                time.sleep(600)

            target.perform_with(job(lease.token), work, lease=lease)
            """,
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "in the middle\n"
            assert isinstance(target.acquire(owner="me@here:1", run="run_2"), Holder)
            assert target.left_behind() is None
            child.send_signal(signal.SIGKILL)
            child.wait()
        gone = told_of(target)
        assert (gone.owner, gone.run) == ("child@here:9", "run_1")
        lease = patiently(lambda: target.acquire(owner="me@here:1", run="run_2"))
        assert lease.taken_from is not None
        assert lease.taken_from.owner == "child@here:9"
        assert target.left_behind() is None
        assert tables_named(target, "thing") == 0
        assert list(target.ledger()) == []
        target.perform(applied(CREATE), lease=lease)
        assert [row.name for row in target.ledger()] == ["create_thing"]


def told_of(target: Target) -> Holder:
    """Who is gone without having given the lease back, once that shows."""
    until = time.monotonic() + 30.0
    while time.monotonic() < until:
        found = target.left_behind()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError("nobody is told to have left the lease behind")


_CHILD = """
import time
from bascule.ports.database import Job

def job(token):
    return Job(run_id="create_thing_1", migration="create_thing", direction="up")

"""


def start_child(opening: str, script: str) -> subprocess.Popen[str]:
    """Another Python process with a ``target`` on the same database, which runs the script."""
    import textwrap

    code = _CHILD + textwrap.dedent(opening) + "\n" + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )


def patiently(acquire: Callable[[], Lease | Holder]) -> Lease:
    """The lease, tried for until it is given."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = acquire()
        if not isinstance(answer, Holder):
            return answer
        assert time.monotonic() < deadline, f"still held by {answer}"
        time.sleep(0.05)
