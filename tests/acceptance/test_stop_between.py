"""A signal that comes when no statement is under way still ends the run at its next boundary."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.config.load import load
from bascule.errors import Interrupted
from bascule.services.requests import UpRequest
from bascule.services.up import up
from bascule.wiring import context
from tests.acceptance.commandline import Project, rows

NAMES = ["20240101000000_one", "20240102000000_two", "20240103000000_three"]


@pytest.mark.parametrize("stop_after", [1, 2])
def test_what_was_applied_stays_and_nothing_new_is_begun(tmp_path: Path, stop_after: int) -> None:
    project = Project(tmp_path)
    for name in NAMES:
        project.write(name, f"create table t{name[:8]} (n integer);", f"drop table t{name[:8]};")
    flags = {
        "database_url": ("url", f"sqlite:///{tmp_path}/shop.db"),
        "migrations_dir": ("dir", str(tmp_path / "migrations")),
    }
    finished: list[str] = []

    def stopping() -> str | None:
        return "SIGTERM" if len(finished) >= stop_after else None

    given = context(
        load(flags, environ={}, folder=tmp_path),
        publish=lambda event: finished.append(event.migration) if event.name == "migration.completed" else None,
        say=lambda words: None,
        stopping=stopping,
    )
    with pytest.raises(Interrupted) as caught:
        up(given, UpRequest())
    given.target.close()
    assert NAMES[stop_after] in caught.value.message
    assert "SIGTERM" in caught.value.message
    assert caught.value.state == "changed"
    applied = [name for (name,) in rows(tmp_path / "shop.db", "select name from bascule_ledger order by position")]
    assert applied == NAMES[:stop_after]
