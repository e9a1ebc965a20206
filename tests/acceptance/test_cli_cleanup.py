"""What `bascule cleanup` takes away, and what it leaves."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bascule import wiring
from bascule.config.load import load
from bascule.state import plans
from bascule.state.plans import KeptPlan
from tests.acceptance.commandline import Project

NOW = datetime.now(UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    project = Project(tmp_path, DATABASE_URL=url, BASCULE_AUDIT_DIR=str(tmp_path / "heads"))
    project.write("20240101000000_one", "create table one (id integer);", "drop table one;")
    project.well("up")
    return project


def keep_plans(project: Project, **ends: datetime) -> None:
    settings = load(environ=project.environment, folder=project.folder)
    with closing(wiring.open_target(settings)) as target, closing(target.state()) as door:
        for name, end in ends.items():
            plan = KeptPlan(id=name, author="ann", created_at=NOW, expires_at=end, document="{}")
            plans.add(door, plan)
            plans.approve(door, name, "bob", NOW)


def test_expired_plans_and_dead_tokens_go_and_the_audit_log_stays(project: Project) -> None:
    made = [project.well("token", "create", "--role", "viewer", "--name", name, "--json").json for name in "ab"]
    listed = project.well("token", "list", "--json").json
    rows = listed["data"] if isinstance(listed, dict) else listed
    revoked = next(each["id"] for each in rows if each["name"] == "a")
    project.well("token", "revoke", revoked)
    keep_plans(project, old=NOW - timedelta(seconds=1), young=NOW + timedelta(days=1))
    assert project.well("cleanup", "--json").json["data"]["total"] == 0, "it is all younger than the retention"

    (project.folder / "bascule.toml").write_text('monitoring.retention = "0s"\n', encoding="utf-8")
    lines = project.well("audit", "--json").json
    removed = project.well("cleanup", "--json").json["data"]["removed"]
    assert (removed["plans"], removed["approvals"], removed["tokens"]) == (1, 1, 1)
    assert made[1]["token"] not in str(removed)
    left = project.well("token", "list", "--json").json
    assert [each["name"] for each in (left["data"] if isinstance(left, dict) else left)] == ["b"]
    assert len(str(project.well("audit", "--json").json)) > len(str(lines))
    project.well("audit", "verify")
