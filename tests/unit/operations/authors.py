"""Authors' files: the examples beside this module, and small ones written in a test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

from bascule.databases.operations import AuthorFunction, load
from bascule.domain.migration import Direction, Script

_EXAMPLES = Path(__file__).with_name("examples")


def example(name: str, *, transaction: bool = True) -> Script:
    """One of the examples, as a source reads it."""
    path = _EXAMPLES / f"{name}.py"
    return Script(text=path.read_text(encoding="utf-8"), path=str(path), transaction=transaction, language="python")


def script(text: str, *, transaction: bool = True) -> Script:
    """A file with that text."""
    return Script(text=dedent(text), path="migrations/0001_test.py", transaction=transaction, language="python")


def up(body: str) -> AuthorFunction:
    """``up(op)`` of a file that has imported sqlalchemy as sa: its first line of `body` is line 4."""
    return load(script(up_text(body))).function("up")


def up_text(body: str) -> str:
    """The text of such a file."""
    return "import sqlalchemy as sa\n\ndef up(op):\n" + indent(dedent(body).strip("\n"), "    ") + "\n"


def function(name: str, direction: Direction = "up") -> AuthorFunction:
    """A function of one of the examples."""
    return load(example(name)).function(direction)
