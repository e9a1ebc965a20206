"""What stands before the first statement of a script: blanks and comments. No statement is looked into."""

from __future__ import annotations

import re

# Only what SQL takes for blank: Python's \s would also skip no-break spaces, which a server refuses.
_BLANK_OR_LINE_COMMENT = re.compile(r"[ \t\r\n\f\v]+|--[^\n]*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_DECORATION = re.compile(r"^[ \t]*(?:--+|/\*+|\*(?!/))?[ \t]?|[ \t\r]*(?:\*+/)?[ \t\r]*$")


def skip(text: str, *, nested: bool = True, semicolons: bool = False) -> int:
    """Offset of the first thing that is neither blank nor comment; the length of `text` when there is none.

    `nested`: a block comment may hold others, as in PostgreSQL; in SQLite the first ``*/`` ends it.
    A comment that is never closed counts as a thing: the database shall judge it.
    """
    at = 0
    while at < len(text):
        match = _BLANK_OR_LINE_COMMENT.match(text, at)
        if match:
            at = match.end()
        elif semicolons and text[at] == ";":
            at += 1
        elif text.startswith("/*", at):
            end = _end_of_comment(text, at, nested=nested)
            if end is None:
                return at
            at = end
        else:
            return at
    return at


def nothing_in(text: str) -> bool:
    """Only comments, blanks and lone semicolons, read in every dialect.

    ``/* /* */ DROP TABLE t -- */`` is a comment to PostgreSQL and a command to SQLite, so it is not nothing.
    """
    return all(skip(text, nested=nested, semicolons=True) == len(text) for nested in (True, False))


def leading(text: str) -> str:
    """The comments before the first statement, up to the first blank line after they began."""
    lines = text[: skip(text)].split("\n")
    start = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    end = next((number for number in range(start, len(lines)) if not lines[number].strip()), len(lines))
    return "\n".join(lines[start:end])


def prose(comment: str) -> str:
    """The words of a comment without its dashes, slashes and stars."""
    lines = (_DECORATION.sub("", line) for line in comment.split("\n"))
    return "\n".join(lines).strip()


def _end_of_comment(text: str, start: int, *, nested: bool) -> int | None:
    if not nested:
        end = text.find("*/", start + 2)
        return None if end < 0 else end + 2
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return None
