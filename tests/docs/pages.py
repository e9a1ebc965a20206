"""The project's pages, taken apart: code, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BELOW_DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *BELOW_DOCS]

_FENCE = re.compile(
    r"(?:^<!-- file: (?P<file>[^\n]+?) -->\n+)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")
_RUNS_ON = re.compile(r"<!-- run on: (\w+) -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A fenced block."""

    page: Path
    line: int
    """Of the page, where its first line stands."""
    language: str
    text: str
    file: str | None
    """What the page says this is the content of: a path, or a pattern that one file of the folder matches."""

    def __str__(self) -> str:
        return f"{named(self.page)}:{self.line}"


def named(page: Path) -> str:
    """As people call it."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Code]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        inner = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Code(
            page=page,
            line=text.count("\n", 0, found.start("text")) + 1,
            language=found["language"],
            text=inner,
            file=found["file"],
        )


def runs_on(page: Path) -> str | None:
    """The database that the commands of a page are to be run on, by a comment in it; None where there is none."""
    found = _RUNS_ON.search(page.read_text(encoding="utf-8"))
    return found[1] if found else None


def links(page: Path) -> list[str]:
    """Where a page points to."""
    return _LINK.findall(prose(page))


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What a link to the page may end with after ``#``: its headings as the usual renderers name them."""
    return {_anchor(heading) for heading in _HEADING.findall(prose(page))}


def _anchor(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
