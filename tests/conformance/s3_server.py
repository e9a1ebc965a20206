"""An S3 server on loopback for tests, with objects in memory."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_REGION": "us-east-1"}

_numbers = itertools.count(1)


_SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address. The environment of this process gets credentials for it."""
    command = [sys.executable, "-c", _SERVER]
    # A process of its own: its memory is not ours, and it leaves files open. It ends when its stdin does.
    with (
        subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.kill()


def new_bucket(endpoint: str) -> str:
    """Its name."""
    name = f"backups-{next(_numbers)}"
    with urlopen(Request(f"{endpoint}/{name}", method="PUT"), timeout=30) as answer:
        assert answer.status == 200
    return name
