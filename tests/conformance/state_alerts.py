"""What every state store must show of alerts and messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from bascule.domain.alert import Alert
from bascule.domain.history import Fact
from bascule.monitoring.alerts.policy import AlertPolicy, Channel
from bascule.monitoring.alerts.sending import WAITS, NotTaken, Outbox
from bascule.monitoring.alerts.watching import Watch
from bascule.ports.database import Target
from bascule.ports.state import StateDoor
from bascule.state import alerts, deliveries
from bascule.state.deliveries import Delivery

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
SOON = timedelta(minutes=5)
OPS = Channel(name="ops", url="https://ops.example.org")
ALL = Channel(name="all", url="https://all.example.org", events=("migration.*",))


def alert(its_id: str = "a1", **more: object) -> Alert:
    known = Alert(
        id=its_id,
        fingerprint=f"f{its_id}",
        rule="run_failed",
        type="error",
        title='é \U0001f600 "quoted" % ?',
        message="line\nNUL \0 and \udc80",
        first_at=NOW,
        last_at=NOW,
        data={"é": ["\0", 1, None]},
    )
    return replace(known, **more)  # type: ignore[arg-type]


class Receiver:
    """A channel's other end, which takes what it is given or not."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.events: list[str] = []
        self.problem: NotTaken | None = None

    def __call__(self, _channel: Channel, message: Delivery) -> None:
        if self.problem is not None:
            raise self.problem
        self.taken.append(message.id)
        self.events.append(message.event)


class AlertConformance:
    """Alerts and messages over a real store. Times go by `self.now`."""

    @pytest.fixture
    def target(self, target_factory: Callable[[], Target]) -> Target:
        self.now = datetime.now(UTC)
        target = target_factory()
        target.prepare()
        return target

    @pytest.fixture
    def door(self, target: Target) -> Iterator[StateDoor]:
        door = target.state()
        yield door
        door.close()

    def watch(self, *channels: Channel, **more: object) -> Watch:
        numbers = count(1)
        policy = replace(AlertPolicy(channels=channels), **more)  # type: ignore[arg-type]
        return Watch(policy=policy, now=lambda: self.now, new_id=lambda: f"{id(numbers):x}{next(numbers)}")

    def outbox(self, receiver: Receiver, *channels: Channel, **more: object) -> Outbox:
        policy = replace(AlertPolicy(channels=channels), **more)  # type: ignore[arg-type]
        return Outbox(policy=policy, hands={"webhook": receiver}, now=lambda: self.now)

    def fail(self, target: Target, name: str = "m", **data: object) -> None:
        data = {"error": "é no", "state": "unchanged", **data}
        target.append([Fact(kind="run_failed", run_id=f"r-{name}", migration=name, data=data)])

    def test_alerts_come_back_as_they_were(self, door: StateDoor) -> None:
        known = [
            alert(),
            alert("a2", acknowledged_by="é", acknowledged_at=NOW, last_at=NOW + SOON, occurrences=7, told_at=NOW),
            alert("a3", resolved_at=NOW, resolution="é", last_at=NOW + 2 * SOON),
        ]
        with door.transaction() as transaction:
            for each in known:
                alerts.save(transaction, door.about(), each)
        assert alerts.newest(door) == (known[0],)
        assert alerts.newest(door, acknowledged=True) == (known[1], known[0])
        assert alerts.newest(door, acknowledged=True, resolved=True, limit=0) == tuple(reversed(known))
        assert alerts.newest(door, acknowledged=True, resolved=True, limit=1, offset=1) == (known[1],)
        assert alerts.newest(door, resolved=True, since=NOW + SOON) == (known[2],)
        assert alerts.open_alerts(door.read, door.about()) == (known[0], known[1])
        assert alerts.beginning_with(door.read, door.about(), "a2") == (known[1],)
        assert len(alerts.beginning_with(door.read, door.about(), "a")) == 2
        assert alerts.remove_before(door, NOW + SOON, at=NOW) == ("a3",)
        changed = replace(known[0], type="critical", occurrences=2)
        with door.transaction() as transaction:
            alerts.save(transaction, door.about(), changed)
        assert alerts.newest(door) == (changed,)

    def test_facts_become_alerts_once_and_later_facts_end_them(self, target: Target, door: StateDoor) -> None:
        self.fail(target)
        watch = self.watch(failures=0)
        assert [each.rule for each in watch.look(target, door).created] == ["run_failed"]
        assert watch.look(target, door).created == ()
        self.fail(target)
        assert watch.look(target, door).created == ()
        (known,) = alerts.newest(door)
        assert known.occurrences == 2
        target.append([Fact(kind="run_completed", run_id="r2", migration="other", data={})])
        assert watch.look(target, door).resolved == ()
        target.append([Fact(kind="run_completed", run_id="r3", migration="m", data={})])
        (ended,) = watch.look(target, door).resolved
        assert (ended.id, alerts.newest(door)) == (known.id, ())
        self.fail(target)
        (new,) = watch.look(target, door).created
        assert new.id != known.id

    def test_a_backup_that_is_proved_later_ends_its_alert(self, target: Target, door: StateDoor) -> None:
        for good in (False, True):
            data = {"id": "b", "good": good, "why": "rows differ"}
            target.append([Fact(kind="backup_verified", run_id="", migration="", data=data)])
            looked = self.watch().look(target, door)
            assert (len(looked.created), len(looked.resolved)) == ((0, 1) if good else (1, 0))

    def test_the_third_failure_within_an_hour_is_one_more_alert(self, target: Target, door: StateDoor) -> None:
        for name in ("a", "b", "c", "d"):
            self.fail(target, name)
        created = self.watch().look(target, door).created
        assert sorted(each.rule for each in created) == ["many_failures", *["run_failed"] * 4]

    def test_processes_that_look_at_once_make_each_alert_and_message_once(
        self, target_factory: Callable[[], Target], target: Target, door: StateDoor
    ) -> None:
        for number in range(5):
            self.fail(target, f"m{number}")
        made: list[int] = []

        def look() -> None:
            mine = target_factory()
            its_door = mine.state()
            try:
                made.append(self.watch(OPS, failures=0).look(mine, its_door).messages)
            finally:
                its_door.close()
                mine.close()

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(made) == len(alerts.newest(door)) == 5
        assert [each.occurrences for each in alerts.newest(door)] == [1] * 5
        receiver = Receiver()
        assert self.outbox(receiver, OPS).send(door).sent == 5

    def test_whoever_is_told_of_facts_gets_each_once_and_in_order(self, target: Target, door: StateDoor) -> None:
        started = Fact(kind="run_started", run_id="r", migration="m", data={})
        target.append([started, Fact(kind="run_completed", run_id="r", migration="m", data={"ms": 5})])
        assert self.watch().look(target, door).messages == 0
        receiver = Receiver()
        for _ in range(2):
            self.watch(ALL).look(target, door)
            self.outbox(receiver, ALL).send(door)
        assert receiver.events == ["migration.started", "migration.completed"]

    def test_a_message_that_is_not_taken_is_sent_again_later_and_what_follows_waits(
        self, target: Target, door: StateDoor
    ) -> None:
        receiver = Receiver()
        box = self.outbox(receiver, ALL)
        started = Fact(kind="run_started", run_id="r", migration="m", data={})
        target.append([started, Fact(kind="run_completed", run_id="r", migration="m", data={})])
        self.watch(ALL).look(target, door)
        receiver.problem = NotTaken("away")
        assert box.send(door).failed == {"all": "away"}
        (trouble,) = deliveries.troubles(door)
        assert (trouble["channel"], trouble["attempts"], trouble["error"]) == ("all", 1, "away")
        receiver.problem = None
        assert box.send(door).sent == 0
        self.now += timedelta(seconds=WAITS[0] + 1)
        assert box.send(door).sent == 2
        assert receiver.events == ["migration.started", "migration.completed"]
        assert deliveries.troubles(door) == ()

    def test_nobody_tries_for_ever(self, target: Target, door: StateDoor) -> None:
        self.fail(target)
        self.watch(OPS).look(target, door)
        receiver = Receiver()
        receiver.problem = NotTaken("away")
        tries = 0
        while self.outbox(receiver, OPS).send(door).failed:
            tries += 1
            self.now += timedelta(seconds=WAITS[-1] + 1)
        assert tries == len(WAITS) + 1
        assert [each["state"] for each in deliveries.troubles(door)] == ["given_up"]

    def test_a_claim_of_a_dead_process_runs_out_and_the_message_keeps_its_id(
        self, target: Target, door: StateDoor
    ) -> None:
        self.fail(target)
        self.watch(OPS).look(target, door)
        until = self.now + timedelta(minutes=2)
        (claimed,) = deliveries.claim(door, ["ops"], now=self.now, until=until, limit=10)
        receiver = Receiver()
        assert self.outbox(receiver, OPS).send(door).sent == 0
        self.now = until + timedelta(seconds=1)
        assert self.outbox(receiver, OPS).send(door).sent == 1
        assert receiver.taken == [claimed.id]

    def test_a_channel_gets_no_more_than_it_may_and_the_rest_later(self, target: Target, door: StateDoor) -> None:
        for number in range(5):
            self.fail(target, f"m{number}")
        self.watch(OPS, failures=0).look(target, door)
        receiver = Receiver()
        assert self.outbox(receiver, OPS, most=2).send(door).sent == 2
        self.now += timedelta(minutes=10)
        assert self.outbox(receiver, OPS, most=2).send(door).sent == 0
        target.append([Fact(kind="run_completed", run_id="r", migration=f"m{number}") for number in range(5)])
        resolved = self.watch(OPS, failures=0).look(target, door)
        assert len(resolved.resolved) == 5
        self.now += timedelta(hours=2)
        self.outbox(receiver, OPS, most=2).send(door)
        # What is over by then is not told any more; that it is over is told to whoever has heard of it.
        assert receiver.events.count("migration.alert_created") == 2
        assert receiver.events.count("migration.alert_resolved") == 2

    def test_old_ones_are_removed(self, target: Target, door: StateDoor) -> None:
        self.fail(target)
        self.watch(OPS).look(target, door)
        self.outbox(Receiver(), OPS).send(door)
        assert deliveries.remove_before(door, self.now - SOON) == 0
        assert deliveries.remove_before(door, self.now + SOON) == 1
        assert alerts.remove_before(door, self.now + SOON, at=self.now) == ()
