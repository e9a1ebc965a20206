"""Production takes an admin, a validation, a backup, and where that is configured a second person."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bascule.domain.plan_file import plan_of
from bascule.planning.plan_text import plan_text
from tests.acceptance.commandline import Project
from tests.acceptance.server.served import Server, served, token

ONE, TWO = "20240101_one", "20240102_two"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(
        tmp_path,
        DATABASE_URL="sqlite:///app.db",
        MIGRATION_ENVIRONMENT="production",
        BASCULE_SECRET_KEY="a secret of thirty-two bytes, or more",
        BASCULE_AUDIT_DIR=str(tmp_path / "heads"),
    )
    (tmp_path / "bascule.toml").write_text("approvals = 1\n")
    project.write(ONE, "create table one (id integer);", "drop table one;")
    project.well("up", "--yes-production", "the first")
    project.write(TWO, "create table two (id integer);", "drop table two;")
    return project


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    with served(project) as found:
        yield found


def test_what_is_denied_names_its_migration(server: Server, project: Project) -> None:
    admin = token(project, "admin")
    assert server.post("execute", {"migrationName": TWO}, admin).json["error"]["code"] == "plan_unapproved"
    assert server.post("rollback", {"migrationName": ONE}, admin).json["error"]["code"] == "protected"
    found = [each for each in server.get("audit", admin).data if each.get("decision") == "denied"]
    assert [each["what"]["name"] for each in found[:2]] == [ONE, TWO]


def test_a_plan_runs_when_somebody_else_has_approved_it(server: Server, project: Project) -> None:
    ann = project.well("token", "create", "--role", "admin", "--name", "ann", "--json").json["token"]
    bob = project.well("token", "create", "--role", "admin", "--name", "bob", "--json").json["token"]
    body = {"migrationName": TWO}
    assert server.post("execute", body, token(project, "operator")).status == 403
    assert server.post("execute", body | {"createBackup": False}, ann).json["error"]["code"] == "protected"
    assert server.post("execute", body, ann).json["error"]["code"] == "plan_unapproved"

    plan = server.post("plan", {}, ann).data["id"]
    asked = body | {"planId": plan}
    assert server.post("execute", asked, ann).json["error"]["code"] == "plan_unapproved"
    assert server.post(f"plans/{plan}/approve", {}, ann).json["error"]["code"] == "own_plan"
    approved = server.post(f"plans/{plan}/approve", {}, bob).data
    assert (approved["approved"], [each["by"] for each in approved["approvals"]]) == (True, ["bob"])
    assert server.get(f"plans/{plan}", bob).data["author"] == "ann"
    done = server.post("execute", asked, ann)
    assert done.data["status"] == "completed", done.body
    assert server.post("execute", asked, ann).status == 409, "what it was made for is over"


def test_a_migration_that_is_not_in_the_plan_is_refused_before_anything_runs(server: Server, project: Project) -> None:
    ann = project.well("token", "create", "--role", "admin", "--name", "ann", "--json").json["token"]
    bob = project.well("token", "create", "--role", "admin", "--name", "bob", "--json").json["token"]
    plan = server.post("plan", {}, ann).data["id"]
    server.post(f"plans/{plan}/approve", {}, bob)
    refused = server.post("execute", {"migrationName": ONE, "planId": plan}, ann)
    assert (refused.status, refused.json["error"]["code"]) == (409, "not_in_plan"), refused.body
    assert project.names() == {ONE}


def test_another_plan_under_an_approved_id_is_not_approved(server: Server, project: Project) -> None:
    bob = project.well("token", "create", "--role", "admin", "--name", "bob", "--json").json["token"]
    project.well("plan", "--out", "plan.json")
    refused = project.run("up", "--plan", "plan.json", "--json")
    its_id = refused.json["error"]["hint"].partition("plans/")[2].partition("/")[0]
    assert server.post(f"plans/{its_id}/approve", {}, bob).status == 200
    project.write("20240103_evil", "drop table one;", "create table one (id integer);")
    project.well("plan", "--out", "other.json")
    # Whoever makes plans has the key that signs them.
    document = json.loads((project.folder / "other.json").read_text())
    other = dataclasses.replace(plan_of(document), id=its_id)
    key = project.environment["BASCULE_SECRET_KEY"].encode()
    (project.folder / "other.json").write_text(plan_text(other, key))
    forged = project.run("up", "--plan", "other.json", "--json")
    assert (forged.code, forged.json["error"]["code"]) == (3, "plan_unapproved"), forged
    assert project.names() == {ONE}


def test_the_command_line_takes_the_approved_file_or_a_reason(server: Server, project: Project) -> None:
    bob = project.well("token", "create", "--role", "admin", "--name", "bob", "--json").json["token"]
    project.well("plan", "--out", "plan.json")
    refused = project.run("up", "--plan", "plan.json", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (3, "plan_unapproved")
    assert project.run("up", "--json").json["error"]["code"] == "protected"
    plan = refused.json["error"]["hint"].partition("plans/")[2].partition("/")[0]
    assert server.post(f"plans/{plan}/approve", {}, bob).status == 200
    project.well("up", "--plan", "plan.json")
    assert project.names() == {ONE, TWO}


def test_a_reason_passes_it_by_and_is_an_alert(project: Project) -> None:
    project.well("up", "--yes-production", "the database burns")
    alerts = project.well("alerts", "--json").json
    assert any("the database burns" in each["message"] for each in alerts)
