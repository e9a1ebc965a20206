"""The README's two command lines, and what the demo prints, are true."""

from __future__ import annotations

import tomllib
from typing import Any

from docs import generate
from tests.docs.pages import ROOT, blocks

README = ROOT / "README.md"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def shown() -> list[str]:
    return [block.text.strip() for block in blocks(README) if block.language == "sh"]


def test_after_the_clone_one_line_shows_the_demo_and_another_passes_all_tests() -> None:
    clone, demo, tests = shown()
    assert clone.startswith("git clone ")
    assert demo == "python3 check setup && .venv/bin/bascule demo"
    assert tests == "python3 check"
    assert (ROOT / "check").stat().st_mode & 0o111
    assert PROJECT["project"]["scripts"] == {"bascule": "bascule.cli.main:entry"}


def test_what_has_to_be_installed_on_debian_is_named() -> None:
    assert "apt-get install git python3 python3-venv" in README.read_text(encoding="utf-8")


def test_the_demo_prints_what_the_readme_shows() -> None:
    (block,) = [block for block in blocks(README) if block.language == "text" and "── Plan" in block.text]
    told = [generate.normal(line) for line in generate.run_demo()]
    assert [generate.normal(line) for line in block.text.strip("\n").splitlines()] == told


def test_the_readme_is_the_packages_own_description() -> None:
    assert PROJECT["project"]["readme"] == "README.md"
