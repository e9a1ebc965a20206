"""A receiver that never comes to its end holds nobody: neither a command, nor a server's answer, nor its rounds."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.acceptance.commandline import Project
from tests.acceptance.receiver import receiving
from tests.acceptance.server.served import served, token

SECRET = "0123456789" * 3
MIGRATION = "20240101000000_one"


@contextmanager
def dripping(every: float = 0.5) -> Iterator[tuple[str, list[float]]]:
    """Its address, and when it was asked. It answers a byte at a time, and never to an end."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[float] = []
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(100_000)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(every):
                connection.sendall(b"X")

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                asked.append(time.monotonic())
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook", asked
    finally:
        over.set()
        listener.close()


def told_of(project: Project, *urls: str) -> None:
    tables = "".join(f'[[webhooks]]\nurl = {json.dumps(url)}\nevents = ["migration.*"]\n' for url in urls)
    (project.folder / "bascule.toml").write_text(tables, encoding="utf-8")


def a_project(folder: Path) -> Project:
    project = Project(folder, DATABASE_URL="sqlite:///app.db", BASCULE_WEBHOOK_SECRET=SECRET)
    project.write(MIGRATION, "create table one (id integer);", "drop table one;")
    return project


def test_a_command_waits_for_two_seconds_in_all_and_the_messages_are_owed(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    with dripping() as (slow, asked), dripping() as (other, _), receiving() as receiver:
        told_of(project, slow, other)
        quick = time.monotonic()
        project.well("status")
        quick = time.monotonic() - quick
        begun = time.monotonic()
        project.well("up")
        assert time.monotonic() - begun < 5.0 + quick
        assert asked
        assert "did not take it within" in project.well("alerts").err
        told_of(project, receiver.url)
        project.well("rollback")
        assert "migration.rollback_completed" in receiver.events()


def test_a_server_answers_and_goes_on_while_a_receiver_drips(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    project.environment["BASCULE_AUDIT_DIR"] = str(tmp_path / "heads")
    project.well("init")
    mine = token(project, "admin")
    with dripping() as (slow, asked), receiving() as receiver:
        told_of(project, slow, receiver.url)
        with served(project) as server:
            begun = time.monotonic()
            assert server.post("execute", {"migrationName": MIGRATION}, mine).data["status"] == "completed"
            taken = time.monotonic() - begun
            until = time.monotonic() + 40.0
            while "migration.completed" not in receiver.events() and time.monotonic() < until:
                time.sleep(0.1)
            assert "migration.completed" in receiver.events()
            assert asked
            assert taken < 15.0
            again = time.monotonic()
            assert server.post("rollback", {"migrationName": MIGRATION}, mine).data["status"] == "rolled_back"
            assert time.monotonic() - again < 15.0
