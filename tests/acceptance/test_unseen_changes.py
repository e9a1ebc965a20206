"""What lies outside of the schema cannot be compared, and is never called exact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.commandline import Project

FIRST = "20240101000000_first"


@pytest.fixture
def role(bascule_postgres_url: str) -> Iterator[str]:
    name = f"seen_by_nobody_{os.getpid()}"
    yield name
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}")


def test_a_role_that_stays_behind_is_not_an_exact_way_back(
    bascule_postgres_url: str, tmp_path: Path, role: str
) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(FIRST, f"create role {role};", "select 1;")
    project.well("up")
    run = project.well("rollback", "--json").json["data"][0]
    assert run["verdict"] == "unverified"
    assert any("outside of the schema" in words for words in run["differences"])


def test_an_empty_way_back_of_a_role_is_no_way_back(bascule_postgres_url: str, tmp_path: Path, role: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(FIRST, f"create role {role};", "-- nothing")
    project.well("up")
    answer = project.run("rollback", "--json")
    assert answer.code == 3
    assert answer.json["error"]["code"] == "no_way_back"
