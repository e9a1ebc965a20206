"""Whether the process that a fact names is still there, as far as that can be seen from this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path


def lives_here(owner: str, own: str) -> bool:
    """Whether ``user@host:pid`` is a process of ours on this machine that is alive."""
    pid = _pid_here(owner, own)
    return pid is not None and _is_ours(pid)


def died_here(owner: str, own: str) -> bool:
    """Whether it was one, and is gone. False says little of a process on another machine."""
    pid = _pid_here(owner, own)
    return pid is not None and not _is_ours(pid)


def _pid_here(owner: str, own: str) -> int | None:
    """`own` names this machine by this process's own name: what stands before the colon, without the account."""
    found = re.fullmatch(r".*@(.*):(\d+)", owner)
    machine = own.rpartition(":")[0].rpartition("@")[2]
    return int(found[2]) if found is not None and found[1] == machine else None


def _is_ours(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        # Somebody else's account; what it runs may be read all the same.
        pass
    except (OSError, OverflowError):
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline")
        return b"bascule" in command.read_bytes() if command.exists() else True
    except OSError:
        return False
