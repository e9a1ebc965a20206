"""A rollback that was killed is run again: what it had begun counts as part of what is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commandline import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three migrations, all applied; the way back from the last one is not one transaction."""
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write("1_one", "CREATE TABLE notes (what TEXT);", "DROP TABLE notes;")
    project.write("2_two", "INSERT INTO notes VALUES ('two');", "DELETE FROM notes WHERE what = 'two';")
    project.write("3_three", "INSERT INTO notes VALUES ('three');", "DELETE FROM notes WHERE what = 'three';\nVACUUM;")
    project.well("up")
    return project


def killed_half_way(project: Project, *arguments: str) -> None:
    """Run it until the first of the two steps is done."""
    beforehand = {file: file.read_bytes() for file in project.folder.glob("app.db*")}
    _run(project, "--list", "boundaries", "--", *arguments)
    for file, content in beforehand.items():
        file.write_bytes(content)
    lines = (project.folder / "boundaries").read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "after perform 3_three down step 0" in line)
    _run(project, "--at", str(number), "--", *arguments)
    assert project.well("status", "--json").json["halfDone"] == ["3_three"]


def _run(project: Project, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "bascule.testing.crash", *arguments],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        timeout=60,
        check=False,
    )


def applied(project: Project) -> list[str]:
    return [each["name"] for each in project.well("status", "--json").json["completed"]]


def test_rolling_back_the_last_one_again_takes_no_further_one(project: Project) -> None:
    killed_half_way(project, "rollback")
    answer = project.well("rollback", "--json")
    assert [run["name"] for run in answer.json["data"]] == ["3_three"]
    assert applied(project) == ["2_two", "1_one"]


def test_of_several_steps_the_one_begun_is_the_first(project: Project) -> None:
    killed_half_way(project, "rollback", "--steps", "2")
    project.well("rollback", "--steps", "2")
    assert applied(project) == ["1_one"]


def test_rolling_back_to_a_migration_again_ends_there(project: Project) -> None:
    killed_half_way(project, "rollback", "--to", "1_one")
    project.well("rollback", "--to", "1_one")
    assert applied(project) == ["1_one"]


def test_a_dry_run_names_what_would_be_finished(project: Project) -> None:
    killed_half_way(project, "rollback")
    assert "3_three" in project.well("rollback", "--dry-run", "--json").json["message"]
    assert applied(project) == ["3_three", "2_two", "1_one"]
