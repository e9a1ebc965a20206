"""Links lead somewhere, every page can be reached, and nothing in the repository belongs to one machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import BELOW_DOCS, PAGES, ROOT, anchors, links, named, prose

_SOMEBODYS_FOLDER = re.compile(r"(?<![\w.:/-])/(?:root|Users)/[\w.-]+")
"""Invented ones, as tests have them, begin with other words."""
_REGISTRY = re.compile(r"pypi\.org|pythonhosted|index-url|artifactory|devpi|/simple/", re.IGNORECASE)
_LEFT_ALONE = ("LICENSE", "tests/docs/test_links.py")
_SKIPPED_FOLDERS = {"__pycache__", "build", "dist"}
_BINARY = 0
_WIDTH = 120


def tracked() -> list[Path]:
    """Every file of the repository; outside of a checkout every file that would be in it."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        # A checkout of another user's is not told about by git, and has the same files.
        if listed.returncode == 0:
            return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") or part in _SKIPPED_FOLDERS for part in path.relative_to(ROOT).parts)
    ]


@pytest.mark.parametrize("page", [named(page) for page in PAGES])
def test_every_link_leads_somewhere(page: str) -> None:
    path = ROOT / page
    broken = []
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        there = target.is_relative_to(ROOT) and target.exists()
        if not there or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_table_of_contents() -> None:
    contents = ROOT / "docs" / "README.md"
    listed = {(contents.parent / link.partition("#")[0]).resolve() for link in links(contents)}
    assert [named(page) for page in BELOW_DOCS if page not in listed and page != contents] == []


def test_no_file_knows_somebodys_folder_or_a_package_registry() -> None:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if named(path) in _LEFT_ALONE or _BINARY in data:
            continue
        text = data.decode("utf-8")
        found += [f"{named(path)}: {each}" for each in (*_SOMEBODYS_FOLDER.findall(text), *_REGISTRY.findall(text))]
        found += [f"{named(path)}: {each}" for each in (str(ROOT), str(Path.home())) if f"{each}/" in text]
    assert found == []


def test_pages_read_well_as_plain_text() -> None:
    wide = [
        f"{named(page)}: {line}"
        for page in PAGES
        for line in prose(page).splitlines()
        if "\t" in line or line != line.rstrip() or (len(line) > _WIDTH and not line.startswith("|"))
    ]
    assert wide == []
