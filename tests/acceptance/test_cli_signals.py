"""Ctrl-C and SIGTERM end a run cleanly: exit 130, and the next run goes on from a known state."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.commandline import Answer, Project, end, rows

ONE = "20240101000000_one"
TWO = "20240102000000_two"
ENDLESS = (
    "with recursive n(i) as (select 1 union all select i + 1 from n) insert into one select i from n limit 1000000000;"
)


def begun(project: Project) -> subprocess.Popen[str]:
    """An `up` that is in the middle of the second migration."""
    process = project.start("up", "--json")
    assert process.stderr is not None
    seen = ""
    while f"applying {TWO}" not in seen:
        line = process.stderr.readline()
        if not line:
            process.communicate()
            pytest.fail(f"it ended too early: {seen}")
        seen += line
    time.sleep(0.4)
    return process


def check_stopped(answer: Answer, number: signal.Signals) -> None:
    assert answer.code == 130, answer
    document = json.loads(answer.out)
    assert document["error"]["code"] == "interrupted"
    assert number.name in document["message"] + answer.err
    assert [(run["name"], run["status"]) for run in document["data"]] == [(ONE, "completed"), (TWO, "failed")]
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_undoes_what_is_under_way_on_sqlite(tmp_path: Path, number: signal.Signals) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write(ONE, "create table one (id integer);", "drop table one;")
    project.write(TWO, ENDLESS, "delete from one;")
    check_stopped(end(begun(project), number), number)
    assert rows(tmp_path / "app.db", "select count(*) from one") == [(0,)]
    project.write(TWO, "insert into one values (1);", "delete from one;")
    project.well("up")
    assert project.names() == {ONE, TWO}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_undoes_what_is_under_way_on_postgresql(
    tmp_path: Path, bascule_postgres_url: str, number: signal.Signals
) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(ONE, "create table one (id integer);", "drop table one;")
    project.write(TWO, "insert into one values (1); select pg_sleep(60);", "delete from one;")
    before = time.monotonic()
    check_stopped(end(begun(project), number), number)
    assert time.monotonic() - before < 15
    project.write(TWO, "insert into one values (1);", "delete from one;")
    project.well("up")
    assert project.names() == {ONE, TWO}


def test_a_process_that_waits_for_the_schema_stops_when_told(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write(ONE, "create table one (id integer);")
    process = project.start("wait")
    assert process.stderr is not None
    assert "Waiting until every migration is applied" in process.stderr.readline()
    answer = end(process, signal.SIGTERM)
    assert answer.code == 130
    assert "SIGTERM" in answer.err
