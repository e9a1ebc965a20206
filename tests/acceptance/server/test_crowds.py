"""Whoever guesses at credentials is slowed down, and nobody else is; who asks is known behind proxies too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.commandline import Project
from tests.acceptance.server.served import Server, served, token

MOST = 5
BAD = "bascule_" + "A" * 43


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder: Path = tmp_path_factory.mktemp("crowds")
    project = Project(folder, DATABASE_URL="sqlite:///app.db", BASCULE_AUDIT_DIR=str(folder / "heads"))
    (folder / "bascule.toml").write_text(f"[server]\nfailures = {MOST}\nchanges = 10\nreads = 300\n")
    project.write("20240101_one", "create table one (id integer);", "drop table one;")
    project.well("up")
    return project


@pytest.fixture(scope="module")
def admin(project: Project) -> str:
    return token(project, "admin")


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    with served(project) as found:
        yield found


def test_who_guesses_is_slowed_down_and_a_good_token_from_there_is_not(
    server: Server, project: Project, admin: str
) -> None:
    told = [server.get("status", BAD).status for _ in range(MOST + 20)]
    assert told == [401] * MOST + [429] * 20
    refused = server.post("/api/v1/session", {"token": BAD})
    assert (refused.status, refused.json["error"]["code"]) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) <= 60
    # Far more of them than there may be changes in a minute.
    assert {server.post("plan", {}, BAD).status for _ in range(30)} == {429}
    assert server.get("status", admin).status == 200
    assert server.post("plan", {}, admin).status == 200
    logged = server.post("/api/v1/session", {"token": admin})
    assert logged.status == 200
    cookie = logged.headers["set-cookie"].partition(";")[0]
    assert server.ask("GET", "status", headers={"Cookie": cookie}).status == 200
    for path in ("/", "/healthz", "/readyz", "/docs"):
        assert server.get(path).status == 200
    assert server.get("status").status == 401, "who brings nothing is told so"
    lines = server.get("audit?limit=100", admin).data
    assert sum(line.get("code") == "unknown" for line in lines) == MOST, "a flood does not fill the log"


@contextmanager
def behind(project: Project, *arguments: str) -> Iterator[Server]:
    with served(project, "--behind-proxy", *arguments) as found:
        yield found


def place(server: Server, admin: str, headers: Mapping[str, str]) -> str:
    """From where the audit log says that this was asked."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    assert server.ask("GET", "status", token=BAD, headers=sent).status == 401
    line = next(line for line in server.get("audit?limit=5", admin).data if line["action"] == "authenticate")
    return str(line["from"])


def test_behind_a_proxy_the_address_is_the_one_that_it_saw(project: Project, admin: str) -> None:
    with behind(project) as server:
        for given, seen in (
            ("198.51.100.7", "198.51.100.7"),
            ("6.6.6.6, 198.51.100.8", "198.51.100.8"),
            ("6.6.6.6,7.7.7.7 , 198.51.100.9:4711", "198.51.100.9"),
            ("6.6.6.6, [2001:db8::1]:99", "2001:db8::1"),
            ("6.6.6.6, 2001:db8::2", "2001:db8::2"),
            ("6.6.6.6, unknown", "127.0.0.1"),
            ("", "127.0.0.1"),
        ):
            assert place(server, admin, {"X-Forwarded-For": given}) == f"rest {seen}", given
        assert place(server, admin, {}) == "rest 127.0.0.1"


def test_behind_two_proxies_the_outer_ones_word_counts(project: Project, admin: str) -> None:
    with behind(project, "--proxies", "2") as server:
        assert place(server, admin, {"X-Forwarded-For": "6.6.6.6, 198.51.100.7, 10.0.0.1"}) == "rest 198.51.100.7"
        assert place(server, admin, {"X-Forwarded-For": "198.51.100.8"}) == "rest 198.51.100.8"


def test_inventing_addresses_helps_nobody_to_guess_and_locks_nobody_out(project: Project, admin: str) -> None:
    with behind(project) as server:
        told = []
        for number in range(MOST + 10):
            headers = {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7"}
            told.append(server.ask("GET", "status", token=BAD, headers=headers).status)
        assert told == [401] * MOST + [429] * 10
        victim = {"X-Forwarded-For": "203.0.113.1"}
        assert server.ask("GET", "status", token=BAD, headers=victim).status == 401


def test_without_a_proxy_nobody_says_who_he_is(server: Server, admin: str) -> None:
    given = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
    assert place(server, admin, given) == "rest 127.0.0.1"


def test_the_origin_of_a_page_behind_a_proxy_is_that_of_the_proxy(project: Project, admin: str) -> None:
    project.environment["MIGRATION_SERVER_HOSTS"] = "bascule.example"
    try:
        with behind(project) as server:
            through = {"Host": "bascule.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
            logged = server.ask("POST", "/api/v1/session", {"token": admin}, headers=through)
            assert "Secure" in logged.headers["set-cookie"]
            own = {**through, "Cookie": logged.headers["set-cookie"].partition(";")[0]}
            own["X-CSRF-Token"] = logged.data["csrf"]
            for origin, status in (("https://bascule.example", 200), ("http://bascule.example", 403)):
                assert server.ask("POST", "plan", {}, headers={**own, "Origin": origin}).status == status
    finally:
        del project.environment["MIGRATION_SERVER_HOSTS"]
