"""What the project's own files promise."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import bascule

ROOT = Path(__file__).parents[2]
PINNED = (ROOT / "requirements" / "dev.txt").read_text()
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(requirement: str) -> str:
    """The name alone, written as pip writes it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def wanted() -> list[str]:
    groups = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"]]
    groups += PROJECT["project"]["optional-dependencies"].values()
    groups += [[entry for entry in group if isinstance(entry, str)] for group in PROJECT["dependency-groups"].values()]
    return sorted({normal(requirement) for group in groups for requirement in group} - {"bascule"})


@pytest.mark.parametrize("name", wanted())
def test_what_the_project_needs_is_pinned(name: str) -> None:
    assert re.search(rf"^{re.escape(name)}==", PINNED, re.MULTILINE)


def test_every_pin_has_hashes() -> None:
    pins = re.sub(r" \\\n *", " ", PINNED).splitlines()
    assert [pin for pin in pins if "==" in pin and "--hash=sha256:" not in pin] == []


def test_the_pins_name_no_address_and_no_folder() -> None:
    without_comments = re.sub(r"#.*", "", PINNED)
    assert re.findall(r"://|--index|--extra-index|--find-links|file:| @ |/", without_comments) == []


def test_the_installed_version_is_the_packages_own() -> None:
    assert version("bascule") == bascule.__version__


def test_all_is_every_other_extra() -> None:
    extras = dict(PROJECT["project"]["optional-dependencies"])
    (everything,) = extras.pop("all")
    assert everything == f"bascule[{','.join(extras)}]"
