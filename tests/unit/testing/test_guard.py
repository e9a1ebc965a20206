"""The guard removes what a killed process can no longer remove."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import eventually, runs

# A server's stand-in and its guard, started by a process that then dies or dismisses the guard.
OWNER = """
import os, signal, subprocess, sys
from pathlib import Path
from bascule.testing.guard import Guard
home, how = Path(sys.argv[1]), sys.argv[2]
server = subprocess.Popen(
    ["sleep", "60"], cwd="/" if how == "stranger" else home, stdout=subprocess.DEVNULL, start_new_session=True
)
(home / "pid").write_text(f"{server.pid}\\n")
guard = Guard(pid_file=home / "pid", home=home, stop_signal="TERM", folders=[home])
print(server.pid, flush=True)
if how == "dismiss":
    guard.dismiss()
    guard.dismiss()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "it's a home"
    folder.mkdir()
    return folder


def start_owner(home: Path, how: str) -> int:
    done = subprocess.run([sys.executable, "-c", OWNER, home, how], stdout=subprocess.PIPE, text=True, check=False)
    return int(done.stdout)


def test_server_and_folder_are_gone_after_their_owner_was_killed(home: Path) -> None:
    server = start_owner(home, "kill")
    assert eventually(lambda: not home.exists())
    assert eventually(lambda: not runs(server))


def test_a_dismissed_guard_touches_nothing(home: Path) -> None:
    server = start_owner(home, "dismiss")
    time.sleep(0.3)
    assert home.exists()
    assert runs(server)
    os.kill(server, signal.SIGTERM)


def test_a_stranger_who_has_got_the_servers_number_is_left_alone(home: Path) -> None:
    stranger = start_owner(home, "stranger")
    assert eventually(lambda: not home.exists())
    assert runs(stranger)
    os.kill(stranger, signal.SIGTERM)
