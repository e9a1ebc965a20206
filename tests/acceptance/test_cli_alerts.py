"""Alerts from the command line: made of what really happened, told to a real receiver, and neither lost nor doubled."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bascule import Bascule
from bascule.errors import MigrationFailed, UsageError
from tests.acceptance.commandline import Project
from tests.acceptance.receiver import Receiver, receiving

SECRET = "0123456789" * 3
MIGRATION = "20240101000000_one"


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    project = Project(tmp_path, DATABASE_URL=url, BASCULE_WEBHOOK_SECRET=SECRET)
    project.write(MIGRATION, "insert into nowhere values (1);", "drop table one;")
    return project


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hook(project: Project, receiver: Receiver, **more: object) -> None:
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"url": receiver.url, **more}.items()]
    (project.folder / "bascule.toml").write_text("\n".join(["[[webhooks]]", *lines]), encoding="utf-8")


def mend(project: Project) -> None:
    project.write(MIGRATION, "create table one (id integer);", "drop table one;")


def test_a_failed_run_is_an_alert_until_it_goes_well(project: Project, receiver: Receiver) -> None:
    hook(project, receiver)
    assert project.well("alerts", "--json").json == []
    assert project.run("up", MIGRATION_ALERTS_DIR="told").code == 1
    (alert,) = project.well("alerts", "--json").json
    assert (alert["type"], alert["migrationName"], alert["acknowledged"], alert["occurrences"]) == (
        "error",
        MIGRATION,
        False,
        1,
    )
    assert "nowhere" in alert["message"]
    (told,) = receiver.told
    assert told.json["type"] == "migration.alert_created"
    assert told.json["data"]["id"] == alert["id"]
    signed = f"{told.headers['webhook-id']}.{told.headers['webhook-timestamp']}.".encode() + told.body
    code = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert told.headers["webhook-signature"] == f"v1,{code}"
    file = project.folder / "told" / f"{alert['id']}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["title"] == alert["title"]

    assert project.run("up").code == 1
    (again,) = project.well("alerts", "--json").json
    assert (again["id"], again["occurrences"], len(receiver.told)) == (alert["id"], 2, 1)

    assert project.run("alerts", "ack", "zz").code == 2
    taken = project.well("alerts", "ack", alert["id"][:6], "--by", "ann", "--json").json["data"]
    assert (taken["acknowledged"], taken["acknowledgedBy"]) == (True, "ann")
    assert "No alert is open" in project.well("alerts").out
    assert "acknowledged" in project.well("alerts", "--all").out

    mend(project)
    project.well("up", MIGRATION_ALERTS_DIR="told")
    (over,) = project.well("alerts", "--all", "--json").json
    assert (over["state"], over["resolved"]) == ("resolved", True)
    assert receiver.events() == ["migration.alert_created", "migration.alert_resolved"]
    assert json.loads(file.read_text())["resolved"] is True
    assert project.well("report", "--json").json["alerts"][0]["id"] == alert["id"]

    cleaned = project.well("cleanup", "--json").json["data"]
    assert cleaned["total"] == 0
    removed = cleanup_all(project)
    assert removed["alerts"] == 1
    assert removed["messages"] == 2
    assert removed["performanceRecords"] >= 1
    assert project.well("alerts", "--all", "--json").json == []
    assert not file.exists()


def cleanup_all(project: Project) -> dict[str, int]:
    config = project.folder / "bascule.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(f'monitoring.retention = "0s"\n{text}', encoding="utf-8")
    removed: dict[str, int] = project.well("cleanup", "--json", MIGRATION_ALERTS_DIR="told").json["data"]["removed"]
    config.write_text(text, encoding="utf-8")
    return removed


def test_a_receiver_that_is_away_changes_nothing_of_the_run_and_is_told_later(
    project: Project, receiver: Receiver
) -> None:
    hook(project, receiver, events=["migration.*"])
    receiver.status = 503
    mend(project)
    assert project.well("up").code == 0
    assert "answered 503" in project.well("alerts").err
    receiver.status = 200
    project.well("alerts", "test")
    assert receiver.told[-1].json["data"]["rule"] == "test"


def test_the_process_is_killed_while_it_tells_and_nothing_is_lost_or_doubled(
    project: Project, receiver: Receiver
) -> None:
    """Killed after the alert was kept and before the receiver has answered. Whoever comes next tells it again under
    the same id, once the dead one's claim has run out.
    """
    hook(project, receiver)
    receiver.gate.clear()
    process = project.start("up")
    assert receiver.came.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    receiver.gate.set()
    (alert,) = project.well("alerts", "--json").json
    assert alert["occurrences"] == 1
    project.well("alerts", "check")
    assert len(receiver.told) == 1, "the claim has not run out yet"
    shorten_claims(project)
    project.well("alerts", "check")
    project.well("alerts", "check")
    first, second = (each for each in receiver.told if each.json["data"]["rule"] == "run_failed")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [each["id"] for each in project.well("alerts", "--json").json if each["rule"] == "run_failed"] == [
        alert["id"]
    ]


def shorten_claims(project: Project) -> None:
    b = Bascule(url=url_of(project), migrations_dir=str(project.folder / "migrations"))
    from bascule import wiring

    target = wiring.open_target(b.monitoring._settings)
    door = target.state()
    door.write("UPDATE @delivery SET next_at = made_at WHERE ended_at IS NULL")
    door.close()
    target.close()


def url_of(project: Project) -> str:
    url = project.environment["DATABASE_URL"]
    return f"sqlite:///{project.folder}/app.db" if url.startswith("sqlite") else url


def test_nothing_is_kept_where_monitoring_is_off(project: Project, receiver: Receiver) -> None:
    hook(project, receiver)
    assert project.run("up", MIGRATION_MONITORING_ENABLED="false").code == 1
    assert project.well("alerts", "--json").json == []
    assert receiver.told == []


def test_wrong_settings_of_alerts_fail_no_run_and_are_told(project: Project) -> None:
    (project.folder / "bascule.toml").write_text('[[webhooks]]\nurl = "ftp://x"\n', encoding="utf-8")
    mend(project)
    answer = project.well("up")
    assert "No alerts are made" in answer.err
    assert project.run("alerts", "check").code == 2
    assert any(each["name"] == "alerts" for each in project.run("doctor", "--json").json["checks"])


def test_from_python(project: Project) -> None:
    b = Bascule(url=url_of(project), migrations_dir=os.fspath(project.folder / "migrations"))
    heard: list[str] = []
    b.subscribe(lambda event: heard.append(event.name), "migration.alert_*")
    with pytest.raises(MigrationFailed):
        b.migrations.execute_migration(MIGRATION)
    (alert,) = b.monitoring.get_alerts()
    assert heard == ["migration.alert_created"]
    assert b.monitoring.acknowledge_alert(alert.id, "ann").acknowledged_by == "ann"
    assert b.monitoring.acknowledge_alert(alert.id, "bob").acknowledged_by == "ann"
    assert b.monitoring.get_alerts() == ()
    assert [each.id for each in b.monitoring.get_alerts(include_acknowledged=True)] == [alert.id]
    assert b.monitoring.resolve_alert(alert.id, "ann").state == "resolved"
    with pytest.raises(UsageError):
        b.monitoring.acknowledge_alert("zz", "ann")
    assert b.monitoring.clean_up().total == 0


def test_a_run_on_production_for_a_reason_is_told(project: Project) -> None:
    mend(project)
    production = {"MIGRATION_ENVIRONMENT": "production"}
    project.well("up", "--no-backup", "--yes-production", "agreed with Ann", **production)
    (alert,) = project.well("alerts", "--json", **production).json
    assert (alert["rule"], alert["type"]) == ("protected_run", "warning")
    assert "agreed with Ann" in alert["message"]
    assert project.well("alerts", "ack", alert["id"], "--json", **production).json["data"]["resolved"]


def test_a_look_at_health_is_told_to_listeners(project: Project) -> None:
    mend(project)
    project.well("up")
    b = Bascule(url=url_of(project), migrations_dir=os.fspath(project.folder / "migrations"))
    heard: list[tuple[str, object]] = []
    b.subscribe(lambda event: heard.append((event.name, event.data["status"])), "migration.health_*")
    found = b.monitoring.get_health_status()
    assert heard == [("migration.health_check", found.as_dict()["status"])]
