"""What is given to the server is what it says it is, or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.acceptance.server.served import Server


@pytest.mark.parametrize("time", [True, False, "5", "NaN", None, [], -1])
def test_a_time_that_is_no_number_is_not_kept(server: Server, tokens: Mapping[str, str], time: Any) -> None:
    body = {"migrationName": "AddUsers", "executionTime": time}
    assert server.post("performance/record", body, tokens["operator"]).status == 400


def test_what_others_measured_is_kept_and_is_not_the_last_run(server: Server, tokens: Mapping[str, str]) -> None:
    before = last_run(server, tokens["viewer"])
    body = {"migrationName": "made up", "executionTime": 987_654_321, "rowsAffected": 77}
    kept = server.post("performance/record", body, tokens["operator"])
    assert kept.status == 201, kept.body
    newest = server.get("performance?limit=1", tokens["viewer"]).data[0]
    assert (newest["migrationName"], newest["executionTime"]) == ("made up", 987_654_321)
    server.post("execute", {"migrationName": "AddNewTable"}, tokens["admin"])
    after = last_run(server, tokens["viewer"])
    assert "987654" not in after
    assert before != after, "a run of Bascule's own is"


def last_run(server: Server, token: str) -> str:
    text = server.get("/metrics", token).body.decode()
    return "\n".join(line for line in text.splitlines() if line.startswith("bascule_last_run_seconds"))


@pytest.mark.parametrize(
    "day",
    [
        *("0001-01-01", "1-01-01", "1969-12-31", "9999-12-31", "9999-12-31T23:59:59-23:59", "0", "1", "20240101"),
        *("1e3", "2024-13-01", "2024-1-1", "yesterday", "٢٠٢٤-01-01"),
    ],
)
def test_an_odd_day_is_no_day(server: Server, tokens: Mapping[str, str], day: str) -> None:
    from urllib.parse import quote

    for name in ("startDate", "endDate"):
        reply = server.get(f"report?{name}={quote(day)}", tokens["viewer"])
        assert reply.status == 400, (name, reply.body[:200])
    assert server.get("report?startDate=2024-01-01&endDate=2030-01-01T10:00:00Z", tokens["viewer"]).status == 200
