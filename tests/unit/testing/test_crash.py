"""The crash kit ends or holds up a run where it was told to, and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bascule.testing.crash import Boundaries, Boundary
from tests.processes import eventually

KIT = (sys.executable, "-m", "bascule.testing.crash")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "1_a.sql").write_text("-- migrate:up\nCREATE TABLE a (n);\n", encoding="utf-8")
    return tmp_path


def environment(project: Path) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": f"sqlite:///{project}/app.db", "HOME": str(project)}


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KIT, *arguments],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def listed(project: Path) -> list[str]:
    done = run(project, "--list", "list", "--", "up")
    assert done.returncode == 0, done.stderr
    lines = (project / "list").read_text(encoding="utf-8").splitlines()
    for file in project.glob("app.db*"):
        file.unlink()
    return lines


def test_boundaries_are_counted_from_one_and_act_once() -> None:
    met: list[Boundary] = []
    boundaries = Boundaries(at=2, act=met.append)
    for call in ("one", "two", "three"):
        boundaries.reach("before", call)
    assert [str(boundary) for boundary in met] == ["2 before two"]


def test_a_boundary_named_by_its_words_is_where_they_are_first_reached() -> None:
    met: list[Boundary] = []
    boundaries = Boundaries(at="before two", act=met.append)
    for call in ("one", "one", "two", "two"):
        boundaries.reach("before", call)
    assert [str(boundary) for boundary in met] == ["3 before two"]


def test_a_run_lists_its_boundaries_around_everything_it_does(project: Path) -> None:
    lines = listed(project)
    assert [line.split()[0] for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
    told = [line.partition(" ")[2] for line in lines]
    for call in ("prepare", "acquire", "append batch_started", "release"):
        assert told.index(f"before {call}") < told.index(f"after {call}")
    work = "perform 1_a up with the ledger"
    assert told.index(f"before {work}") < told.index(f"sent {work}") < told.index(f"after {work}")


def test_a_run_is_killed_at_the_boundary_named(project: Path) -> None:
    number = next(n for n, line in enumerate(listed(project), 1) if "before perform" in line)
    done = run(project, "--at", str(number), "--list", "killed", "--", "up")
    assert done.returncode == -signal.SIGKILL
    assert len((project / "killed").read_text(encoding="utf-8").splitlines()) == number
    assert run(project, "--", "up").returncode == 0


def test_a_run_stays_at_the_boundary_until_the_file_is_removed(project: Path) -> None:
    process = subprocess.Popen(
        [*KIT, "--at", "1", "--pause", "here", "--", "up"], cwd=project, env=environment(project)
    )
    try:
        assert eventually((project / "here").exists)
        assert (project / "here").read_text(encoding="utf-8") == "1 before prepare"
        assert process.poll() is None
        (project / "here").unlink()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_statements_sent_to_sqlite_can_be_boundaries_too(project: Path) -> None:
    assert run(project, "--driver", "--list", "list", "--", "up").returncode == 0
    lines = (project / "list").read_text(encoding="utf-8").splitlines()
    assert any("inside sqlite: CREATE TABLE a" in line for line in lines)
    assert any("inside sqlite: COMMIT" in line for line in lines)


def test_a_command_line_that_names_no_command_is_refused(project: Path) -> None:
    assert run(project, "--at", "3").returncode == 2
