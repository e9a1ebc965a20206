"""When two definition texts say the same: names that an item may have otherwise, white space, comments."""

from __future__ import annotations

import re
from typing import Any

from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import significant
from bascule.sql.normal import normal_token

_NAMED_IN_ITSELF = re.compile(r'^(CREATE (?:UNIQUE )?INDEX |CREATE STATISTICS )((?:"(?:[^"]|"")+"|[^\s".]+|\.)+)(?= )')

_FREE_LAYOUT = (None, "sql", "plpgsql")
"""Languages in which white space means nothing; in Python, for one, it does."""


def masked(definition: str | None) -> str | None:
    """A definition without the name of what it defines."""
    return None if definition is None else _NAMED_IN_ITSELF.sub(r"\1…", definition)


def same_but_for_layout(one: Any, other: Any, language: str | None) -> bool:
    """Two texts that hold the same tokens, also within dollar quotes; `language` is that of a routine's body."""
    if not isinstance(one, str) or not isinstance(other, str) or language not in _FREE_LAYOUT:
        return False
    try:
        return _meaning(one) == _meaning(other)
    except SqlSyntaxProblem:
        return False


def _meaning(text: str, *, body: bool = False) -> list[Any]:
    """The tokens that count.

    What the definition quotes by dollars is a routine's body, and counts by its own tokens; what that quotes in turn is
    a value, in which each space counts.
    """
    found: list[Any] = []
    for token in significant(text, "postgresql"):
        kind, start, end = token
        if kind == "dollar" and not body:
            quote = text.index("$", start + 1) + 1 - start
            found.append(_meaning(text[start + quote : end - quote], body=True))
        else:
            found.append(normal_token(text, token))
    return found
