"""An alert about health is over as soon as somebody has seen that health is well."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.commandline import Project
from tests.acceptance.server.served import Server, served, token

PATIENCE = 20.0
ONE = "20240101000000_one"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db", BASCULE_AUDIT_DIR=str(tmp_path / "heads"))
    project.write(ONE, "create table one (id integer);", "drop table one;")
    project.well("up")
    return project


def rules(server: Server, mine: str) -> set[str]:
    return {each["rule"] for each in server.get("alerts", mine).data if not each["resolved"]}


def until(found: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not (answer := found()) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


def test_a_look_at_health_that_is_well_ends_the_alert(project: Project) -> None:
    path = project.folder / "migrations" / f"{ONE}.sql"
    kept = path.read_text(encoding="utf-8")
    path.unlink()
    mine = token(project, "viewer")
    with served(project) as server:
        assert until(lambda: "health.drift" in rules(server, mine)), "the check at the start tells of it"
        path.write_text(kept, encoding="utf-8")
        # The next check of the server's own is in five minutes.
        assert until(lambda: server.get("health", mine).data["checks"]["migrations"] == "healthy")
        assert until(lambda: "health.drift" not in rules(server, mine))


def test_what_is_half_done_no_more_is_an_alert_no_more(project: Project) -> None:
    bad = "insert into nowhere values (1);"
    two = "20240102000000_two"
    project.write(two, f"create table two (id integer);\n{bad}", "drop table two;", options=" transaction:false")
    assert project.run("up", MIGRATION_ON_FAILURE="stop").code != 0
    project.well("alerts", "check")
    assert "health.half_done" in {each["rule"] for each in project.well("alerts", "--json").json}
    project.write(two, "create table two (id integer);\nselect 1;", "drop table two;", options=" transaction:false")
    project.well("recover")
    assert project.well("alerts", "--json").json == []
