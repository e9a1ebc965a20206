"""Reads `.env`: ``NAME=value`` lines, quoted or not, without running or expanding anything.

A line that is not understood is passed over with a warning, because other programs read the file too; where it names a
setting of Bascule it is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=[ \t]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
_REFERENCE = re.compile(r"(?<!\\)\$\{[A-Za-z_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One variable of the file."""

    name: str
    value: str
    line: int
    problem: str = ""
    """Why the value cannot be trusted; it is an error where the variable is one of ours."""


def parse_dotenv(text: str) -> tuple[Assignment, ...]:
    """All assignments, in order. What cannot be read has a `problem` and, where even the name is missing, no name."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: list[Assignment] = []
    position = 0
    while position < len(text):
        end = _end_of_line(text, position)
        content = text[position:end].strip()
        if content and not content.startswith("#"):
            assignment, end = _assignment(text, position)
            found.append(assignment)
        position = end + 1
    return tuple(found)


def _assignment(text: str, start: int) -> tuple[Assignment, int]:
    """One assignment and the place where its last line ends."""
    line = text.count("\n", 0, start) + 1
    named = _NAME.match(text, start)
    end = _end_of_line(text, start)
    if named is None or named.end() > end:
        return Assignment(name="", value="", line=line, problem="it is not of the form NAME=value"), end
    name, begin = named[1], named.end()
    quote = text[begin : begin + 1]
    if quote in ("'", '"'):
        closing = _closing_quote(text, begin)
        if closing < 0:
            return Assignment(name=name, value="", line=line, problem="a quotation mark is not closed"), end
        value, end = text[begin + 1 : closing], _end_of_line(text, closing)
        rest = text[closing + 1 : end].strip()
        problem = "something follows the closing quotation mark" if rest and not rest.startswith("#") else ""
    else:
        value, problem = re.split(r"(?:^|\s)#", text[begin:end], maxsplit=1)[0].strip(), ""
    if quote != "'" and not problem and _REFERENCE.search(value):
        problem = "${…} is not expanded here; write it out, or in single quotation marks if it is meant literally"
    if quote == '"':
        value = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), value)
    return Assignment(name=name, value=value, line=line, problem=problem), end


def _closing_quote(text: str, opening: int) -> int:
    if text[opening] == "'":
        return text.find("'", opening + 1)
    found = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL).match(text, opening + 1)
    return found.end() - 1 if found else -1


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end
