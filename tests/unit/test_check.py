"""The one door to all checks tells plainly what it did, and what it did not do."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "check"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("check_under_test", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    monkeypatch.setitem(__import__("sys").modules, loader.name, module)
    loader.exec_module(module)
    monkeypatch.setattr(module, "IN_CI", False)
    return module


def last_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()[-2:]


def test_the_closing_lines_count_all_tests_and_name_all_parts(
    check: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [
        check.Outcome(part="unit", title="unit tests", passed=3),
        check.Outcome(part="pg18", title="PostgreSQL 18", passed=4),
    ]
    assert check.conclude(outcomes, 2) == 0
    assert last_lines(capsys) == [
        "7 passed, 0 failed",
        "Everything that was run passed. Nothing was left out of: unit tests, PostgreSQL 18.",
    ]


@pytest.mark.parametrize(("in_ci", "exit_code"), [(False, 0), (True, 1)])
def test_a_part_that_was_not_run_is_named_and_fails_only_in_ci(
    check: ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_ci: bool,
    exit_code: int,
) -> None:
    monkeypatch.setattr(check, "IN_CI", in_ci)
    monkeypatch.setattr(check, "installed_postgres_15", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    outcome = check.perform("pg15")
    assert check.conclude([outcome], 1) == exit_code
    assert "PostgreSQL 15 was NOT run: not installed and not root" in last_lines(capsys)[1]


def test_a_part_that_failed_is_named(check: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    broken = check.Outcome(part="unit", title="unit tests", status="FAILED", passed=3, failed=2)
    assert check.conclude([broken], 1) == 1
    counts, verdict = last_lines(capsys)
    assert counts == "3 passed, 2 failed"
    assert verdict.startswith("FAILED: unit tests.")


def test_a_part_without_tests_fails(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "run", lambda *command, **more: 5)
    assert check.perform("sqlite").status == "FAILED"


def test_skipped_tests_count_as_not_run(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def pytest_with_a_skip(*command: object, **more: str) -> int:
        report = next(str(part) for part in command if str(part).startswith("--junitxml=")).removeprefix("--junitxml=")
        Path(report).write_text('<testsuites><testcase><skipped/></testcase><testcase name="b"/></testsuites>')
        return 0

    monkeypatch.setattr(check, "run", pytest_with_a_skip)
    outcome = check.perform("unit")
    assert (outcome.passed, outcome.skipped) == (1, 1)
    assert outcome.missing == ["1 tests of unit tests were NOT run: they were skipped"]


def test_nothing_else_is_tried_after_a_set_up_that_failed(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(outcome: object) -> None:
        raise check.Failed("no network")

    monkeypatch.setitem(check.PARTS, "setup", ("set-up", fail))
    assert check.main(["lint"]) == 1
    assert "the parts after the set-up were NOT run" in last_lines(capsys)[1]


def test_a_virtual_environment_of_somebody_else_is_left_alone(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "precious").touch()
    monkeypatch.setattr(check, "VENV", tmp_path)
    monkeypatch.setattr(check, "STAMP", tmp_path / "stamp")
    assert "left alone" in check.perform("setup").note
    assert (tmp_path / "precious").exists()


def test_what_the_caller_has_set_does_not_reach_the_tests(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "DATABASE_URL", "BASCULE_STATE_URL", "BASCULE_TEST_PG", "MIGRATION_DIR", "LOG_LEVEL"):
        monkeypatch.setenv(name, "the caller's")
    assert "the caller's" not in check.environment().values()


def test_an_unknown_part_is_refused_with_the_list_of_parts(
    check: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(["pg16"]) == 2
    assert "pg15" in capsys.readouterr().err
