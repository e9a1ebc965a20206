"""On production a half-done run is gone on with by an admin, and as it was when it was approved."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.commandline import Project
from tests.acceptance.server.served import served, token

PARTS = "20240101_parts"


def test_a_file_that_was_edited_since_is_not_gone_on_with_over_rest(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        DATABASE_URL="sqlite:///app.db",
        MIGRATION_ENVIRONMENT="production",
        MIGRATION_ON_FAILURE="stop",
        BASCULE_SECRET_KEY="a secret of thirty-two bytes, or more",
        BASCULE_AUDIT_DIR=str(tmp_path / "heads"),
    )
    (tmp_path / "bascule.toml").write_text("approvals = 1\n")
    first = "create table one (id integer);"
    project.write(PARTS, f"{first}\ninsert into later values (1);", "drop table one;", options=" transaction:false")
    assert project.run("up", "--yes-production", "it has to be").code != 0
    with served(project) as server:
        admin, operator = token(project, "admin"), token(project, "operator")
        (failed,) = server.get("status", admin).data["failed"]
        assert failed["halfDone"]
        address = f"runs/{failed['id']}/recover"
        assert server.post(address, {}, operator).status == 403
        again = server.post(address, {}, admin)
        assert again.status == 500, "as it was, it fails as it did"
        assert "later" in again.json["message"]
        project.write(PARTS, f"{first}\ndrop table if exists other;", "drop table one;", options=" transaction:false")
        refused = server.post(address, {}, admin)
        assert (refused.status, refused.json["error"]["code"]) == (409, "plan_unapproved"), refused.body
        assert project.names() == set()
        actions = [(each["action"], each.get("outcome")) for each in server.get("audit", admin).data]
        assert ("recover", "asked") in actions
    for verb, code in (("recover", "plan_unapproved"), ("up", "protected")):
        asked = project.run(verb, "--yes", "--json")
        assert (asked.code, asked.json["error"]["code"]) == (3, code), asked
    assert project.names() == set()
    project.well("recover", "--yes-production", "the new file is right")
    assert project.names() == {PARTS}
    told = [each["message"] for each in project.well("alerts", "--json", "--all").json]
    assert any("the new file is right" in words for words in told)
