"""A process that begins to write an object, and is killed with kill -9 in the middle of it."""

from __future__ import annotations

import signal
import subprocess
import sys

_WRITER = """
import sys, time
from bascule.backups.stores.opening import open_store
with open_store(sys.argv[1]).create(sys.argv[2]) as sink:
    sink.write(b"half of it")
    print("writing", flush=True)
    time.sleep(600)
"""


def begin_and_kill(address: str, path: str) -> None:
    command = [sys.executable, "-c", _WRITER, address, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"writing\n"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
