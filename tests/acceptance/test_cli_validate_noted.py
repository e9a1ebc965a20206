"""What a plain `bascule validate` finds is seen by metrics and alerts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.commandline import Project

SCHEMA = "create table p (id integer primary key); create table c (p_id integer);"
RULE = """[[validation.rules]]
id = "no_strangers"
name = "No strangers"
category = "business_logic"
severity = "error"
sql = "select p_id from c where p_id not in (select id from p)"
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    project = Project(tmp_path, DATABASE_URL=url, BASCULE_AUDIT_DIR=str(tmp_path / "heads"))
    project.write("20240101000000_one", SCHEMA, "drop table c; drop table p;")
    project.well("up")
    (tmp_path / "bascule.toml").write_text(RULE, encoding="utf-8")
    return project


def test_errors_count_and_are_an_alert_until_a_look_finds_none(project: Project) -> None:
    project.well("validate")
    assert project.well("metrics", "--json").json["metrics"]["validationFailures"] == 0
    project.write("20240102000000_two", "insert into c values (5);", "delete from c;")
    project.well("up", "--no-validate")
    assert project.run("validate").code == 3
    told = project.well("metrics", "--json").json["metrics"]
    assert (told["validationFailures"], told["validationFailuresByRule"]) == (1, {"no_strangers": 1})
    (alert,) = [each for each in project.well("alerts", "--json").json if each["rule"] == "validation_failed"]
    assert "no_strangers" in alert["title"]
    project.write("20240103000000_three", "delete from c;", "select 1;")
    project.well("up", "--no-validate")
    project.well("validate", "--rule", "no_strangers")
    assert project.well("alerts", "check").code == 0
    assert alert["id"] in [each["id"] for each in project.well("alerts", "--json").json], "a part is not the whole"
    project.well("validate")
    assert alert["id"] not in [each["id"] for each in project.well("alerts", "--json").json]
