"""A real server process over a project, and somebody who talks to it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from tests.acceptance.commandline import BASCULE, Project

API = "/api/v1/migrations"
PATIENCE = 60.0
"""Seconds for an answer on a machine that is busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        assert self.json["success"], self.json
        return self.json["data"]


@dataclass(slots=True, kw_only=True)
class Server:
    """One process of `bascule serve`."""

    project: Project
    process: subprocess.Popen[str]
    host: str
    port: int
    said: list[str] = field(default_factory=list)
    """The lines on its stderr so far, from the second on."""

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        """One request. A path that does not begin with a slash is one of the migrations'."""
        sent: dict[str, str] = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            where = path if path.startswith("/") else f"{API}/{path}"
            connection.request(method, where, data, {**sent, **(headers or {})})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(status=answer.status, headers=told, body=answer.read())
        finally:
            connection.close()

    def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        return self.ask("GET", path, token=token, headers={key.replace("_", "-"): it for key, it in headers.items()})

    def post(self, path: str, body: Any, token: str | None = None, **headers: str) -> Reply:
        given = {key.replace("_", "-"): it for key, it in headers.items()}
        return self.ask("POST", path, body, token=token, headers=given)

    @contextmanager
    def events(self, run: str, token: str, after: int = 0) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """The live stream of a run: names and data."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": str(after)} if after else {})
        connection.request("GET", f"{API}/runs/{run}/events", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        try:
            yield _events(answer)
        finally:
            connection.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    while line := answer.readline():
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)


@contextmanager
def served(project: Project, *arguments: str, port: int = 0) -> Iterator[Server]:
    """Begin it, on a free port by itself, and end it."""
    process = subprocess.Popen(
        [*BASCULE, "serve", "--port", str(port), *arguments],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"https?://([^:/]+):(\d+)/", line)
        assert found, line + process.stderr.read()
        server = Server(project=project, process=process, host=found[1], port=int(found[2]))
        # Whoever does not read what it says makes it wait once the pipe is full.
        threading.Thread(target=_listen, args=(process.stderr, server.said), daemon=True).start()
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        # Not until its stderr ends: a worker that goes on without its server has that too.
        process.wait(PATIENCE)


def _listen(stderr: IO[str], said: list[str]) -> None:
    with stderr:
        said.extend(line.rstrip("\n") for line in stderr)


def token(project: Project, role: str, *more: str) -> str:
    """A new token of that role."""
    made: str = project.well("token", "create", "--role", role, "--name", role, "--json", *more).json["token"]
    return made
