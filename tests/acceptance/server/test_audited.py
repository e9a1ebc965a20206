"""What is denied over REST is in the audit log, whichever door it came to, and no secret is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.acceptance.server.served import Server


def denied(server: Server, tokens: Mapping[str, str]) -> list[tuple[str, str, str]]:
    lines: list[dict[str, Any]] = server.get("audit?limit=20", tokens["admin"]).data
    assert not any(token in str(lines) for token in tokens.values())
    return [(line["who"], line["action"], line["code"]) for line in lines if line.get("decision") == "denied"]


def test_a_token_that_is_no_good_at_each_door(server: Server, tokens: Mapping[str, str]) -> None:
    unknown = "bascule_" + "A" * 43
    assert server.get("status", unknown).status == 401
    assert server.post("/api/v1/session", {"token": unknown}).status == 401
    found = denied(server, tokens)
    assert ("unknown", "log in", "unknown") in found
    assert ("unknown", "authenticate", "unknown") in found


def test_a_change_from_a_foreign_page(server: Server, tokens: Mapping[str, str]) -> None:
    cookie = server.post("/api/v1/session", {"token": tokens["operator"]}).headers["set-cookie"].partition(";")[0]
    evil = {"Cookie": cookie, "Origin": "https://evil.example"}
    assert server.ask("POST", "plan", {"to": "nothing"}, headers=evil).status == 403
    assert ("operator", "authenticate", "csrf") in denied(server, tokens)


def test_a_change_that_nobody_signed(server: Server, tokens: Mapping[str, str]) -> None:
    assert server.post("execute", {"migrationName": "AddNewTable"}).status == 401
    assert server.get("status").status == 401
    found = [each for each in denied(server, tokens) if each[2] == "no credentials"]
    assert found == [("unknown", "authenticate", "no credentials")], "looking is no attempt to change something"


def test_an_attempt_names_who_asked_and_what_came_of_it(server: Server, tokens: Mapping[str, str]) -> None:
    server.post("execute", {"migrationName": "AddNewTable"}, tokens["operator"])
    lines = server.get("audit?limit=10", tokens["admin"]).data
    asked, done = [line for line in reversed(lines) if line["action"] == "execute"][-2:]
    assert (asked["who"], asked["from"], asked["outcome"]) == ("operator", "rest 127.0.0.1", "asked")
    assert (done["attempt"], done["outcome"]) == (asked["number"], "done")


def test_who_logs_in_to_the_dashboard_is_written_down(server: Server, tokens: Mapping[str, str]) -> None:
    assert server.post("/api/v1/session", {"token": tokens["viewer"]}).status == 200
    lines: list[dict[str, Any]] = server.get("audit?limit=20", tokens["admin"]).data
    assert not any(token in str(lines) for token in tokens.values())
    line = next(each for each in lines if each["action"] == "log in" and each["decision"] == "allowed")
    assert (line["who"], line["role"], line["outcome"], line["from"]) == ("viewer", "viewer", "done", "rest 127.0.0.1")
