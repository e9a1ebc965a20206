"""Who asks to halt a run that cannot be halted is told so, and nothing happens to it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.acceptance.server.served import Server


@pytest.mark.parametrize("verb", ["pause", "resume", "tune", "complete", "abort"])
def test_a_run_that_is_over_cannot_be_halted(server: Server, tokens: Mapping[str, str], verb: str) -> None:
    run = server.get("status", tokens["viewer"]).data["completed"][0]["id"]
    before = server.get(f"runs/{run}", tokens["viewer"]).data
    told = server.post(f"runs/{run}/{verb}", {}, tokens["operator"])
    assert (told.status, told.json["success"], told.json["error"]["code"]) == (409, False, "not_controllable")
    assert "is over" in told.json["message"]
    assert server.get(f"runs/{run}", tokens["viewer"]).data == before
    assert server.post(f"runs/{run}/{verb}", {}, tokens["viewer"]).status == 403
    assert server.post(f"runs/{run}/{verb}", {}).status == 401
    assert server.post(f"runs/nothing/{verb}", {}, tokens["operator"]).status == 404
