"""The normal form of a statement: its tokens with one space between, comments gone, unquoted words folded.

Reading the normal form gives exactly the tokens it was made of, so that two statements have the same form only if
they mean the same to the database.
"""

from __future__ import annotations

import re
from functools import cache

from bascule.domain.statement import Dialect, Statement
from bascule.sql.lexer import Token, fold, scan

_MEANS_NOTHING = ("space", "comment")


def normal_form(statement: Statement, dialect: Dialect) -> str:
    """The statement on one line, but for what literals hold; the rows of a COPY follow, exactly as they stand."""
    text = statement.text
    form = " ".join([normal_token(text, token) for token in scan(text, dialect) if token[0] not in _MEANS_NOTHING])
    return form if statement.copy_data is None else f"{form};\n{statement.copy_data}\\.\n"


def normal_token(text: str, token: Token) -> str:
    """A token as it counts: words folded, everything else byte for byte (but the layout between parts of a literal)."""
    kind, start, end = token
    if kind == "word":
        return fold(text[start:end])
    if kind == "string" and ("\n" in text[start:end] or "\r" in text[start:end]):
        return _joined_parts(text[start:end])
    return text[start:end]


def _joined_parts(literal: str) -> str:
    """PostgreSQL reads 'a'<line end>'b' as one literal: what stands between the parts is layout."""
    parts = [part for part in _parts(literal[0] in "eE").findall(literal) if not part.startswith("--")]
    return "\n".join(parts) if len(parts) > 1 else literal


@cache
def _parts(escapes: bool) -> re.Pattern[str]:
    body = r"(?:[^'\\]++|''|\\.)*+" if escapes else r"[^']*+(?:''[^']*+)*+"
    return re.compile(rf"(?:[A-Za-z]|[uU]&)?'{body}'|--[^\n\r]*+", re.DOTALL)
