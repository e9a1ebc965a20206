"""What the sampler makes of a run's events, and that it fails nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bascule.domain.event import Event
from bascule.monitoring.sampler import Sampler
from bascule.ports.vitals import Sample

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def event(name: str, **data: object) -> Event:
    return Event(name=f"migration.{name}", run_id="m_1", migration="m", at=AT, data=data)


@dataclass
class Server:
    samples: list[Sample]
    looked: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    taken: int = 0

    def sample(self) -> Sample:
        self.taken += 1
        self.looked.set()
        if not self.samples:
            raise RuntimeError("nobody there")
        return self.samples.pop(0) if len(self.samples) > 1 else self.samples[0]

    def close(self) -> None:
        self.closed = True


def test_a_short_run_is_measured_without_asking_the_server() -> None:
    server = Server([])
    sampler = Sampler(lambda: server)
    heard: list[str] = []
    publish = sampler.around(lambda event: heard.append(event.name))
    publish(event("started"))
    publish(event("completed", rows=7))
    (record,) = sampler.take()
    assert (record.run_id, record.migration, record.status, record.direction) == ("m_1", "m", "completed", "up")
    assert (record.rows, record.samples, record.wal_bytes) == (7, 0, None)
    assert record.execution_ms >= 0
    assert (record.memory_bytes or 0) > 1_000_000
    assert heard == ["migration.started", "migration.completed"]
    assert sampler.take() == ()
    assert server.taken == 0


def test_a_longer_run_is_told_by_what_the_server_counted_meanwhile() -> None:
    server = Server(
        [
            Sample(connections=3, lock_wait_ms=200.0, wal_bytes=1000, temp_bytes=5),
            Sample(connections=2, lock_wait_ms=None, wal_bytes=4500, temp_bytes=5),
        ]
    )
    sampler = Sampler(lambda: server, patience=0.0)
    publish = sampler.around(lambda event: None)
    publish(event("started"))
    assert server.looked.wait(5)
    while not any(run.samples for run in sampler._runs.values()):
        time.sleep(0.001)
    publish(event("completed"))
    (record,) = sampler.take()
    assert (record.connections, record.lock_wait_ms, record.wal_bytes, record.temp_bytes) == (3, 200.0, 3500, 0)
    assert record.samples == 2
    assert record.sampled_from_ms is not None
    assert server.closed


def test_waits_that_events_tell_of_are_added_up() -> None:
    now = [0.0]
    sampler = Sampler(lambda: Server([]), clock=lambda: now[0])
    publish = sampler.around(lambda event: None)
    for moment, each in (
        (0.0, event("started")),
        (0.1, event("progress", waiting=["pid 1"])),
        (0.2, event("progress", waiting=["pid 1"])),
        (0.3, event("progress", waiting=[])),
        (0.5, event("progress", waiting=["pid 2"])),
        (0.6, event("failed", error="no")),
    ):
        now[0] = moment
        publish(each)
    (record,) = sampler.take()
    assert (record.lock_wait_ms, record.execution_ms, record.status, record.events) == (300.0, 600.0, "failed", 6)


def test_a_server_that_does_not_answer_fails_no_run_and_is_counted() -> None:
    server = Server([])
    sampler = Sampler(lambda: server, patience=0.0)
    publish = sampler.around(lambda event: None)
    publish(event("rollback_started"))
    assert server.looked.wait(5)
    while not sampler.dropped:
        time.sleep(0.001)
    publish(event("rollback_completed"))
    (record,) = sampler.take()
    assert (record.status, record.direction, record.dropped, record.samples) == ("rolled_back", "down", 1, 0)


def test_what_goes_wrong_inside_of_it_does_not_reach_the_run() -> None:
    def broken() -> float:
        raise ZeroDivisionError

    sampler = Sampler(lambda: Server([]), clock=broken)
    heard: list[str] = []
    sampler.around(lambda event: heard.append(event.name))(event("started"))
    assert heard == ["migration.started"]
    assert sampler.dropped == 1


def test_an_end_without_a_beginning_is_nothing() -> None:
    sampler = Sampler(lambda: Server([]))
    sampler.around(lambda event: None)(event("completed"))
    assert sampler.take() == ()
