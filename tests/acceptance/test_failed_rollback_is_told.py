"""A rollback that failed left the migration applied; whoever asked for it is told, until something goes well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.commandline import Project

ONE, TWO = "20240101_one", "20240102_two"


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    project = Project(tmp_path, DATABASE_URL=url)
    project.write(ONE, "create table one (id integer);", "drop table nowhere;")
    project.well("up")
    return project


def test_it_stands_among_what_failed(project: Project) -> None:
    assert project.run("rollback", "--accept-data-loss").code == 1
    told = project.well("status", "--json").json
    (failed,) = told["failed"]
    assert (failed["name"], failed["status"], failed["direction"]) == (ONE, "failed", "down")
    assert "nowhere" in str(failed["error"])
    assert (failed["line"], failed["state"]) == (4, "unchanged")
    assert failed["hint"]
    assert (told["summary"]["failed"], told["summary"]["completed"], told["pending"]) == (1, 1, [])
    said = project.well("status").out
    assert "their rollback failed" in said
    assert "nowhere" in said


def test_what_goes_well_afterwards_ends_it(project: Project) -> None:
    assert project.run("rollback", "--accept-data-loss").code == 1
    project.write(TWO, "create table two (id integer);", "drop table two;")
    assert len(project.well("status", "--json").json["failed"]) == 1
    project.well("up")
    assert project.well("status", "--json").json["failed"] == []
    project.write(ONE, "create table one (id integer);", "drop table one;")
    project.well("rollback", "--steps", "2", "--accept-data-loss")
    assert project.well("status", "--json").json["failed"] == []
