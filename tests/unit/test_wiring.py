from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bascule import wiring
from bascule.config.load import load
from bascule.domain.statement import ObjectName
from bascule.errors import ConfigError


def test_the_owner_can_be_found_by_a_person() -> None:
    assert re.fullmatch(rf"[^@]+@{re.escape(os.uname().nodename)}:{os.getpid()}", wiring.owner())


def test_a_target_nobody_named_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        wiring.open_target(load(environ={}, folder=tmp_path))
    assert caught.value.code == "no_database"
    assert "bascule init" in caught.value.hint


def test_opening_a_target_and_a_source_touches_no_file(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    settings = load(environ={"DATABASE_URL": "sqlite:///app.db"}, folder=tmp_path)
    target = wiring.open_target(settings)
    assert (target.dialect, list(wiring.open_source(settings).listing())) == ("sqlite", [])
    target.close()
    assert [path.name for path in tmp_path.iterdir()] == ["migrations"]


@pytest.mark.parametrize(("migration", "events"), [("1_a.sql", ["before_up"]), ("1_a.up.sql", []), ("1_a/up.sql", [])])
def test_hooks_run_in_a_native_folder_only(tmp_path: Path, migration: str, events: list[str]) -> None:
    for name in (migration, "hooks/before_up.sql"):
        path = tmp_path / "migrations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("-- migrate:up\nselect 1;\n")
    settings = load(environ={"DATABASE_URL": "sqlite:///app.db"}, folder=tmp_path)
    context = wiring.context(settings, publish=lambda event: None, say=lambda words: None)
    assert [hook.event for hook in context.hooks()] == events


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("table public.jobs", ObjectName(kind="relation", schema="public", name="jobs")),
        ("materialized view Totals", ObjectName(kind="relation", name="totals")),
        ('view "Odd".My', ObjectName(kind="relation", schema="Odd", name="my")),
        ("function app.f", ObjectName(kind="routine", schema="app", name="f")),
        ("extension citext", ObjectName(kind="extension", name="citext")),
    ],
)
def test_ignored_objects_are_named_as_people_write_them(words: str, name: ObjectName) -> None:
    assert wiring.outside((words,)).objects == {name}


@pytest.mark.parametrize("words", ["jobs", "tabel public.jobs", "table"])
def test_what_names_no_object_is_refused_with_the_kinds_there_are(words: str) -> None:
    with pytest.raises(ConfigError, match=r"fingerprint\.ignore") as caught:
        wiring.outside((words,))
    assert "materialized view" in caught.value.hint


def test_every_public_name_of_the_package_leads_to_its_function() -> None:
    text = Path(wiring.__file__).read_text(encoding="utf-8")
    told = dict(re.findall(r"from bascule\.wiring\.\w+ import (\w+) as (\w+)", text))
    assert told
    assert all(getattr(wiring, name).__name__ == name for name in told)
    assert set(told) == set(wiring._MODULE_OF)
    with pytest.raises(AttributeError):
        wiring.nothing  # noqa: B018
