"""One server process of ours: started as another account, in a session of its own, its words kept in a file."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bascule.errors import BasculeError
from bascule.testing.account import Account, server_environment

# Below the range from which systems hand out numbers for outgoing connections, so that a server that is stopped and
# started again finds its number free.
_PORTS = range(15_000, 32_000)


class ServerFailed(BasculeError):
    """A server did not start, did not stop, or ended by itself. The message holds its last words."""

    default_code = "server_failed"


class ServerProcess:
    """A program that runs until told otherwise."""

    def __init__(self, command: Sequence[str | Path], *, account: Account, folder: Path, log: Path) -> None:
        """Start it. `folder` is its working folder, `log` the file that takes what it prints."""
        self.log = log
        with log.open("ab") as words:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                user=account.uid,
                group=account.gid,
                extra_groups=account.extra_groups,
                # Ctrl-C in a terminal goes to the whole group: the tests are to end before their server does.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """False once it has ended."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return when `ready` says so. Raises `ServerFailed` when the process ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.is_running:
                raise ServerFailed(f"The server ended by itself. Its last words:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"The server was not ready after {seconds:g} s. Its last words:\n{self.last_words()}"
                )
            time.sleep(0.02)

    def end(self, how: signal.Signals, *, seconds: float) -> None:
        """Send the signal and wait for the end. Raises `ServerFailed`, after killing it, when the time is over."""
        if not self.is_running:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired as expired:
            self.kill_tree()
            raise ServerFailed(f"The server ignored {how.name} for {seconds:g} s and was killed.") from expired

    def kill_tree(self) -> None:
        """SIGKILL to the process and its children at once, as a failing machine would. Returns when they are gone."""
        children = _children(self.pid)
        for pid in (self.pid, *children):
            _kill(pid)
        self._process.wait()
        deadline = time.monotonic() + 10
        while _alive(children) and time.monotonic() < deadline:
            time.sleep(0.01)

    def last_words(self, characters: int = 2000) -> str:
        """The end of what it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-characters:]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now. Somebody else may take it first: be ready to try again."""
    for port in random.sample(_PORTS, k=200):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("There is no free TCP port on 127.0.0.1.")


def _children(parent: int) -> list[int]:
    return [entry.pid for entry in _process_table() if entry.parent == parent]


def _alive(pids: list[int]) -> bool:
    return any(entry.pid in pids and not entry.is_zombie for entry in _process_table())


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # gone already, which is what was wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    pid: int
    parent: int
    is_zombie: bool


def _process_table() -> list[_Entry]:
    if Path("/proc/self/stat").exists():
        return [entry for folder in Path("/proc").glob("[0-9]*") if (entry := _read_entry(folder)) is not None]
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listing.splitlines())
    return [_Entry(pid=int(pid), parent=int(parent), is_zombie=state.startswith("Z")) for pid, parent, state in rows]


def _read_entry(folder: Path) -> _Entry | None:
    try:
        stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # ended between the listing and the look
    # The name stands in parentheses and may hold any characters, spaces and parentheses too.
    state, parent = stat.rpartition(")")[2].split()[:2]
    return _Entry(pid=int(folder.name), parent=int(parent), is_zombie=state == "Z")
