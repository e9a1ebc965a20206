"""Long work outlives whoever asked for it and the server that began it, and is shown truthfully afterwards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.commandline import Project
from tests.acceptance.server.served import Reply, Server, served, token

SLOW = "20240102_slow"
PATIENCE = 40.0


@pytest.fixture
def project(tmp_path: Path, bascule_postgres_url: str) -> Project:
    project = Project(
        tmp_path,
        DATABASE_URL=bascule_postgres_url,
        BASCULE_AUDIT_DIR=str(tmp_path / "heads"),
        BASCULE_AUDIT_KEY="a key that is not in the database",
    )
    project.write("20240101_one", "create table one (id int);", "drop table one;")
    project.well("up")
    project.write(SLOW, "create table two (id int); select pg_sleep(8);", "drop table two;")
    return project


def until(found: Callable[[], Any], what: str) -> Any:
    """Its first answer that is not empty."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen")


def begun(server: Server, mine: str) -> str:
    reply = server.post("execute", {"migrationName": SLOW}, mine, Prefer="respond-async")
    assert reply.status == 202, reply.body
    assert reply.headers["location"].endswith(reply.data["id"])
    until(lambda: server.get("status", mine).data["running"], "the run")
    return str(reply.data["id"])


def test_a_run_goes_on_without_its_server_and_is_found_by_the_next_one(project: Project) -> None:
    mine = token(project, "admin")
    with served(project) as first:
        run = begun(first, mine)
        first.kill()
    with served(project) as second:
        shown = second.get(f"runs/{run}", mine).data
        assert shown["status"] == "running"
        assert [each["name"] for each in second.get("status", mine).data["running"]] == [SLOW]
        with second.events(run, mine) as events:
            names = [name for name, _ in events]
        assert names[-1] == "end"
        assert names.count("migration.completed") == 1
        assert second.get(f"runs/{run}", mine).data["status"] == "completed"
        assert second.get("status", mine).data["running"] == []
    assert project.names() == {"20240101_one", SLOW}
    assert "whole" in project.well("audit", "verify").out


def test_a_worker_that_was_killed_too_is_told_of_and_recovered(project: Project, bascule_postgres_url: str) -> None:
    mine = token(project, "admin")
    with served(project) as first:
        run = begun(first, mine)
        first.kill()
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        (line,) = connection.execute("SELECT owner FROM bascule.lease").fetchone() or ("",)
    pid = int(str(line).rpartition(":")[2])
    os.kill(pid, signal.SIGKILL)
    with served(project) as second:
        gone = until(lambda: second.get(f"runs/{run}", mine).data["status"] != "running", "the end of the run")
        assert gone
        assert second.get(f"runs/{run}", mine).data["status"] == "failed"
        assert second.get("status", mine).data["summary"]["completed"] == 1
        done = second.post("execute", {"migrationName": SLOW}, mine)
        assert done.data["status"] == "completed", done.body
    with psycopg.connect(bascule_postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM two").fetchone() == (0,)
    assert "whole" in project.well("audit", "verify").out


def test_two_servers_on_one_target_do_not_fight(project: Project) -> None:
    mine = token(project, "admin")
    with served(project) as one, served(project) as other:
        run = begun(one, mine)
        for later in ({}, {"Prefer": "respond-async"}):
            asked = time.monotonic()
            reply = other.post("execute", {"migrationName": SLOW}, mine, **later)
            assert time.monotonic() - asked < 3.0, "nobody waits for the lease"
            assert reply.status == 409
            assert reply.json["error"]["code"] == "lease_held"
            assert reply.json["error"]["holder"]["owner"] in reply.json["message"]
        assert one.get(f"runs/{run}", mine).data["status"] == "running"
        line = next(line for line in one.get("audit?limit=5", mine).data if line.get("code") == "lease_held")
        assert (line["action"], line["outcome"], line["what"]["name"]) == ("execute", "refused", SLOW)


def test_however_many_want_to_change_something_one_may_look(project: Project) -> None:
    mine = token(project, "admin")
    replies: list[int] = []

    def ask(server: Server) -> None:
        replies.append(server.post("execute", {"migrationName": SLOW}, mine, Prefer="respond-async").status)

    with served(project) as one, served(project) as other:
        begun(one, mine)
        threads = [threading.Thread(target=ask, args=(other,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for path, body in (
            ("validate", {"migrationName": "20240101_one"}),
            ("plan", {}),
            ("rollback", {"migrationName": "20240101_one", "dryRun": True}),
        ):
            reply = other.post(path, body, mine)
            assert reply.status == 200, (path, reply.body)
        assert other.get("validation/rules", mine).status == 200
        for thread in threads:
            thread.join(PATIENCE)
    assert replies == [409] * 12


def test_everybody_who_follows_a_run_hears_the_same(project: Project) -> None:
    mine = token(project, "viewer")
    heard: list[list[tuple[str, Any]]] = []

    def follow(server: Server, run: str) -> None:
        with server.events(run, mine) as events:
            heard.append([(name, data.get("number")) for name, data in events if name != "migration.progress"])

    with served(project) as server:
        run = begun(server, token(project, "operator"))
        threads = [threading.Thread(target=follow, args=(server, run)) for _ in range(25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert len(heard) == 25
    assert all(each == heard[0] for each in heard)
    assert heard[0][-1][0] == "end"


def test_a_stream_ends_when_its_token_is_revoked(project: Project) -> None:
    made = project.well("token", "create", "--role", "viewer", "--json").json
    with served(project) as server:
        run = begun(server, token(project, "operator"))
        with server.events(run, made["token"]) as events:
            next(events)
            project.well("token", "revoke", made["id"])
            revoked = time.monotonic()
            names = [name for name, _ in events]
        assert time.monotonic() - revoked < 4.0
        assert "end" not in names
        refused: Reply = server.get(f"runs/{run}/events", made["token"])
        assert refused.status == 401
