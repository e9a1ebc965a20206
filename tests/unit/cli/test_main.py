from __future__ import annotations

import json
from pathlib import Path

import pytest

from bascule.cli.catalogue import VERBS
from bascule.cli.main import main


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "NO_COLOR", "PGHOST", "PGDATABASE", "PGSERVICE", "PGHOSTADDR"):
        monkeypatch.delenv(name, raising=False)


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb}" in shown for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_knows_the_global_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--database-url URL" in shown
    assert "--json" in shown


@pytest.mark.parametrize("verb", ["up", "rollback", "recover"])
def test_the_wait_for_the_lease_is_not_taken_for_the_wait_for_locks(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "wait for the lease while another run has it" in shown
    assert "Locks on tables (SQLite: on the file) are waited for by limits.lock_retry." in shown


@pytest.mark.parametrize(
    "line", [["--json", "--help"], ["--help", "--json"], ["--json", "up", "--help"], ["up", "-h", "--json"]]
)
def test_help_is_one_json_document_where_json_was_asked_for(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 0
    document = answer(capsys)
    assert document["success"] is True
    assert main([word for word in line if word != "--json"]) == 0
    assert f"{document['message']}\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["a; drop table x", "it's", 'a "b"', "a -- b", "a\nb", "a\x1b[31mb", "a\x00b", "\u202eabc"]
)
def test_sql_and_control_characters_name_no_new_migration(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", name, "--json"]) == 2
    streams = capsys.readouterr()
    document = json.loads(streams.out)
    assert document["error"]["code"] == "not_a_name"
    assert name not in streams.err or name.isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["Add user table", "drop table users", "añadir-más (2)"])
def test_words_name_a_new_migration(name: str, tmp_path: Path) -> None:
    assert main(["new", name]) == 0
    (path,) = (tmp_path / "migrations").iterdir()
    assert path.read_text(encoding="utf-8").startswith(f"-- {name}\n")


def test_an_unknown_verb_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stauts"]) == 2
    assert "Did you mean status?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        ["stauts", "--json"],
        ["--json", "up", "--steps", "none"],
        ["up", "--no-such-option", "--json"],
        ["rollback", "a", "--to", "b", "--json"],
        ["mark", "a", "--json"],
        ["accept", "a", "--json"],
        ["--json"],
        ["status", "--json", "--target", "nowhere"],
        ["status", "--json", "--config", "missing.toml"],
        ["status", "--json", "--database-url", "mysql://root:hunter2@db/x"],
    ],
)
def test_wrong_usage_exits_2_and_is_one_json_document_where_json_was_asked_for(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 2
    streams = capsys.readouterr()
    document = json.loads(streams.out)
    assert document["success"] is False
    assert document["data"] == []
    assert {"code", "hint", "state"} <= set(document["error"])
    assert document["error"]["state"] == "unchanged"
    assert document["message"] in streams.err
    assert "hunter2" not in streams.out + streams.err


def test_json_after_a_double_dash_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_global_options_may_stand_before_and_after_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--migrations-dir", "one", "new", "first", "--json"]) == 0
    assert str(answer(capsys)["path"]).startswith("one/")
    assert main(["--json", "new", "second", "--migrations-dir", "two"]) == 0
    assert str(answer(capsys)["path"]).startswith("two/")
    assert main(["--migrations-dir", "one", "new", "third", "--migrations-dir", "two"]) == 0
    assert capsys.readouterr().out.startswith("two/"), "the later one wins"


def test_a_warning_of_the_settings_goes_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIGRATIONS_DIR", "x")
    monkeypatch.setenv("MIGRATION_LOCKWAIT", "x")
    assert main(["new", "first", "--json"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out)["path"]
    assert "MIGRATION_LOCKWAIT is not a setting of Bascule; did you mean MIGRATION_LOCK_WAIT?" in streams.err


def test_a_database_that_nobody_named_is_exit_2_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "migrations").mkdir()
    assert main(["status"]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "No database is named." in streams.err
    assert "DATABASE_URL" in streams.err


@pytest.mark.parametrize(
    "line",
    [
        ["new", "x", "--template", "t"],
        ["new", "x", "--autogenerate", "m"],
        ["new", "x", "--to-schema", "f"],
        ["new", "x", "--from-unsafe", "f"],
    ],
)
def test_an_option_that_cannot_be_followed_yet_stops_the_command_rather_than_mislead(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 3
    assert " yet." in capsys.readouterr().err


def test_an_unexpected_error_is_told_in_the_same_form_and_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("at postgresql://app:hunter2@db/shop")

    monkeypatch.setattr("bascule.config.load.load", broken)
    assert main(["new", "first", "--json"]) == 1
    streams = capsys.readouterr()
    document = json.loads(streams.out)
    assert document["error"]["code"] == "unexpected"
    assert document["error"]["state"] == "unknown"
    assert "Traceback" not in streams.err
    assert "hunter2" not in streams.out + streams.err
    assert main(["new", "first", "-v"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "hunter2" not in shown


def test_an_interruption_is_exit_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("bascule.config.load.load", interrupted)
    assert main(["new", "first"]) == 130
    assert "Interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_BASCULE_COMPLETE" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bascule ")
    assert main(["--json", "--version"]) == 0
    assert "version" in answer(capsys)
