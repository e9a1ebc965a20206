"""What a project gets from the pytest plugin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT_TESTS = """
import psycopg

def test_one(bascule_postgres_url):
    with psycopg.connect(bascule_postgres_url) as connection:
        connection.execute("CREATE TABLE t (i int)")

def test_two_has_a_fresh_database(bascule_postgres_url):
    with psycopg.connect(bascule_postgres_url) as connection:
        connection.execute("CREATE TABLE t (i int)")

def test_three_leaves_a_session_open(bascule_postgres_url):
    global left_open
    left_open = psycopg.connect(bascule_postgres_url)
    left_open.execute("CREATE TABLE t (i int)")

def test_all_databases_were_dropped(bascule_postgres_server):
    left_open.close()
    with psycopg.connect(bascule_postgres_server.url()) as connection:
        count = connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'").fetchone()
    assert count == (0,)
"""


def test_each_test_gets_a_fresh_database_that_is_dropped_after_it(
    pytester: pytest.Pytester, bascule_postgres_bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASCULE_TEST_PG", os.fspath(bascule_postgres_bin))
    pytester.makepyfile(PROJECT_TESTS)
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


def test_the_server_is_the_one_that_bascule_test_pg_names(
    pytester: pytest.Pytester, bascule_postgres_bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASCULE_TEST_PG", os.fspath(bascule_postgres_bin))
    pytester.makepyfile(
        f"def test_it(bascule_postgres_bin): assert str(bascule_postgres_bin) == {str(bascule_postgres_bin)!r}"
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
