"""Past runs, as the API tells them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.acceptance.server.served import Server


def test_what_was_estimated_stands_beside_what_it_took(server: Server, tokens: Mapping[str, str]) -> None:
    run = server.get("status", tokens["viewer"]).data["completed"][0]["id"]
    told = server.get(f"runs/{run}", tokens["viewer"]).data
    assert told["estimatedDuration"] > 0
    (past,) = [each for each in server.project.well("history", "--json").json if each["id"] == run]
    assert (past["estimatedDuration"], past["executionTime"]) == (told["estimatedDuration"], told["executionTime"])
