"""kill -9 of a run's worker, or of the server with it: told everywhere as it is, alerted once, settled, recovered."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commandline import Project
from tests.acceptance.receiver import Receiver, receiving
from tests.acceptance.server.served import Server, served, token

PATIENCE = 40.0
WHOLE = "20240102000000_whole"
PARTS = "20240103000000_parts"
LONG = {
    "sqlite": "with recursive c(n) as (select 1 union all select n + 1 from c where n < 200000000) "
    "insert into counted select max(n) from c;",
    "postgresql": "insert into counted select 1 from pg_sleep(20);",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    sqlite = request.param == "sqlite"
    project = Project(
        tmp_path,
        DATABASE_URL="sqlite:///app.db" if sqlite else request.getfixturevalue("bascule_postgres_url"),
        BASCULE_AUDIT_DIR=str(tmp_path / "heads"),
        BASCULE_AUDIT_KEY="a key that is not in the database",
        BASCULE_WEBHOOK_SECRET="0123456789" * 3,
    )
    project.write("20240101000000_counted", "create table counted (n bigint);", "drop table counted;")
    project.well("up")
    long = LONG[request.param]
    project.write(WHOLE, f"create table two (id int);\n{long}", "drop table two;")
    return project


def in_parts(project: Project) -> None:
    """The one in a transaction goes, one outside of it comes."""
    sqlite = project.environment["DATABASE_URL"].startswith("sqlite")
    (project.folder / "migrations" / f"{WHOLE}.sql").unlink()
    pause = LONG["sqlite" if sqlite else "postgresql"]
    project.write(
        PARTS,
        f"create table three (id int);\n{pause}\ncreate table four (id int);",
        "drop table four; drop table three;",
        options=" transaction:false",
    )


def shorten(project: Project) -> None:
    """The middle statement is quick from now on: what is not done may be corrected."""
    path = project.folder / "migrations" / f"{PARTS}.sql"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = "insert into counted values (1);"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def until(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen")


@contextmanager
def told(project: Project) -> Iterator[Receiver]:
    with receiving() as receiver:
        (project.folder / "bascule.toml").write_text(
            f"[[webhooks]]\nurl = {json.dumps(receiver.url)}\n", encoding="utf-8"
        )
        yield receiver


def begun(server: Server, mine: str, name: str) -> tuple[str, int]:
    """The run and the process that is at it."""
    reply = server.post("execute", {"migrationName": name}, mine, Prefer="respond-async")
    assert reply.status == 202, reply.body
    run = str(reply.data["id"])
    (running,) = until(lambda: server.get("status", mine).data["running"], "the run")
    # Not before it is at the statement that lasts.
    until(lambda: server.get("status", mine).data["running"][0]["name"] == name, "its beginning")
    time.sleep(1.0)
    return run, int(running["owner"].rpartition(":")[2])


def interruptions(server: Server, mine: str) -> list[dict[str, Any]]:
    found = server.get("alerts?includeAcknowledged=true", mine).data
    return [each for each in found if each["rule"] == "run_interrupted"]


def shown_everywhere(server: Server, mine: str, run: str, name: str, *, half: bool) -> None:
    project = server.project
    (failed,) = until(lambda: server.get("status", mine).data["failed"], "the failure in the status")
    assert (failed["name"], failed["id"], failed["interrupted"]) == (name, run, True)
    assert failed.get("halfDone", False) is half
    assert "killed" in failed["error"]
    assert failed["hint"]
    data = server.get("status", mine).data
    assert (data["running"], data["summary"]["failed"]) == ([], 1)
    one = server.get(f"runs/{run}", mine).data
    assert (one["status"], one["interrupted"]) == ("failed", True)
    first = server.get("runs?limit=5", mine).data[0]
    assert (first["id"], first["status"], first["interrupted"], first["hint"]) == (run, "failed", True, failed["hint"])
    (alert,) = until(lambda: interruptions(server, mine), "the alert")
    assert (alert["occurrences"], alert["migrationName"], alert["type"]) == (1, name, "critical" if half else "error")
    assert server.get("metrics", mine).data["metrics"]["failedMigrations"] == 1
    assert server.get("health", mine).data["checks"]["migrations"] == "unhealthy"
    said = project.well("status").out
    assert "interrupted" in said
    assert "next: bascule" in said
    assert "interrupted" in project.well("history").out


@pytest.mark.parametrize("half", [False, True], ids=["in a transaction", "outside"])
def test_a_worker_that_is_killed(project: Project, half: bool) -> None:
    if half:
        in_parts(project)
    name = PARTS if half else WHOLE
    mine = token(project, "admin")
    with told(project) as receiver, served(project) as server:
        run, pid = begun(server, mine, name)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        shown_everywhere(server, mine, run, name, half=half)
        assert time.monotonic() - killed < 20.0
        until(lambda: "migration.alert_created" in receiver.events(), "the message")
        if half:
            shorten(project)
            done = server.post(f"runs/{run}/recover", {}, mine)
            assert done.status == 200, done.body
            assert (done.data["id"], done.data["status"]) == (run, "completed")
            assert server.get(f"runs/{run}", mine).data["status"] == "completed"
        else:
            nothing = server.post(f"runs/{run}/recover", {}, mine)
            assert nothing.status == 200
            assert "nothing to finish" in nothing.json["message"]
            project.write(WHOLE, "create table two (id int);", "drop table two;")
            assert server.post("execute", {"migrationName": name}, mine).data["status"] == "completed"
        until(lambda: all(each["resolved"] for each in interruptions(server, mine)), "its end")
        assert server.get("status", mine).data["failed"] == []
        until(lambda: receiver.events().count("migration.alert_resolved") >= 1, "the message of the end")
        rules = [each.json["data"]["rule"] for each in receiver.told if each.json["type"] == "migration.alert_created"]
        assert rules.count("run_interrupted") == 1
    assert "whole" in project.well("audit", "verify").out
    assert name in project.names()


@pytest.mark.parametrize("half", [False, True], ids=["in a transaction", "outside"])
def test_a_server_that_is_killed_with_its_worker(project: Project, half: bool) -> None:
    """Before the next server comes the command line tells it too; that server settles it when it starts."""
    if half:
        in_parts(project)
    name = PARTS if half else WHOLE
    mine = token(project, "admin")
    with told(project) as receiver:
        with served(project) as first:
            run, pid = begun(first, mine, name)
            first.kill()
        os.kill(pid, signal.SIGKILL)
        until(lambda: project.well("status", "--json").json["failed"], "the failure in the status")
        (line,) = project.well("history", "--limit", "1", "--json").json
        assert (line["id"], line["interrupted"]) == (run, True)
        assert project.well("metrics", "--json").json["metrics"]["failedMigrations"] == 1
        with served(project) as second, served(project) as third:
            shown_everywhere(second, mine, run, name, half=half)
            assert len(interruptions(third, mine)) == 1
            until(lambda: "migration.alert_created" in receiver.events(), "the message")
            if half:
                shorten(project)
                assert third.post(f"runs/{run}/recover", {}, mine).data["status"] == "completed"
                until(lambda: second.get("status", mine).data["failed"] == [], "the recovery")
        facts = project.well("logs", "--limit", "0", "--json").json
        assert [each["event"] for each in facts].count("run_interrupted") == 1
        messages = {each.headers["webhook-id"]: each.json for each in receiver.told}.values()
        made = [each["data"]["rule"] for each in messages if each["type"] == "migration.alert_created"]
        assert made.count("run_interrupted") == 1
    assert "whole" in project.well("audit", "verify").out


def test_a_command_that_is_killed_is_told_by_the_next_one(project: Project) -> None:
    process = project.start("up")
    until(lambda: project.well("status", "--json").json["running"], "the run")
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    (failed,) = until(lambda: project.well("status", "--json").json["failed"], "the failure")
    assert failed["interrupted"]
    project.write(WHOLE, "create table two (id int);", "drop table two;")
    project.well("up")
    kinds = [each["event"] for each in project.well("logs", "--limit", "0", "--json").json]
    assert kinds.count("run_interrupted") == 1
    assert project.well("status", "--json").json["failed"] == []


def test_a_rollback_that_is_killed_is_told_too(project: Project) -> None:
    project.write(WHOLE, "create table two (id int);", f"drop table two;\n{LONG[kind_of(project)]}")
    project.well("up")
    process = project.start("rollback", WHOLE)
    until(lambda: project.well("status", "--json").json["running"], "the run")
    time.sleep(1.5)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    (line,) = until(
        lambda: [each for each in project.well("history", "--json").json if each.get("interrupted")], "the line"
    )
    assert (line["name"], line["direction"]) == (WHOLE, "down")
    project.well("alerts", "check")
    assert [each["rule"] for each in project.well("alerts", "--json").json].count("run_interrupted") == 1


def kind_of(project: Project) -> str:
    return "sqlite" if project.environment["DATABASE_URL"].startswith("sqlite") else "postgresql"


def test_a_worker_that_is_killed_before_it_has_begun(project: Project) -> None:
    hooks = project.folder / "migrations" / "hooks"
    hooks.mkdir()
    (hooks / "before_up.sql").write_text(LONG[kind_of(project)], encoding="utf-8")
    mine = token(project, "operator")
    with served(project) as server:
        reply = server.post("execute", {"migrationName": WHOLE}, mine, Prefer="respond-async")
        assert reply.status == 202, reply.body
        run = reply.data["id"]
        assert server.get(f"runs/{run}", mine).data["status"] == "pending"
        children = Path(f"/proc/{server.process.pid}/task").glob("*/children")
        for pid in (int(each) for path in children for each in path.read_text().split()):
            os.kill(pid, signal.SIGKILL)
        one = until(lambda: found_off(server, mine, run), "the end of the run")
        assert one["interrupted"]
        (alert,) = until(lambda: interruptions(server, mine), "the alert")
        assert alert["migrationName"] == WHOLE
        (failed,) = server.get("status", mine).data["failed"]
        assert failed["name"] == WHOLE
        assert "had not begun" in server.get(f"runs/{run}", mine).data["error"]


def found_off(server: Server, mine: str, run: str) -> dict[str, Any] | None:
    found: dict[str, Any] = server.get(f"runs/{run}", mine).data
    return found if found["status"] == "failed" else None


def test_a_script_of_which_nothing_was_done_is_not_half_done(project: Project) -> None:
    (project.folder / "migrations" / f"{WHOLE}.sql").unlink()
    project.write(
        PARTS,
        f"{LONG[kind_of(project)]}\ncreate table four (id int);",
        "drop table four;",
        options=" transaction:false",
    )
    mine = token(project, "admin")
    with served(project) as server:
        _, pid = begun(server, mine, PARTS)
        os.kill(pid, signal.SIGKILL)
        until(lambda: interruptions(server, mine), "the alert")
        (failed,) = server.get("status", mine).data["failed"]
        assert (failed["state"], "halfDone" in failed) == ("unchanged", False), failed
        project.write(PARTS, "create table four (id int);", "drop table four;")
        assert server.post("execute", {"migrationName": PARTS}, mine).data["status"] == "completed"


def resumed(server: Server, mine: str) -> dict[str, Any] | None:
    found = [each for each in server.get("status", mine).data["running"] if each["name"] == PARTS]
    return found[0] if found else None


def test_recover_is_killed_too_and_asked_again(project: Project) -> None:
    in_parts(project)
    mine = token(project, "admin")
    with served(project) as server:
        run, pid = begun(server, mine, PARTS)
        os.kill(pid, signal.SIGKILL)
        until(lambda: server.get("status", mine).data["failed"], "the failure")
        again = server.post(f"runs/{run}/recover", {}, mine, Prefer="respond-async")
        assert again.status == 202, again.body
        running = until(lambda: resumed(server, mine), "the recovery")
        assert server.get("status", mine).data["failed"] == []
        assert server.get(f"runs/{run}", mine).data["status"] == "running"
        time.sleep(1.0)
        os.kill(int(running["owner"].rpartition(":")[2]), signal.SIGKILL)
        until(lambda: server.get("status", mine).data["failed"], "the second failure")
        until(lambda: [each["occurrences"] for each in interruptions(server, mine)] == [2], "the second time")
        shorten(project)
        assert server.post(f"runs/{run}/recover", {}, mine).data["status"] == "completed"
    assert "whole" in project.well("audit", "verify").out


def test_only_who_may_execute_recovers_and_a_run_at_work_is_left_alone(project: Project) -> None:
    mine, viewer = token(project, "operator"), token(project, "viewer")
    with served(project) as server:
        run, pid = begun(server, mine, WHOLE)
        assert server.post(f"runs/{run}/recover", {}, viewer).status == 403
        busy = server.post(f"runs/{run}/recover", {}, mine)
        assert (busy.status, busy.json["error"]["code"]) == (409, "run_under_way")
        assert server.post("runs/nothing_1/recover", {}, mine).status == 404
        os.kill(pid, signal.SIGKILL)
        until(lambda: server.get("status", mine).data["failed"], "the failure")
