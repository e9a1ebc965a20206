"""Webhooks, words for people, files, and the duties of a server."""

from __future__ import annotations

import base64
import json
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bascule.domain.alert import Alert
from bascule.monitoring.alerts.by_apprise import by_apprise, words
from bascule.monitoring.alerts.deadline import opened
from bascule.monitoring.alerts.deciding import CREATED, REPEATED, RESOLVED
from bascule.monitoring.alerts.folder import remove_alerts, write_alerts
from bascule.monitoring.alerts.policy import AlertPolicy, Channel
from bascule.monitoring.alerts.sending import NotTaken, hand_over
from bascule.monitoring.alerts.unreachable import PATIENCE, Unreachable
from bascule.monitoring.alerts.webhook import signature, webhook
from bascule.monitoring.rounds import Duty, Rounds
from bascule.state.deliveries import Delivery
from tests.acceptance.receiver import Receiver, receiving

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ALERT = Alert(
    id="a1",
    fingerprint="f",
    rule="run_failed",
    type="error",
    title="m failed",
    message="no such table",
    first_at=NOW,
    last_at=NOW,
)
BODY = {"type": CREATED, "target": {"environment": "staging", "database": "shop"}, "data": ALERT.as_dict()}
MESSAGE = Delivery(id="msg_1", channel="ops", about="a1", event=CREATED, body=json.dumps(BODY))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification's own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 500])
def test_whatever_is_not_taken_is_not_taken(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(NotTaken) as raised:
        webhook("s" * 24, "1")(Channel(name="ops", url=receiver.url), MESSAGE)
    assert raised.value.final == (status == 410)
    assert len(receiver.told) == 1


def test_an_address_that_is_a_credential_is_in_no_problem() -> None:
    channel = Channel(name="ops", url="http://127.0.0.1:1/s3cr3t-path")
    with pytest.raises(NotTaken) as raised:
        webhook("s" * 24, "1")(channel, MESSAGE)
    assert "s3cr3t" not in raised.value.why
    assert "ops" in raised.value.why


# What Apprise imports on Python before 3.13 is no affair of ours.
@pytest.mark.filterwarnings("ignore:.*imghdr:DeprecationWarning")
def test_apprise_takes_a_message_to_where_its_address_leads(receiver: Receiver) -> None:
    by_apprise(Channel(name="x", url=receiver.url.replace("http://", "json://"), kind="apprise"), MESSAGE)
    (told,) = receiver.told
    assert told.json["title"] == "[error] m failed"
    assert told.json["type"] == "failure"
    assert "no such table" in told.json["message"]
    receiver.status = 500
    with pytest.raises(NotTaken):
        by_apprise(Channel(name="x", url=receiver.url.replace("http://", "json://"), kind="apprise"), MESSAGE)
    with pytest.raises(NotTaken, match="cannot read"):
        by_apprise(Channel(name="x", url="nonsense://", kind="apprise"), MESSAGE)


def test_the_words_for_people_say_what_where_and_how_often() -> None:
    title, text, kind = words({**BODY, "data": replace(ALERT, occurrences=3).as_dict()})
    assert (title, kind) == ("[error] m failed", "failure")
    assert text.splitlines() == ["no such table", "3 times since 2026-11-23T12:00:00.000Z.", "staging shop; alert a1"]
    over = replace(ALERT, resolved_at=NOW, resolution="the migration has been run")
    title, text, kind = words({**BODY, "type": RESOLVED, "data": over.as_dict()})
    assert (title, kind) == ("[resolved] m failed", "success")
    assert text.startswith("Over: the migration has been run.")


def test_files_are_whole_private_and_without_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "alerts"
    told = replace(ALERT, message="password s3cr3t")
    assert write_alerts(folder, [told], lambda text: text.replace("s3cr3t", "***")) == 1
    assert write_alerts(folder, [told], lambda text: text.replace("s3cr3t", "***")) == 0
    (file,) = folder.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("a1.json", 0o600)
    assert json.loads(file.read_text())["message"] == "password ***"
    assert write_alerts(folder, [replace(told, occurrences=2)]) == 1
    assert remove_alerts(folder, ["a1", "a2"]) == 1
    assert list(folder.iterdir()) == []


def test_a_target_that_is_away_is_told_after_a_while_once_and_that_it_is_back() -> None:
    now, taken, broken = NOW, list[tuple[str, str]](), False

    def hand(channel: Channel, message: Delivery) -> None:
        if broken:
            raise NotTaken("away")
        taken.append((channel.name, message.event))

    policy = AlertPolicy(channels=(Channel(name="ops", url=""), Channel(name="b", url="", rules=("run_*",))))
    absence = Unreachable(policy=policy, hands={"webhook": hand}, now=lambda: now)
    absence.away("no route")
    absence.there()
    for seconds in (0, 5, PATIENCE - 1):
        now = NOW + timedelta(seconds=seconds)
        absence.away("no route")
    assert taken == []
    broken = True
    now = NOW + timedelta(seconds=PATIENCE)
    absence.away("no route")
    broken = False
    for seconds in (1, 2, 3):
        now = NOW + timedelta(seconds=PATIENCE + seconds)
        absence.away("no route")
    assert taken == [("ops", CREATED)]
    now += timedelta(hours=4)
    absence.away("no route")
    absence.there()
    absence.there()
    assert taken == [("ops", CREATED), ("ops", REPEATED), ("ops", RESOLVED)]


def test_duties_are_done_when_they_are_due_and_a_failing_one_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, done = 0.0, list[str]()

    def fail() -> None:
        done.append("fail")
        raise ZeroDivisionError("division by zero")

    rounds = Rounds(
        duties=(
            Duty(name="failing", work=fail, every=5),
            Duty(name="other", work=lambda: done.append("other"), every=10),
        ),
        clock=lambda: now,
    )
    for moment in (0.0, 4.0, 5.0, 10.0):
        now = moment
        rounds.once()
    assert done == ["fail", "other", "fail", "fail", "other"]
    assert [record.getMessage() for record in caplog.records] == ["failing: ZeroDivisionError: division by zero"]


def test_rounds_end_when_they_are_told_to() -> None:
    closed: list[bool] = []
    rounds = Rounds(duties=(Duty(name="a", work=lambda: None, every=100),), close=lambda: closed.append(True))
    rounds.start()
    rounds.stop()
    assert closed == [True]


def test_a_duty_is_done_at_once_when_its_word_is_said() -> None:
    done: list[str] = []
    said, again = threading.Event(), threading.Event()

    def work() -> None:
        done.append("woken")
        (again if said.is_set() else first).set()

    first = threading.Event()
    rounds = Rounds(
        duties=(
            Duty(name="woken", work=work, every=1000, wakes=frozenset({"ended"})),
            Duty(name="asleep", work=lambda: done.append("asleep"), every=1000),
        )
    )
    rounds.start()
    assert first.wait(10)
    said.set()
    rounds.wake("ended")
    assert again.wait(10)
    rounds.stop()
    assert done.count("woken") == 2
    assert done.count("asleep") == 1


def test_a_message_has_one_deadline_whatever_is_done_with_it() -> None:
    held, cut = socket.socketpair()
    ended = threading.Event()

    def endless(_channel: Channel, _message: Delivery) -> None:
        opened(held)
        held.recv(1)
        ended.set()

    with cut, held, pytest.raises(NotTaken, match="ops did not take it within"):
        hand_over(endless, Channel(name="ops", url="http://x"), MESSAGE, 0.2)
    assert ended.wait(10), "its connection was cut, so that no thread stays behind"


def test_what_handing_over_raises_comes_out() -> None:
    def refuse(_channel: Channel, _message: Delivery) -> None:
        raise NotTaken("no", final=True)

    with pytest.raises(NotTaken) as raised:
        hand_over(refuse, Channel(name="ops", url="http://x"), MESSAGE)
    assert raised.value.final


def test_a_secret_that_only_looks_like_base64_is_taken_as_it_stands() -> None:
    assert signature("whsec_***", "a", 1, b"") != signature("***", "a", 1, b"")
    known = base64.b64encode(b"key").decode()
    assert signature(f"whsec_{known}", "a", 1, b"") == signature("key", "a", 1, b"")
