"""Killed at any moment, Bascule loses no alert and makes none twice. The whole campaign is a command of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance.alert_crashes import campaign, scene


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("by", "kills"), [("command", 8), ("server", 3)])
def test_killed_while_alerts_are_made_and_told(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, by: str, kills: int
) -> None:
    url = "sqlite:///app.db" if database == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    with scene(tmp_path, url, seed=7) as made:
        assert campaign(made, by, kills) == []
        assert made.kills.total() >= kills


def test_a_folder_that_a_killed_process_left_behind_is_brought_up_to_date(tmp_path: Path) -> None:
    with scene(tmp_path, "sqlite:///app.db", seed=1) as made:
        made.write(1, good=False)
        made.project.run("up")
        (file,) = (tmp_path / "told").glob("*.json")
        # As it is after a kill between the row and its file: the mark is of an earlier turn.
        file.unlink()
        (mark,) = (tmp_path / "told").glob(".*.turn")
        mark.write_text('{"turn": 0, "ids": ["0000deadbeef"]}')
        (tmp_path / "told" / "0000deadbeef.json").write_text("{}")
        half = tmp_path / "told" / f".{file.name}.1.half"
        half.write_text("{")
        os.utime(half, (0, 0))
        made.project.run("up")
        assert {each.name for each in (tmp_path / "told").glob("*.json")} == {file.name}
        assert not half.exists()
