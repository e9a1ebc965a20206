"""Large objects are in no backup of ours, and whoever lists or restores one is told."""

from __future__ import annotations

from tests.acceptance.test_preimages import World, postgresql, sqlite  # noqa: F401 - fixtures

WORDS = "2 large objects are not in it: keep them with pg_dump"


def test_a_listing_and_every_restore_say_that_they_are_missing(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("SELECT lo_from_bytea(0, 'abc'), lo_from_bytea(0, 'def')")
    backup = postgresql.project.well("backup", "create", "--json").json["id"]
    listed = postgresql.project.well("backup", "list")
    assert "2 large objects are not in it" in listed.out
    assert WORDS in postgresql.project.well("backup", "list", "--json").json[-1]["notes"]
    name = "copy_of_" + backup.replace("-", "_").lower()
    elsewhere = postgresql.project.well("backup", "restore", backup, "--to", name)
    assert WORDS in elsewhere.err
    here = postgresql.project.well("backup", "restore", backup, "--yes", "--json")
    assert WORDS in here.err
    assert WORDS in here.json["data"]["notes"]
    postgresql.ask(f'DROP DATABASE "{name}"')


def test_nothing_is_said_where_there_are_none(postgresql: World) -> None:  # noqa: F811
    backup = postgresql.project.well("backup", "create", "--json").json["id"]
    postgresql.ask("SELECT lo_from_bytea(0, 'abc')")
    assert "large object" not in postgresql.project.well("backup", "restore", backup, "--yes").err
    assert "large object" not in postgresql.project.well("backup", "list").out
