"""A server looks after alerts by itself, also those of others; killed and started again it loses and doubles none."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

from tests.acceptance.commandline import Project
from tests.acceptance.receiver import receiving
from tests.acceptance.server.served import served

PATIENCE = 30.0


def test_a_failure_that_nobody_told_of_is_told_by_the_server_and_survives_its_death(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db", BASCULE_WEBHOOK_SECRET="0123456789" * 3)
    project.write("20240101000000_one", "insert into nowhere values (1);")
    with receiving() as receiver:
        (tmp_path / "bascule.toml").write_text(f"[[webhooks]]\nurl = {json.dumps(receiver.url)}\n", encoding="utf-8")
        receiver.gate.clear()
        with served(project) as server:
            assert project.run("up", MIGRATION_MONITORING_ENABLED="false").code == 1
            assert receiver.came.wait(PATIENCE)
            server.kill()
        receiver.gate.set()
        # The dead one's claim has run out.
        with sqlite3.connect(tmp_path / "app.db.bascule") as store:
            store.execute("UPDATE bascule_delivery SET next_at = made_at WHERE ended_at IS NULL")
        store.close()
        with served(project):
            until = time.monotonic() + PATIENCE
            while owed(tmp_path) and time.monotonic() < until:
                time.sleep(0.1)
        assert owed(tmp_path) == 0
        ids = [each.headers["webhook-id"] for each in receiver.told if each.json["data"]["rule"] == "run_failed"]
        assert len(ids) == 2
        assert len(set(ids)) == 1
        rules = [each["rule"] for each in project.well("alerts", "--json").json]
        assert rules.count("run_failed") == 1


def owed(folder: Path) -> int:
    """Messages that have not been sent."""
    with sqlite3.connect(folder / "app.db.bascule") as store:
        (count,) = store.execute("SELECT count(*) FROM bascule_delivery WHERE ended_at IS NULL").fetchone()
    store.close()
    return int(count)
