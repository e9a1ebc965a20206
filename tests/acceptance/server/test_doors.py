"""Whoever may look is let in whatever the day is like, and the server says who came."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.commandline import Project
from tests.acceptance.server.served import Server, served, token

PATIENCE = 30.0
LOOKS = (
    *("status", "health", "metrics", "performance", "alerts", "runs", "backups", "report", "export", "logs"),
    *("validation/rules", "audit", "/metrics"),
)


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
    project.write("20240102_two", "create table two (id int);", "drop table two;")
    return project


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    with served(project) as found:
        yield found


def said(server: Server, pattern: str) -> str:
    """The line of the server's log that this is found in."""
    return until(lambda: next((line for line in server.said if re.search(pattern, line)), ""))


def until(found: Callable[[], str]) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def read_only(url: str, word: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {word}')
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (name,),
        )


def test_a_target_that_cannot_be_written_is_looked_at_all_the_same(
    server: Server, project: Project, bascule_postgres_url: str
) -> None:
    mine = token(project, "admin")
    read_only(bascule_postgres_url, "on")
    for path in LOOKS:
        reply = server.get(path, mine)
        assert reply.status == 200, (path, reply.body)
    planned = server.post("plan", {}, mine).data
    assert [each["name"] for each in planned["migrations"]] == ["20240102_two"]
    assert "id" not in planned, "nobody can hand one in there"
    health = server.get("health", mine).data
    assert health["status"] == "unhealthy"
    assert "default_transaction_read_only" in str(health["issues"])
    refused = server.post("execute", {"migrationName": "20240102_two"}, mine)
    assert (refused.status, refused.json["error"]["code"]) == (409, "read_only")
    read_only(bascule_postgres_url, "off")
    assert server.post("execute", {"migrationName": "20240102_two"}, mine).data["status"] == "completed"


def test_each_request_is_in_the_log_without_its_query(server: Server, project: Project) -> None:
    mine = token(project, "viewer", "--name", "ann lee")
    server.get("status?cursor=7&password=hunter2", mine)
    line = said(server, "GET '/api/v1/migrations/status' 200")
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.* \d+\.\d ms, 'ann lee' from 127\.0\.0\.1$", line), line
    server.get("status", "bascule_nonsense")
    assert said(server, "GET '/api/v1/migrations/status' 401").endswith(" ms, - from 127.0.0.1")
    assert not [line for line in server.said if "hunter2" in line or "bascule_nonsense" in line or mine in line]


def test_a_flood_of_strangers_does_not_fill_the_audit_log(server: Server, project: Project) -> None:
    for _ in range(50):
        assert server.post("execute", {"migrationName": "20240102_two"}).status in (401, 429)
    lines = project.well("audit", "--json").json
    assert 0 < len([each for each in lines if each.get("code") == "no credentials"]) <= 30


def test_the_head_of_the_audit_log_is_in_the_servers_log_after_each_run(server: Server, project: Project) -> None:
    assert server.post("execute", {"migrationName": "20240102_two"}, token(project, "operator")).status == 200
    line = said(server, r"Audit log: \d+:h1:")
    head = line.partition("Audit log: ")[2]
    assert "whole" in project.well("audit", "verify", "--head", head).out


def test_a_token_has_a_name_of_one_line(project: Project) -> None:
    answer = project.run("token", "create", "--role", "viewer", "--name", "ann\nbob", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "usage")


def test_a_level_that_is_named_decides_what_is_logged(project: Project) -> None:
    project.environment["LOG_LEVEL"] = "warning"
    mine = token(project, "viewer")
    with served(project) as server:
        server.get("status", mine)
        time.sleep(0.5)
        assert not [line for line in server.said if "status" in line]
