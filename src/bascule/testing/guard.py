"""Cleans up after us when we cannot: a process killed with SIGKILL runs no `finally` and no `atexit`."""

from __future__ import annotations

import shlex
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

# Reads from us until we say that all is well, or until we are gone, which ends the pipe. The server's number is read
# only then, from the file that the server itself writes: it changes with every restart. The number may have passed to
# a stranger meanwhile; where the system can tell, only a process that works in the server's folder is signalled.
_SCRIPT = """
read -r word && exit 0
server=$(head -n 1 {pid_file} 2>/dev/null)
if [ -d /proc/self ] && [ "$(readlink "/proc/$server/cwd")" != {home} ]; then server=; fi
if [ -n "$server" ]; then
    kill -{signal} "$server"
    tries=0
    while kill -0 "$server" && [ "$tries" -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
    kill -KILL "$server"
fi 2>/dev/null
rm -rf {folders}
"""


class Guard:
    """A small shell that ends the server named in a pid file, and removes its folders, if this process dies."""

    def __init__(self, *, pid_file: Path, home: Path, stop_signal: str, folders: list[Path]) -> None:
        """`home` is the folder that the server has as its working folder, `stop_signal` a name such as INT."""
        script = _SCRIPT.format(
            pid_file=shlex.quote(str(pid_file)),
            home=shlex.quote(str(home.resolve())),
            signal=stop_signal,
            folders=" ".join(shlex.quote(str(folder)) for folder in folders),
        )
        # A session of its own: Ctrl-C in the terminal must not end the guard before it has done its work.
        self._shell = Popen(
            ["/bin/sh", "-c", script], stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, cwd="/", start_new_session=True
        )

    def dismiss(self) -> None:
        """Everything has been cleaned by ourselves. A second call does nothing."""
        if self._shell.stdin is not None and not self._shell.stdin.closed:
            self._shell.communicate(b"done\n", timeout=10)
