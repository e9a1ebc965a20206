"""What goes by no plan is done to production for a reason: it is kept in the audit log, and raises an alert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bascule.services.approvals import persons
from tests.acceptance.commandline import Project

ONE, TWO = "20240101_one", "20240102_two"
WHY = "agreed with Ann on the phone"


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    project = Project(
        tmp_path,
        DATABASE_URL=url,
        MIGRATION_ENVIRONMENT="production",
        BASCULE_SECRET_KEY="a secret of thirty-two bytes, or more",
        BASCULE_AUDIT_DIR=str(tmp_path / "heads"),
    )
    project.write(ONE, "create table one (id integer);", "drop table one;")
    project.well("init", "--environment", "production")
    project.well("up", "--yes-production", "the first")
    return project


def lines(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.well("audit", "--json").out)
    return found


def reasons(project: Project) -> list[str]:
    found = project.well("alerts", "--json", "--all").json
    return [each["message"] for each in found if each["rule"] == "protected_run"]


@pytest.mark.parametrize(
    "asked",
    [
        ("rollback", "--accept-data-loss"),
        ("mark", ONE, "--pending"),
        ("backup", "restore", "BACKUP", "--yes"),
        ("rollback", "--backup", "BACKUP", "--accept-data-loss", "--yes"),
        ("init", "--environment", "staging", "--yes"),
    ],
    ids=lambda asked: " ".join(asked[:2]),
)
def test_a_change_without_a_plan_takes_a_reason(project: Project, asked: tuple[str, ...]) -> None:
    if "BACKUP" in asked:
        project.well("rollback", "--accept-data-loss", "--yes-production", "to have a backup of before")
        taken = project.well("backup", "create", "--json").json["id"]
        project.well("up", "--yes-production", "and again")
        asked = tuple(taken if each == "BACKUP" else each for each in asked)
    before = len(reasons(project))
    applied = project.names()
    for given in ((), ("--yes-production", "  ")):
        refused = project.run(*asked, *given, "--json")
        assert (refused.code, refused.json["error"]["code"]) == (3, "protected"), refused
    assert project.names() == applied
    assert len(reasons(project)) == before
    assert [each["decision"] for each in lines(project)[:2]] == ["denied", "allowed"] or "denied" in [
        each["decision"] for each in lines(project)[:4]
    ]
    project.well(*asked, "--yes-production", WHY)
    assert any(WHY in str(each.get("what", {}).get("yes_production")) for each in lines(project))
    if asked[0] == "init":
        project.environment["MIGRATION_ENVIRONMENT"] = "staging"
    told = reasons(project)
    assert len(told) == before + 1
    assert WHY in told[0]
    assert "whole" in project.well("audit", "verify").out


@pytest.mark.parametrize("without", ["--no-validate", "--no-backup"])
def test_an_approved_plan_does_not_leave_out_what_protects(project: Project, without: str) -> None:
    project.write(TWO, "create table two (id integer);", "drop table two;")
    project.well("plan", "--out", "two.json")
    refused = project.run("up", "--plan", "two.json", without, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (3, "protected")
    assert project.names() == {ONE}
    project.well("up", "--plan", "two.json", without, "--yes-production", WHY)
    assert any(WHY in each for each in reasons(project))
    project.well("rollback", "--accept-data-loss", "--yes-production", "undone")
    project.well("up", "--yes-production", "and redone")


def test_a_dry_run_and_a_restore_elsewhere_ask_for_nothing(project: Project, tmp_path: Path) -> None:
    project.well("rollback", "--dry-run")
    taken = project.well("backup", "create", "--json").json["id"]
    if project.environment["DATABASE_URL"].startswith("sqlite"):
        project.well("backup", "restore", taken, "--to", str(tmp_path / "other.db"))
    assert len(reasons(project)) == 1


def test_the_mark_of_production_is_in_the_log_from_its_first_day(project: Project) -> None:
    marks = [each for each in lines(project) if each["action"] == "init"]
    assert [each["outcome"] for each in marks] == ["done", "asked"]
    assert marks[1]["what"]["environment"] == "production"


@pytest.mark.parametrize("setting", ["MIGRATION_VALIDATION_ENABLED", "MIGRATION_BACKUP_ENABLED"])
def test_a_setting_leaves_nothing_out_by_itself(project: Project, setting: str) -> None:
    project.write(TWO, "drop table one;", None)
    project.well("plan", "--out", "two.json")
    asked = ("up", "--plan", "two.json", "--yes", "--accept-data-loss")
    refused = project.run(*asked, "--json", **{setting: "false"})
    assert (refused.code, refused.json["error"]["code"]) == (3, "protected"), refused
    assert project.names() == {ONE}
    project.well(*asked, "--yes-production", WHY, **{setting: "false"})
    assert any(WHY in each for each in reasons(project))


def test_a_plan_that_is_handed_in_is_in_the_log(project: Project) -> None:
    project.write(TWO, "create table two (id integer);", "drop table two;")
    (project.folder / "bascule.toml").write_text("approvals = 1\n")
    project.well("plan", "--out", "two.json")
    plan = json.loads((project.folder / "two.json").read_text())["id"]
    assert [each["what"]["plan"] for each in lines(project) if each.get("what", {}).get("plan")] == [plan]


def test_whoever_has_several_tokens_is_one_person() -> None:
    assert persons(["ann", "Ann", "ann ", "ann@vm:12", "bob"]) == ["ann", "bob"]
