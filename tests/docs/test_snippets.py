"""Code in the documentation is code: Python runs, settings load, commands and their options exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from bascule.cli.catalogue import VERBS
from bascule.config.load import load
from docs import generate
from tests.docs.pages import PAGES, ROOT, Code, blocks, named

SHOWN = [block for page in PAGES for block in blocks(page)]
APART = [block for block in SHOWN if block.file is None]
"""Blocks that no page writes into a file when it is followed."""

USERS = """-- migrate:up
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
-- migrate:down
DROP TABLE users;
"""

_COMMAND = re.compile(r"(?:^|[\s$|&;(])bascule((?:[ \t]+[^\s|&;)>`'\"]+)+)", re.MULTILINE)
_LISTED = re.compile(r"command: \[bascule, ([^\]]+)\]")


def pages_with(language: str) -> list[str]:
    return list(dict.fromkeys(named(block.page) for block in APART if block.language == language))


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "20240101000000_AddUserTable.sql").write_text(USERS, encoding="utf-8")
    names: dict[str, object] = {}
    for block in APART:
        if block.language == "python" and named(block.page) == page:
            exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), names)


def test_a_migration_that_is_shown_is_written_and_applied_by_its_page() -> None:
    loose = [
        block for block in APART if "def up(op)" in block.text or re.search(r"^-- migrate:up", block.text, re.MULTILINE)
    ]
    assert [str(block) for block in loose] == []


@pytest.mark.parametrize("block", [block for block in SHOWN if block.language == "toml"], ids=str)
def test_a_configuration_that_is_shown_is_read(block: Code, tmp_path: Path) -> None:
    assert tomllib.loads(block.text)
    name = "pyproject.toml" if "[tool.bascule" in block.text else "bascule.toml"
    (tmp_path / name).write_text(block.text, encoding="utf-8")
    assert load(folder=tmp_path, environ={}).config_file == tmp_path / name


def commands_in(block: Code) -> list[list[str]]:
    found = [[word.rstrip(".,:") for word in words.split()] for words in _COMMAND.findall(block.text)]
    return found + [[word.strip(" \"'") for word in words.split(",")] for words in _LISTED.findall(block.text)]


SHOWING_COMMANDS = [block for block in SHOWN if block.language in ("console", "sh", "yaml") and commands_in(block)]


@pytest.mark.parametrize("block", SHOWING_COMMANDS, ids=str)
def test_every_verb_and_option_that_is_shown_is_there(block: Code) -> None:
    common = {name for option in generate.options_of(generate.command("up"), common=True) for name in option.opts}
    for words in commands_in(block):
        verb = next((word for word in words if word in VERBS), None)
        if verb is None:
            continue  # a message that speaks of Bascule
        command = generate.command(verb)
        if isinstance(command, click.Group):
            # Some groups do something by themselves.
            inner = next((word for word in words if word in command.commands), "")
            command = generate.command(f"{verb} {inner}".rstrip())
        known = {name for option in generate.options_of(command) for name in option.opts}
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known | common | {"--help"}, f"{block}: bascule {' '.join(words)}"


def test_commands_are_found_where_pages_show_them() -> None:
    assert {named(block.page) for block in SHOWING_COMMANDS} >= {
        "README.md",
        "docs/howto/ci-and-kubernetes.md",
        "docs/tutorial/first-steps.md",
    }
    assert (ROOT / "docs").is_dir()
