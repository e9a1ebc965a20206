"""Which facts are alerts, what becomes of them, and who is told when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.alert import Alert, Raised, Settled
from bascule.domain.health import Health, Issue
from bascule.domain.history import Fact
from bascule.domain.telling import TELLING
from bascule.errors import ConfigError
from bascule.monitoring.alerts.deciding import CREATED, REPEATED, RESOLVED, Decided, decide
from bascule.monitoring.alerts.declared import policy_of
from bascule.monitoring.alerts.policy import AlertPolicy, Channel
from bascule.monitoring.alerts.rules import many_failures, of_fact, of_health
from bascule.monitoring.alerts.windows import Window

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
OPS = Channel(name="ops", url="https://ops.example.org")
TOLD = AlertPolicy(channels=(OPS,))
GIVEN: dict[str, Any] = {
    "failures": 3,
    "failures_within": 3600.0,
    "slow": None,
    "ignore": None,
    "types": None,
    "least": "warning",
    "repeat": 14400.0,
    "most": 30,
    "windows": None,
}


def fact(kind: str, *, number: int = 1, direction: str = "up", seconds: float = 0, **data: Any) -> Fact:
    return Fact(
        kind=kind,
        run_id="r",
        migration="m",
        direction=direction,
        number=number,
        at=NOW + timedelta(seconds=seconds),
        data=data,
    )


def failed(name: str = "m", *, seconds: float = 0, **more: Any) -> Raised:
    at = NOW + timedelta(seconds=seconds)
    return Raised(rule="run_failed", subject=name, type="error", title="t", message="x", at=at, migration=name, **more)


def run(
    known: Iterable[Alert], *noticed: Raised | Settled, policy: AlertPolicy = TOLD, seconds: float = 0
) -> tuple[Decided, tuple[Alert, ...]]:
    """What is decided, and the alerts that are open then."""
    known, numbers = tuple(known), count(len(tuple(known)) + 1)
    found = decide(
        known, noticed, policy, now=NOW + timedelta(seconds=seconds), new_id=lambda: f"{next(numbers)}-{seconds}"
    )
    after = {each.id: each for each in known} | {each.id: each for each in found.changed}
    return found, tuple(each for each in after.values() if each.resolved_at is None)


@pytest.mark.parametrize(
    ("told", "rule", "its_type"),
    [
        (fact("run_failed", error="no", state="unchanged"), "run_failed", "error"),
        (fact("run_failed", error="no", state="changed"), "run_failed", "critical"),
        (fact("run_failed", error="no"), "run_failed", "critical"),
        (fact("run_interrupted", error="no", why="killed", state="unchanged"), "run_interrupted", "error"),
        (fact("run_interrupted", error="no", why="killed", state="changed"), "run_interrupted", "critical"),
        (fact("run_failed", direction="down", error="no"), "rollback_failed", "critical"),
        (fact("run_interrupted"), "run_interrupted", "warning"),
        (fact("verdict", direction="down", verdict="lossy", differences=["rows of t"]), "rollback_lossy", "warning"),
        (fact("validation_failed", rules=["needs"], words=["line 2"]), "validation_failed", "warning"),
        (fact("protected_run", reason="now", owner="ann", migrations=["m"]), "protected_run", "warning"),
        (fact("backup_verified", id="b", good=False, why="rows differ"), "backup_unverified", "error"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_goes_wrong_is_an_alert(told: Fact, rule: str, its_type: str) -> None:
    assert told.kind in TELLING
    (found,) = of_fact(told, AlertPolicy())
    assert (found.rule, found.type, found.fact, found.migration) == (rule, its_type, 1, "m")
    assert found.title
    assert found.message


@pytest.mark.parametrize(
    "told",
    [
        fact("run_completed", ms=10**9),
        fact("verdict", verdict="exact"),
        fact("backup_verified", id="b", good=True),
        fact("rolled_back", direction="down"),
    ],
    ids=lambda told: told.kind,
)
def test_what_goes_well_is_none(told: Fact) -> None:
    assert list(of_fact(told, AlertPolicy())) == []


def test_a_slow_run_is_one_where_a_limit_is_set() -> None:
    (found,) = of_fact(fact("run_completed", ms=2001), AlertPolicy(slow=2.0))
    assert found.rule == "slow_run"
    assert list(of_fact(fact("run_completed", ms=1999), AlertPolicy(slow=2.0))) == []


def test_many_failures_within_the_time_are_an_alert_of_their_own() -> None:
    facts = [fact("run_failed", number=each, seconds=each * 60) for each in range(3)]
    found = many_failures(facts, AlertPolicy(failures=3, failures_within=120))
    assert found is not None
    assert (found.type, found.fact) == ("critical", 2)
    assert many_failures(facts, AlertPolicy(failures=3, failures_within=119)) is None
    assert many_failures(facts, AlertPolicy(failures=4)) is None
    assert many_failures(facts, AlertPolicy(failures=0)) is None


def test_the_same_thing_again_is_the_same_alert_and_told_once() -> None:
    first, known = run((), failed())
    assert [message.event for message in first.messages] == [CREATED]
    again, known = run(known, failed(seconds=60), seconds=60)
    assert (again.created, again.messages) == ((), ())
    assert [each.occurrences for each in known] == [2]
    later, _ = run(known, failed(seconds=20000), seconds=20000)
    assert [message.event for message in later.messages] == [REPEATED]


def test_what_is_acknowledged_is_told_again_only_when_it_gets_worse() -> None:
    _, (alert,) = run((), failed())
    taken = replace(alert, acknowledged_by="me", acknowledged_at=NOW)
    quiet, _ = run((taken,), failed(seconds=99999), seconds=99999)
    assert quiet.messages == ()
    worse, (now,) = run((taken,), replace(failed(seconds=1), type="critical"), seconds=1)
    assert [message.event for message in worse.messages] == [REPEATED]
    assert (now.type, now.state) == ("critical", "open")


def test_a_settled_alert_is_told_to_whoever_was_told_of_it_and_the_next_is_another() -> None:
    _, (alert,) = run((), failed())
    settled = Settled(fingerprint=alert.fingerprint, at=NOW + timedelta(seconds=5), why="it went well")
    over, known = run((alert,), settled, failed(seconds=6), seconds=6)
    assert [message.event for message in over.messages] == [RESOLVED, CREATED]
    assert [each.id for each in over.resolved] == [alert.id]
    assert known[0].id != alert.id
    untold, _ = run((replace(alert, told_at=None),), settled)
    assert [message.event for message in untold.messages] == []


def test_what_began_and_ended_between_two_looks_is_told_from_its_beginning() -> None:
    began = failed()
    found, after = run((), began, Settled(fingerprint=began.fingerprint, at=NOW + timedelta(seconds=1), why="well"))
    assert [each.event for each in found.messages] == [CREATED, RESOLVED]
    assert len({each.alert.id for each in found.messages}) == 1
    assert found.messages[0].alert.resolved_at is None
    assert after == ()


def test_what_happened_before_the_alert_does_not_settle_it() -> None:
    _, (alert,) = run((), failed())
    found, _ = run((alert,), Settled(fingerprint=alert.fingerprint, at=NOW - timedelta(seconds=1), why=""))
    assert found.resolved == ()


def test_whoever_can_tell_nobody_leaves_the_telling_to_others() -> None:
    _, known = run((), failed(), policy=AlertPolicy())
    assert known[0].told_at is None
    found, _ = run(known)
    assert [message.event for message in found.messages] == [CREATED]


def test_filters_leave_out_what_nobody_wants() -> None:
    ignoring = replace(TOLD, ignore=("run_failed:test_*",), types={"run_failed": "info"})
    found, _ = run((), failed("test_one"), failed("two"), policy=ignoring)
    assert [(each.migration, each.type) for each in found.created] == [("two", "info")]
    strict = replace(TOLD, channels=(replace(OPS, least="critical"), replace(OPS, name="b", rules=("health.*",))))
    found, known = run((), failed(), policy=strict)
    assert (len(found.created), found.messages, known[0].told_at) == (1, (), None)


def test_in_a_maintenance_window_messages_wait_for_its_end() -> None:
    window = Window(begins=NOW - timedelta(hours=1), ends=NOW + timedelta(hours=1), rules=("run_*",))
    found, _ = run((), failed(), policy=replace(TOLD, windows=(window,)))
    assert [message.held_until for message in found.messages] == [NOW + timedelta(hours=1)]
    other, _ = run((), replace(failed(), rule="health.disk"), policy=replace(TOLD, windows=(window,)))
    assert [message.held_until for message in other.messages] == [None]


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-11-21T21:59:00Z", None),
        ("2026-11-21T22:00:00Z", "2026-11-22T02:00:00Z"),
        ("2026-11-22T01:59:00Z", "2026-11-22T02:00:00Z"),
        ("2026-11-22T02:00:00Z", None),
        ("2026-11-22T22:30:00Z", None),
    ],
)
def test_a_window_of_the_night_ends_on_the_next_day(at: str, end: str | None) -> None:
    window = Window(days=("sat",), since=time(22), until=time(2))
    found = window.end(datetime.fromisoformat(at))
    assert found == (datetime.fromisoformat(end) if end else None)


def test_health_raises_and_settles_and_a_target_that_is_away_settles_nothing() -> None:
    disk = Issue(check="database", condition="disk", status="degraded", message="m", recommendation="r")
    away = Issue(check="database", condition="unreachable", status="unhealthy", message="m", recommendation="r")
    runs = Issue(check="migrations", condition="failed_runs", status="unhealthy", message="m", recommendation="r")
    (raised,) = of_health(Health(last_check=NOW, found=(disk, runs)), ())
    assert isinstance(raised, Raised)
    assert (raised.rule, raised.type) == ("health.disk", "warning")
    _, known = run((), raised, failed())
    assert [each for each in of_health(Health(last_check=NOW, found=(away,)), known) if isinstance(each, Settled)] == []
    (settled,) = of_health(Health(last_check=NOW), known)
    assert isinstance(settled, Settled)
    assert settled.fingerprint == raised.fingerprint


@given(
    st.lists(
        st.tuples(st.sampled_from(("a", "b")), st.sampled_from(("fail", "settle", "look", "blind", "ack"))), max_size=30
    )
)
def test_no_alert_is_lost_or_told_twice_whatever_happens(story: list[tuple[str, str]]) -> None:
    """Told once when it begins and once when it ends, of those that were open when somebody could tell."""
    known: tuple[Alert, ...] = ()
    told: dict[tuple[str, str], int] = {}
    for second, (name, what) in enumerate(story):
        settled = Settled(fingerprint=failed(name).fingerprint, at=NOW + timedelta(seconds=second), why="it went well")
        noticed = {
            "fail": (failed(name, seconds=second),),
            "settle": (settled,),
            "blind": (failed(name, seconds=second),),
        }
        policy = AlertPolicy() if what == "blind" else replace(TOLD, repeat=None)
        if what == "ack":
            known = tuple(replace(each, acknowledged_at=NOW, acknowledged_by="me") for each in known)
            continue
        before = {each.fingerprint for each in known}
        found, known = run(known, *noticed.get(what, ()), policy=policy, seconds=second)
        for message in found.messages:
            key = message.alert.id, message.event
            told[key] = told.get(key, 0) + 1
        assert len({each.fingerprint for each in known}) == len(known)
        if what in ("fail", "blind"):
            assert {each.fingerprint for each in known} == before | {failed(name).fingerprint}
        if what in ("fail", "settle", "look"):
            assert all(each.told_at is not None or each.acknowledged_at is not None for each in known)
    assert set(told.values()) <= {1}


def test_settings_become_a_policy() -> None:
    policy = policy_of(
        {
            **GIVEN,
            "types": {"run_failed": "critical"},
            "windows": [{"from": "22:00", "to": "02:00", "days": ["sat"]}, {"from": "2026-01-01", "to": "2026-01-02"}],
        },
        webhooks=[{"url": "https://a.example.org/x"}, {"url_variable": "HOOK", "name": "b", "events": ["*"]}],
        send_to="slack://a/b/c  mailto://x",
        secret="0123456789" * 3,
        environ={"HOOK": "http://localhost:1"},
    )
    assert [each.kind for each in policy.channels] == ["webhook", "webhook", "apprise", "apprise"]
    assert policy.channels[0].name == "a.example.org"
    assert policy.channels[1].takes("migration.completed")
    assert not policy.channels[0].takes("migration.completed")
    assert "a/b/c" not in repr(policy)
    assert "0123" not in repr(policy)


@pytest.mark.parametrize(
    ("more", "channels"),
    [
        ({}, {"webhooks": [{"url": "https://a.example.org"}]}),
        ({}, {"webhooks": [{"url": "ftp://a"}], "secret": "s"}),
        ({}, {"webhooks": [{"url_variable": "NONE"}], "secret": "s"}),
        ({}, {"webhooks": [{}], "secret": "s"}),
        ({}, {"webhooks": [{"url": "https://a", "colour": 1}], "secret": "s"}),
        ({}, {"webhooks": [{"url": "https://a"}, {"url": "https://a/b"}], "secret": "s"}),
        ({}, {"send_to": "no-address"}),
        ({"types": {"run_failed": "bad"}}, {}),
        ({"windows": [{"from": "22:00"}]}, {}),
        ({"windows": [{"from": "22:00", "to": "23:00", "days": ["someday"]}]}, {}),
        ({"windows": [{"from": "25:00", "to": "23:00"}]}, {}),
    ],
)
def test_what_cannot_be_meant_is_refused(more: dict[str, Any], channels: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as raised:
        policy_of({**GIVEN, **more}, environ={}, **channels)
    assert raised.value.code in ("alerts_config", "webhook_secret")
    assert raised.value.hint
