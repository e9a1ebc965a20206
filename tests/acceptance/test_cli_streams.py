"""Terminals, pipes and shells."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.commandline import BASCULE, Project, rows

ONE = "20240101000000_one"
TWO = "20240102000000_two"
SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) insert into one select i from n;"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write(ONE, "create table one (id integer);", "drop table one;")
    return project


def on_a_terminal(project: Project, *arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
    """Run with stdin and stderr on a terminal; what is shown there, stdout included."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*BASCULE, *arguments],
        cwd=project.folder,
        env=project.environment | {"TERM": "xterm-256color"} | environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    if typed:
        while b"[y/N]" not in shown:
            shown += os.read(master, 4096)
        os.write(master, typed.encode())
    while True:
        try:
            more = os.read(master, 4096)
        except OSError:  # how a terminal says that its other side is closed
            break
        if not more:
            break
        shown += more
    os.close(master)
    return process.wait(30), shown.decode()


def test_a_question_is_asked_on_a_terminal_and_no_ends_it_before_anything_changes(
    project: Project, tmp_path: Path
) -> None:
    project.write(TWO, "delete from one;", None)
    code, shown = on_a_terminal(project, "up", typed="n\n")
    assert code == 3
    assert "Not started: the loss was not accepted." in shown
    assert not (tmp_path / "app.db").exists() or project.names() == set()
    code, shown = on_a_terminal(project, "up", typed="y\n")
    assert code == 0
    assert project.names() == {ONE, TWO}


def test_ctrl_c_at_the_question_ends_it(project: Project) -> None:
    project.write(TWO, "delete from one;", None)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*BASCULE, "up"],
        cwd=project.folder,
        env=project.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling terminal
    )
    os.close(slave)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(master, 4096)
    os.write(master, b"\x03")
    assert process.wait(20) == 130
    os.close(master)
    assert project.names() == set()


def test_no_question_is_asked_without_a_terminal_or_with_yes(project: Project) -> None:
    project.write(TWO, "delete from one;", None)
    code, shown = on_a_terminal(project, "up", "--yes")
    assert code == 0
    assert "[y/N]" not in shown


def test_a_long_statement_is_drawn_on_a_terminal_and_leaves_nothing_behind(project: Project) -> None:
    project.well("up")
    project.write(TWO, SLOW.format(3_000_000), "delete from one;")
    code, shown = on_a_terminal(project, "up", "--yes")
    assert code == 0
    assert "with recursive n(i)" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is shown again"


def test_nothing_is_drawn_where_it_was_not_asked_for(project: Project) -> None:
    code, shown = on_a_terminal(project, "up", "--no-progress", NO_COLOR="1")
    assert code == 0
    assert "\x1b[" not in shown
    code, shown = on_a_terminal(project, "status", "--no-such", NO_COLOR="1")
    assert code == 2
    assert "\x1b[" not in shown


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    for number in range(2000):
        project.write(f"20250101{number:06}_m", "select 1;", "select 1;")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*BASCULE, "plan"],
        cwd=project.folder,
        env=project.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_run_whose_reader_went_away_runs_to_its_end(project: Project, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*BASCULE, "up", "--json"],
        cwd=project.folder,
        env=project.environment,
        stdout=writer,
        stderr=writer,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert done.returncode == 0
    assert rows(tmp_path / "app.db", "select count(*) from one") == [(0,)]


def test_a_result_that_cannot_be_written_is_an_error_and_not_a_traceback(project: Project) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*BASCULE, "plan"],
            cwd=project.folder,
            env=project.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert "could not be written: No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_streams_that_are_closed_from_the_start_do_not_matter(project: Project, tmp_path: Path) -> None:
    command = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *BASCULE, "up"]
    done = subprocess.run(command, cwd=project.folder, env=project.environment, check=False, timeout=60)
    assert done.returncode == 0
    assert rows(tmp_path / "app.db", "select count(*) from one") == [(0,)]


def test_the_shell_completes_verbs_options_and_names(project: Project) -> None:
    def complete(*words: str) -> list[str]:
        answer = project.well(
            _BASCULE_COMPLETE="bash_complete", COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1)
        )
        return [line.partition(",")[2] for line in answer.out.splitlines() if line]

    project.write("20240102000000_AddUsers", "select 1;")
    assert complete("bascule", "st") == ["status"]
    assert "--dry-run" in complete("bascule", "up", "--d")
    assert complete("bascule", "show", "add") == ["20240102000000_AddUsers"]
    assert complete("bascule", "rollback", "2024") == [ONE, "20240102000000_AddUsers"]
    assert complete("bascule", "up", "--to", "2024") == [ONE, "20240102000000_AddUsers"]
    assert complete("bascule", "--migrations-dir", "nowhere", "show", "x") == []


def test_what_completion_prints_is_understood_by_bash(project: Project) -> None:
    script = project.well("completion", "bash").out
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_statement_that_takes_long_is_heard_of_in_a_log(project: Project) -> None:
    project.well("up")
    project.write(TWO, SLOW.format(1_000_000), "delete from one;")
    begun = time.monotonic()
    answer = project.well("up")
    assert answer.err.splitlines()[0] == f"applying {TWO}"
    assert answer.err.splitlines()[-2].startswith(f"applied {TWO} in ")
    assert time.monotonic() - begun < 20
