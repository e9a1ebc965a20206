"""What is written down of a run, and what that makes of spans; nothing that goes wrong here reaches a run."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bascule.domain.event import Event
from bascule.domain.statement import Statement
from bascule.errors import MigrationFailed, TargetUnreachable
from bascule.monitoring.otel import sender
from bascule.monitoring.otel.notes import CallBegun, CallEnded, Noted
from bascule.monitoring.otel.performing import recording
from bascule.monitoring.otel.recorder import Recorder
from bascule.monitoring.otel.records import Begun, Ended, Happened, Record
from bascule.monitoring.otel.story import Story
from bascule.ports.database import Job, Performed, Target, TargetInfo, WorkFailed

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB = Job(
    run_id="m_1",
    migration="m",
    direction="up",
    statements=(Statement(text="select 1", index=0, line=4, offset=0),),
)


def event(name: str, *, run_id: str = "m_1", migration: str = "m", **data: object) -> Event:
    return Event(name=f"migration.{name}", run_id=run_id, migration=migration, at=AT, data=data)


def told(*noted: Noted) -> list[Record]:
    story = Story(about={}, dialect="sqlite")
    return [record for at, each in enumerate(noted, 1) for record in story.take(at, each)]


def ends(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Names of the spans in the order of their ends, with their errors."""
    names = {each.key: each.name for each in records if isinstance(each, Begun)}
    return [(names[each.key], each.error) for each in records if isinstance(each, Ended)]


def test_a_run_is_as_old_as_its_call_and_has_a_span_only_when_something_happens() -> None:
    assert told(CallBegun(action="up"), CallEnded()) == []
    root, *_ = told(CallBegun(action="up"), event("started"), CallEnded())
    assert isinstance(root, Begun)
    assert (root.name, root.at, root.parent) == ("bascule up", 1, None)
    assert ends(told(CallBegun(action="up"), CallEnded(error="refused"))) == [("bascule up", "refused")]


def test_what_is_under_way_when_the_call_ends_ends_with_it() -> None:
    records = told(CallBegun(action="up"), event("started"), JOB, CallEnded(error="KeyboardInterrupt"))
    assert ends(records) == [("up m", "KeyboardInterrupt"), ("bascule up", "KeyboardInterrupt")]


def test_what_comes_after_the_call_is_not_told() -> None:
    records = told(
        CallBegun(action="up"), event("started"), event("completed"), CallEnded(), event("alert_created"), JOB
    )
    assert ends(records) == [("up m", ""), ("bascule up", "")]
    assert not [each for each in records if isinstance(each, Happened)]


def test_an_end_under_an_earlier_runs_id_is_the_end_of_the_same_migration() -> None:
    records = told(CallBegun(action="up"), event("started"), event("completed", run_id="m_0"), CallEnded())
    assert ends(records) == [("up m", ""), ("bascule up", "")]


def test_a_backup_began_as_long_before_its_event_as_it_took() -> None:
    records = told(CallBegun(action="up"), event("backup_created", run_id="", executionTime=0, id="b"))
    assert ends(records) == [("backup", "")]
    bad = told(CallBegun(action="up"), event("backup_verified", run_id="", good=False, problem="row 7 of ann"))
    assert ends(bad) == [("backup verification", "backup_unverified")]
    assert "ann" not in str(bad)


class Server:
    """A target that can do one job."""

    dialect = "sqlite"

    def __init__(self, *, there: bool = True, failure: BaseException | None = None) -> None:
        self.there = there
        self.failure = failure

    def describe(self) -> TargetInfo:
        if not self.there:
            raise TargetUnreachable("nobody answers")
        return TargetInfo(dialect="sqlite", server="", version=1, database="app.db")

    def perform(self, job: Job, **given: Any) -> Performed:
        if self.failure is not None:
            raise self.failure
        return Performed(ms=1)


@pytest.mark.parametrize("failure", [WorkFailed("error", "no"), KeyboardInterrupt(), MigrationFailed("no")])
def test_a_job_is_done_as_it_would_be_and_its_failure_comes_out_as_it_is(failure: BaseException) -> None:
    well, ill = Server(there=False), Server(failure=failure)
    recorder = Recorder(cast("Target", well), about={}, clean=str)
    with recorder.around("up"):
        assert recording(cast("Target", well), recorder).perform(JOB, lease=cast("Any", None)) == Performed(ms=1)
        with pytest.raises(type(failure)) as caught:
            recording(cast("Target", ill), recorder).perform(JOB, lease=cast("Any", None))
    assert caught.value is failure


def test_a_call_that_did_nothing_hands_nothing_over() -> None:
    recorder = Recorder(cast("Target", Server()), about={}, clean=str)
    with recorder.around("up"):
        pass
    assert recorder.hand_over(lambda: [][0]) is None


def test_what_happens_outside_of_a_call_is_not_kept() -> None:
    threads, server = threading.active_count(), Server()
    recorder = Recorder(cast("Target", server), about={}, clean=str)
    publish = recorder.listening(lambda event: None)
    for _ in range(3):
        publish(event("alert_created"))
        recording(cast("Target", server), recorder).perform(JOB, lease=cast("Any", None))
    assert recorder.hand_over() is None
    assert threading.active_count() == threads


def test_what_waits_is_bounded_and_what_is_dropped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "MOST", 3)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    recorder = Recorder(cast("Target", Server()), about={}, clean=str, clock=itertools.count().__next__)
    publish = recorder.listening(lambda event: None)
    with recorder.around("up"):
        for _ in range(5):
            publish(event("started"))
    assert recorder.hand_over() == "3 notes were dropped"
