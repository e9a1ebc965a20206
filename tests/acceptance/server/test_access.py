"""Every endpoint, as each role, with each state of a token: exactly what the table of permissions says."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from bascule.access.roles import ROLES
from tests.acceptance.commandline import Project
from tests.acceptance.server.conftest import SECRET
from tests.acceptance.server.served import Server, served, token

ENDPOINTS: tuple[tuple[str, str, Any, str], ...] = (
    ("GET", "status", None, "viewer"),
    ("GET", "health", None, "viewer"),
    ("GET", "metrics", None, "viewer"),
    ("GET", "performance", None, "viewer"),
    ("GET", "validation/rules", None, "viewer"),
    ("GET", "report", None, "viewer"),
    ("GET", "export", None, "viewer"),
    ("GET", "runs", None, "viewer"),
    ("GET", "runs/none", None, "viewer"),
    ("GET", "runs/none/events", None, "viewer"),
    ("GET", "backups", None, "viewer"),
    ("GET", "/metrics", None, "viewer"),
    ("GET", "alerts", None, "viewer"),
    ("GET", "plans/nothing", None, "viewer"),
    ("POST", "plans/nothing/approve", None, "admin"),
    ("PUT", "alerts/nothing/acknowledge", None, "operator"),
    ("POST", "performance/record", {"migrationName": "nothing"}, "operator"),
    ("DELETE", "cleanup", None, "super_admin"),
    ("GET", "logs", None, "operator"),
    ("POST", "validate", {"migrationName": "nothing"}, "operator"),
    ("POST", "validation/specific", {"ruleTypes": ["nothing"]}, "operator"),
    ("POST", "plan", {"to": "nothing"}, "operator"),
    ("POST", "execute", {"migrationName": "nothing"}, "operator"),
    ("POST", "rollback", {"migrationName": "nothing"}, "operator"),
    ("POST", "runs/nothing/recover", None, "operator"),
    ("POST", "backups/nothing/verify", None, "operator"),
    ("GET", "audit", None, "admin"),
)
NAMES = [f"{method} {path}" for method, path, _, _ in ENDPOINTS]


def claims(**more: Any) -> dict[str, Any]:
    return {"sub": "ann", "role": "super_admin", "aud": "bascule", "exp": time.time() + 600} | more


def unsigned(content: Mapping[str, Any]) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, content]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


BAD: Mapping[str, str] = {
    "nonsense": "nonsense",
    "unknown token": "bascule_" + "A" * 43,
    "expired": jwt.encode(claims(exp=time.time() - 60), SECRET, "HS256"),
    "without an end": jwt.encode({key: it for key, it in claims().items() if key != "exp"}, SECRET, "HS256"),
    "wrong signature": jwt.encode(claims(), "another secret of thirty-two bytes!", "HS256"),
    "algorithm none": unsigned(claims()),
    "another algorithm": jwt.encode(claims(), SECRET * 2, "HS512"),
    "wrong audience": jwt.encode(claims(aud="somebody else"), SECRET, "HS256"),
    "no audience": jwt.encode({key: it for key, it in claims().items() if key != "aud"}, SECRET, "HS256"),
    "no role": jwt.encode({key: it for key, it in claims().items() if key != "role"}, SECRET, "HS256"),
    "unknown role": jwt.encode(claims(role="root"), SECRET, "HS256"),
    "a list of roles": jwt.encode(claims(role=["admin"]), SECRET, "HS256"),
    "very long": "a" * 20_000,
}


@pytest.mark.parametrize(("method", "path", "body", "least"), ENDPOINTS, ids=NAMES)
def test_each_role_may_what_the_table_says(
    server: Server, tokens: Mapping[str, str], method: str, path: str, body: Any, least: str
) -> None:
    for role in ROLES:
        for credential in (tokens[role], jwt.encode(claims(role=role), SECRET, "HS256")):
            reply = server.ask(method, path, body, token=credential)
            allowed = ROLES.index(role) >= ROLES.index(least)
            assert (reply.status != 403) == allowed, (role, reply.body)
            assert reply.status not in (401, 500), (role, reply.body)


@pytest.mark.parametrize(("method", "path", "body", "least"), ENDPOINTS, ids=NAMES)
def test_nobody_comes_in_without(server: Server, method: str, path: str, body: Any, least: str) -> None:
    reply = server.ask(method, path, body)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize("state", BAD)
def test_no_bad_credential_opens_anything(server: Server, state: str) -> None:
    reply = server.get("status", BAD[state])
    assert reply.status == 401
    assert reply.json["message"] == "The credentials are missing or no good.", "a stranger is told no more"


def test_a_token_that_is_revoked_or_for_another_environment_opens_nothing(server: Server, project: Project) -> None:
    made = project.well("token", "create", "--role", "viewer", "--json").json
    assert server.get("status", made["token"]).status == 200
    project.well("token", "revoke", made["id"])
    assert server.get("status", made["token"]).status == 401
    assert server.get("status", token(project, "viewer", "--environment", "production")).status == 401
    assert server.get("status", token(project, "viewer", "--environment", "development")).status == 200


def test_every_denial_is_in_the_audit_log(server: Server, tokens: Mapping[str, str]) -> None:
    server.post("execute", {"migrationName": "AddNewTable"}, tokens["viewer"])
    lines = server.get("audit?limit=5", tokens["admin"]).data
    denied = [line for line in lines if line.get("decision") == "denied" and line["action"] == "execute"]
    assert denied[0]["who"] == "viewer"
    assert denied[0]["from"] == "rest 127.0.0.1"


def test_a_session_lives_in_a_cookie_and_changes_need_the_word_of_the_page(
    server: Server, tokens: Mapping[str, str]
) -> None:
    reply = server.post("/api/v1/session", {"token": tokens["operator"]})
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert tokens["operator"] not in cookie
    assert tokens["operator"] not in reply.body.decode()
    own = {"Cookie": cookie.partition(";")[0]}
    csrf = reply.data["csrf"]
    assert server.ask("GET", "status", headers=own).status == 200
    assert server.ask("GET", "/api/v1/session", headers=own).data["role"] == "operator"
    here = f"http://{server.host}:{server.port}"
    body = {"to": "nothing"}
    for headers, status in (
        ({}, 403),
        ({"X-CSRF-Token": csrf}, 403),
        ({"Origin": here}, 403),
        ({"X-CSRF-Token": "guess", "Origin": here}, 403),
        ({"X-CSRF-Token": csrf, "Origin": "https://evil.example"}, 403),
        ({"X-CSRF-Token": csrf, "Origin": here.replace("http:", "https:")}, 403),
        ({"X-CSRF-Token": csrf, "Origin": here.replace("http:", "javascript:")}, 403),
        ({"X-CSRF-Token": csrf, "Origin": f"http://{server.host}:1"}, 403),
        ({"X-CSRF-Token": csrf, "Origin": f"http://{server.host}"}, 403),
        ({"X-CSRF-Token": csrf, "Origin": "null"}, 403),
        ({"X-CSRF-Token": csrf, "Origin": here}, 404),
    ):
        assert server.ask("POST", "plan", body, headers={**own, **headers}).status == status, headers
    forged = {"Cookie": own["Cookie"][:-1] + ("0" if own["Cookie"][-1] != "0" else "1")}
    assert server.ask("GET", "status", headers=forged).status == 401


def test_a_session_ends_with_its_token(server: Server, project: Project) -> None:
    made = project.well("token", "create", "--role", "viewer", "--json").json
    cookie = server.post("/api/v1/session", {"token": made["token"]}).headers["set-cookie"].partition(";")[0]
    assert server.ask("GET", "status", headers={"Cookie": cookie}).status == 200
    project.well("token", "revoke", made["id"])
    assert server.ask("GET", "status", headers={"Cookie": cookie}).status == 401


@pytest.mark.parametrize("credential", ["token", "jwt"])
def test_who_logs_out_is_out_at_every_server(
    server: Server, project: Project, tokens: Mapping[str, str], credential: str
) -> None:
    given = tokens["viewer"] if credential == "token" else jwt.encode(claims(role="viewer"), SECRET, "HS256")
    session = "/api/v1/session"
    with served(project) as other:
        begun = server.post(session, {"token": given})
        own = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
        word = {"X-CSRF-Token": begun.data["csrf"]}
        here = {"Origin": f"http://{server.host}:{server.port}"}
        for headers in ({}, word, here, {**word, "Origin": "http://evil.example"}, {**here, "X-CSRF-Token": "guess"}):
            assert server.ask("DELETE", session, headers={**own, **headers}).status == 403, headers
        for each in (server, other):
            assert each.ask("GET", "status", headers=own).status == 200
        left = server.ask("DELETE", session, headers={**own, **word, **here})
        assert left.status == 200
        assert "Max-Age=0" in left.headers["set-cookie"]
        for each in (server, other):
            assert each.ask("GET", "status", headers=own).status == 401
            assert each.ask("GET", session, headers=own).status == 401
        assert server.ask("DELETE", session, headers={**own, **word, **here}).status == 401
        again = other.post(session, {"token": given}).headers["set-cookie"].partition(";")[0]
        assert other.ask("GET", "status", headers={"Cookie": again}).status == 200, "the credentials are good as before"


def test_what_needs_no_token_tells_nothing(server: Server) -> None:
    assert server.get("/healthz").body == b"ok\n"
    assert server.get("/readyz").body == b"ok\n"
    assert b"Log in" not in server.get("/").body, "what is asked for is written by the page's own script"
    assert server.get("/docs").status == 200
    assert server.get("/docs/swagger-ui-bundle.js").status == 200
    assert server.get("/openapi.json").json["openapi"].startswith("3.1")
