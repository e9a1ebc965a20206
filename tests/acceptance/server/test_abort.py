"""A run under way is ended by whoever may, wherever it was begun, and says what is true of the database then."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commandline import BASCULE, Project
from tests.acceptance.server.served import Server, served, token
from tests.acceptance.server.test_work import SLOW, until

LONG = {
    "postgresql": "select pg_sleep(60);",
    "sqlite": "insert into two with recursive c(x) as (select 1 union all select x + 1 from c where x < 4000000000)"
    " select count(*) from c;",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    project = Project(tmp_path, DATABASE_URL=url, BASCULE_AUDIT_DIR=str(tmp_path / "heads"))
    project.write("20240101_one", "create table one (id int);", "drop table one;")
    project.well("up")
    project.write(SLOW, f"create table two (id int); {LONG[request.param]}", "drop table two;")
    return project


def running(server: Server, mine: str) -> dict[str, Any]:
    def found() -> Any:
        runs = server.get("status", mine).data["running"]
        return [each for each in runs if each["id"] != each["lease"] or each["name"] == SLOW]

    run: dict[str, Any] = until(found, "the run")[0]
    # Long enough for the statement that takes its time to be under way.
    time.sleep(1.5)
    return run


def is_aborted(server: Server, mine: str, run: str) -> None:
    told = server.post(f"runs/{run}/abort", {}, mine)
    assert told.status == 200, told.body
    assert told.data["status"] == "failed"
    assert "was aborted" in told.json["message"]
    run = told.data["id"]
    assert server.get(f"runs/{run}", mine).data["status"] == "failed"
    again = server.post(f"runs/{run}/abort", {}, mine)
    assert (again.status, again.json["error"]["code"]) == (409, "not_controllable")


def is_as_before(project: Project, server: Server, mine: str) -> None:
    state = server.get("status", mine).data
    assert state["running"] == []
    assert [each["name"] for each in state["pending"]] == [SLOW]
    assert "halfDone" not in state
    project.write(SLOW, "create table two (id int);", "drop table two;")
    project.well("up")
    assert "whole" in project.well("audit", "verify").out


def test_a_run_of_the_server_is_ended_and_leaves_nothing(project: Project) -> None:
    mine, viewer = token(project, "operator"), token(project, "viewer")
    with served(project) as server:
        reply = server.post("execute", {"migrationName": SLOW}, mine, Prefer="respond-async")
        assert reply.status == 202, reply.body
        run = running(server, mine)["id"]
        assert run == reply.data["id"]
        for verb in ("pause", "resume", "tune", "complete"):
            told = server.post(f"runs/{run}/{verb}", {}, mine)
            assert (told.status, told.json["error"]["code"]) == (409, "not_controllable")
            assert "no online operation" in told.json["message"]
        assert server.post(f"runs/{run}/abort", {}, viewer).status == 403
        assert server.get(f"runs/{run}", mine).data["status"] == "running"
        is_aborted(server, mine, run)
        known = [each for each in server.get("audit", token(project, "admin")).data if each["action"] == "control"]
        assert any("abort" in str(each) and run in str(each) for each in known)
        is_as_before(project, server, mine)


def test_a_run_of_a_command_line_is_ended_too(project: Project) -> None:
    mine = token(project, "operator")
    with served(project) as server:
        process = subprocess.Popen(
            [*BASCULE, "up"],
            cwd=project.folder,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            run = running(server, mine)["id"]
            is_aborted(server, mine, run)
            _, said = process.communicate(timeout=20)
            assert process.returncode != 0
            assert "stopped by SIGTERM" in said
        finally:
            process.kill()
            process.communicate()
        is_as_before(project, server, mine)
