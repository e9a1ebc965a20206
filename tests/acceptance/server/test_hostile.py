"""What no client should send is refused, and nothing is lost by it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.commandline import Project
from tests.acceptance.server.served import API, Server, served


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/../identities.py",
        "/dashboard/..%2fidentities.py",
        "/dashboard/%2e%2e/%2e%2e/api.py",
        "/dashboard//etc/passwd",
        "/docs/../../../etc/passwd",
        "/dashboard/views/../../answers.py",
        "/dashboard/\x00",
    ],
)
def test_no_file_outside_of_the_dashboard_is_served(server: Server, path: str) -> None:
    reply = server.ask("GET", path.replace("\x00", "%00"))
    assert reply.status == 404
    assert b"import" not in reply.body


@pytest.mark.parametrize(
    "name", ['x"; drop table users; --', "../../etc/passwd", "a\u0000b", "\ud83d\ude00" * 50, "%s%n", "' or '1'='1"]
)
def test_a_hostile_name_is_an_unknown_migration(server: Server, tokens: Mapping[str, str], name: str) -> None:
    for path in ("execute", "validate", "rollback"):
        reply = server.post(path, {"migrationName": name}, tokens["admin"])
        assert reply.status in (400, 404), (path, reply.body)
        assert reply.json["success"] is False
    assert server.get("status", tokens["viewer"]).data["summary"]["completed"] >= 1


def test_bodies_that_are_none(server: Server, tokens: Mapping[str, str]) -> None:
    kind = {"Content-Type": "application/json"}
    for raw, headers, status in (
        (b"{", kind, 400),
        (b"[]", kind, 400),
        (b'"text"', kind, 400),
        (b"\xff\xfe", kind, 400),
        (b'{"migrationName": 7}', kind, 400),
        (b'{"migrationName": "a", "surprise": 1}', kind, 400),
        (b'{"migrationName": "a", "createBackup": "no"}', kind, 400),
        (b"[" * 100_000, kind, 400),
        (b'{"migrationName": "a"}', {"Content-Type": "text/plain"}, 415),
        (b"x" * 300_000, kind, 413),
        (b"", kind, 400),
    ):
        reply = server.ask("POST", "execute", raw=raw, token=tokens["admin"], headers=headers)
        assert reply.status == status, (raw[:40], reply.body)
        assert reply.json["error"]["code"]


def test_a_method_that_is_not_taken_is_named(server: Server, tokens: Mapping[str, str]) -> None:
    reply = server.ask("PATCH", "status", token=tokens["admin"])
    assert reply.status == 405
    assert reply.headers["allow"] == "GET"


def test_smuggled_headers_get_nothing(server: Server, tokens: Mapping[str, str]) -> None:
    head = f"POST {API}/execute HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {tokens['admin']}\r\n"
    for lines in (
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "Content-Length: -1\r\n\r\n",
        "Bad Header : x\r\n\r\n",
        "Host: evil.example\r\n\r\n",
    ):
        answer = said_to(server, head + lines)
        assert answer.startswith((b"HTTP/1.1 4", b"")), answer
        assert b"200 OK" not in answer


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_request_that_says_its_length_in_two_ways_ends_the_connection(
    server: Server, tokens: Mapping[str, str], method: str
) -> None:
    head = f"Host: localhost\r\nAuthorization: Bearer {tokens['admin']}\r\nContent-Type: application/json\r\n"
    second = f"GET {API}/status HTTP/1.1\r\n{head}\r\n"
    for length in (2, 5, len(second)):
        twice = f"Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"
        answer = said_to(server, f"{method} {API}/status HTTP/1.1\r\n{head}{twice}\r\n0\r\n\r\n{second}")
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"connection: close" in answer.lower()
        assert answer.count(b"HTTP/1.1 ") == 1, "what comes behind it is not read"


def said_to(server: Server, request: str) -> bytes:
    """All that is answered until the server closes the connection, or keeps quiet."""
    parts = []
    with socket.create_connection((server.host, server.port), timeout=3) as connection, suppress(TimeoutError):
        connection.sendall(request.encode())
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST.:8000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("192.0.2.7", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost@evil.example", 400),
        ("evil.example:8000", 400),
        ("", 400),
    ],
)
def test_by_a_name_that_is_not_its_own_nobody_is_answered(
    server: Server, tokens: Mapping[str, str], host: str, status: int
) -> None:
    for path in ("status", "/", "/openapi.json"):
        reply = server.ask("GET", path, token=tokens["viewer"], headers={"Host": host})
        assert reply.status == status, (path, reply.body)
        assert status == 200 or reply.json["error"]["code"] == "unknown_host"
    assert server.get("/healthz", Host=host).status == 200


def test_a_server_is_asked_by_the_names_of_its_settings(project: Project, tokens: Mapping[str, str]) -> None:
    project.environment["MIGRATION_SERVER_HOSTS"] = "bascule.example, Other.example"
    try:
        with served(project) as server:
            for host, status in (("bascule.example:444", 200), ("other.example", 200), ("third.example", 400)):
                assert server.get("status", tokens["viewer"], Host=host).status == status
    finally:
        del project.environment["MIGRATION_SERVER_HOSTS"]


def test_two_credentials_are_none(server: Server, tokens: Mapping[str, str]) -> None:
    request = f"GET {API}/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    request += "".join(f"Authorization: Bearer {each}\r\n" for each in (tokens["viewer"], tokens["admin"]))
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(f"{request}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_every_answer_has_the_headers_that_protect_a_browser(server: Server, tokens: Mapping[str, str]) -> None:
    for reply in (server.get("/"), server.get("status", tokens["viewer"]), server.get("/nothing")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "access-control-allow-origin" not in reply.headers
        assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--host", "0.0.0.0"), 3, "open_port"),
        (("--host", "::"), 3, "open_port"),
        (("--host", "example.org"), 3, "open_port"),
        (("--ssl-certfile", "x.pem"), 2, "usage"),
        (("--proxies", "2"), 2, "usage"),
        (("--ssl-certfile", "x.pem", "--ssl-keyfile", "y.pem"), 2, "usage"),
    ],
)
def test_what_must_not_be_listened_with(project: Project, arguments: tuple[str, ...], code: int, word: str) -> None:
    answer = project.run("serve", "--json", *arguments)
    assert answer.code == code
    assert answer.json["error"]["code"] == word


def test_a_short_secret_is_refused(project: Project) -> None:
    assert project.run("serve", BASCULE_SECRET_KEY="short").code == 2


@pytest.mark.parametrize("secret", [" " * 34, "a" * 40, "abcabc" * 10, "short" + " " * 30])
def test_a_secret_that_everybody_guesses_is_refused(project: Project, secret: str) -> None:
    answer = project.run("serve", "--port", "0", "--json", BASCULE_SECRET_KEY=secret)
    assert (answer.code, answer.json["error"]["code"]) == (2, "weak_secret" if secret.strip() == secret else "config")


def test_webhooks_without_a_secret_are_said_before_anything_listens(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    (tmp_path / "bascule.toml").write_text('[[webhooks]]\nurl = "http://127.0.0.1:1/"\n')
    (tmp_path / "migrations").mkdir()
    answer = project.run("serve", "--port", "0")
    assert answer.code == 2
    assert "no secret to sign them with" in answer.err
    assert "Listening" not in answer.err
    assert "Traceback" not in answer.err


def test_a_port_that_is_taken_is_said(server: Server, project: Project) -> None:
    answer = project.run("serve", "--port", str(server.port), "--json")
    assert (answer.code, answer.json["error"]["code"]) == (3, "port_taken")
