"""Scripts in the native ``hooks/`` folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.errors import SourceError
from bascule.sources.hooks import EVENTS, hooks, unknown_hooks
from tests.unit.sources.folders import write


def test_hooks_come_in_the_order_of_their_events(tmp_path: Path) -> None:
    write(
        tmp_path, "hooks/after_rollback.sql", "hooks/before_up.sql", "hooks/after_up.sql", "hooks/before_rollback.sql"
    )

    assert [hook.event for hook in hooks(str(tmp_path))] == list(EVENTS)


def test_the_whole_file_is_the_script(tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/after_up.sql").write_text("GRANT SELECT ON t TO ${app};")

    (hook,) = hooks(str(tmp_path), variables={"app": "web"})

    assert hook.script.text == "GRANT SELECT ON t TO web;"
    assert hook.script.path == f"{tmp_path}/hooks/after_up.sql"
    assert hook.script.transaction
    assert not hook.script.empty


def test_a_folder_without_hooks_has_none(tmp_path: Path) -> None:
    assert hooks(str(tmp_path)) == ()
    assert unknown_hooks(str(tmp_path)) == ()


def test_a_file_of_that_name_is_no_folder_of_hooks(tmp_path: Path) -> None:
    assert hooks(str(write(tmp_path, "hooks"))) == ()


def test_unknown_names_are_warned_of(tmp_path: Path) -> None:
    write(tmp_path, "hooks/before_up.sql", "hooks/beforeup.sql", "hooks/after_up.sh", "hooks/more/")

    assert [line.partition(":")[0] for line in unknown_hooks(str(tmp_path))] == [
        "hooks/after_up.sh", "hooks/beforeup.sql", "hooks/more",
    ]  # fmt: skip
    assert all("known are" in line for line in unknown_hooks(str(tmp_path)))


def test_a_hook_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "folder/hooks/", "secret.sql")
    (tmp_path / "folder/hooks/before_up.sql").symlink_to(tmp_path / "secret.sql")

    with pytest.raises(SourceError, match="leads out of the migrations folder"):
        hooks(str(tmp_path / "folder"))


def test_hooks_that_lead_out_of_the_folder_as_a_whole_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "folder/1_a.sql", "elsewhere/before_up.sql")
    (tmp_path / "folder/hooks").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SourceError, match="leads out of the migrations folder"):
        hooks(str(tmp_path / "folder"))
