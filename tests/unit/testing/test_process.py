"""A server process: how it is waited for, ended and killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bascule.testing import ServerFailed
from bascule.testing.account import Account
from bascule.testing.process import ServerProcess, free_port
from tests.processes import runs

US = Account()


def start(folder: Path, script: str) -> ServerProcess:
    return ServerProcess(["/bin/sh", "-c", script], account=US, folder=folder, log=folder / "log")


def test_a_process_that_ends_while_waited_for_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    process = start(tmp_path, "echo out of memory >&2; exit 3")
    with pytest.raises(ServerFailed, match="out of memory"):
        process.wait_until(lambda: False, seconds=30)


def test_a_process_that_is_not_ready_in_time_is_an_error(tmp_path: Path) -> None:
    process = start(tmp_path, "exec sleep 60")
    with pytest.raises(ServerFailed, match=r"not ready after 0\.1 s"):
        process.wait_until(lambda: False, seconds=0.1)
    process.kill_tree()


def test_a_process_that_ignores_its_signal_is_killed_and_reported(tmp_path: Path) -> None:
    process = start(tmp_path, "trap '' TERM; touch ready; sleep 60")
    process.wait_until((tmp_path / "ready").exists, seconds=30)
    with pytest.raises(ServerFailed, match=r"ignored SIGTERM for 0\.1 s"):
        process.end(signal.SIGTERM, seconds=0.1)
    assert not process.is_running


def test_killing_the_tree_leaves_no_child_behind(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep 60 & echo $! >child.new; mv child.new child; wait")
    process.wait_until((tmp_path / "child").exists, seconds=30)
    child = int((tmp_path / "child").read_text())
    process.kill_tree()
    assert not process.is_running
    assert not runs(child)


def test_ending_an_ended_process_does_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "exec sleep 60")
    process.end(signal.SIGTERM, seconds=30)
    process.end(signal.SIGTERM, seconds=30)
    assert not process.is_running


def test_servers_see_nothing_of_our_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "not for you")
    process = start(tmp_path, "env; touch ready; exec sleep 60")
    process.wait_until((tmp_path / "ready").exists, seconds=30)
    process.kill_tree()
    assert "not for you" not in process.last_words()


def test_a_free_port_is_outside_the_range_of_outgoing_connections() -> None:
    assert all(15_000 <= free_port() < 32_000 for _ in range(20))
