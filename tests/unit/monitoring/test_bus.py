from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from bascule.domain.event import Event
from bascule.monitoring.bus import Bus


def event(name: str) -> Event:
    return Event(name=name, run_id="r", migration="m", at=datetime.now(UTC))


def test_listeners_get_the_events_they_asked_for_in_order() -> None:
    bus, all_names, ends = Bus(), list[str](), list[str]()
    bus.subscribe(lambda each: all_names.append(each.name))
    bus.subscribe(lambda each: ends.append(each.name), "migration.*ed")
    for name in ("migration.started", "migration.progress", "migration.completed"):
        bus.publish(event(name))
    assert all_names == ["migration.started", "migration.progress", "migration.completed"]
    assert ends == ["migration.started", "migration.completed"]


def test_a_listener_can_leave_even_while_it_is_called() -> None:
    bus, heard = Bus(), list[str]()

    def once(each: Event) -> None:
        heard.append(each.name)
        leave()

    leave = bus.subscribe(once)
    bus.publish(event("a"))
    bus.publish(event("b"))
    leave()
    assert heard == ["a"]


def test_a_listener_that_fails_is_counted_and_logged_and_the_others_hear_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, heard = Bus(), list[str]()

    def broken(_: Event) -> None:
        raise ValueError("no")

    bus.subscribe(broken)
    bus.subscribe(lambda each: heard.append(each.name))
    with caplog.at_level(logging.WARNING):
        bus.publish(event("a"))
        bus.publish(event("b"))
    assert (heard, bus.failures) == (["a", "b"], 2)
    assert "ValueError: no); the run goes on" in caplog.text
    assert "failure 2 of this listener" in caplog.text


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_listener_that_wants_to_end_the_process_ends_nothing(kind: type[BaseException]) -> None:
    bus, heard = Bus(), list[str]()

    def leave(_each: Event) -> None:
        raise kind

    bus.subscribe(leave)
    bus.subscribe(lambda each: heard.append(each.name))
    bus.publish(event("a"))
    assert heard == ["a"]
    assert bus.failures == 1
