"""SQL text to tokens, in PostgreSQL's and SQLite's spelling.

Nothing is lost: the texts of all tokens, put together, are the input. One compiled expression does the work; only
nested comments and dollar-quoted bodies, which no expression can count, are closed by hand. Every repetition in it is
possessive, so that the time is linear in the text whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Literal

from bascule.domain.statement import Dialect
from bascule.sql.errors import SqlSyntaxProblem

TokenKind = Literal[
    "space", "comment", "word", "quoted", "string", "dollar", "number", "parameter", "operator", "symbol", "meta"
]
"""``quoted`` is a quoted identifier, ``dollar`` a dollar-quoted string, ``symbol`` one of ``, ; ( ) [ ] . :``, one of
the pairs ``:: := ..``, or a character that SQL does not know, ``meta`` a psql command up to the end of its line."""

Token = tuple[TokenKind, int, int]
"""Kind, start and end offset. A bare tuple: a file of five megabytes has more than a million of them."""

_Branch = tuple[TokenKind | Literal["open"], str]

# Sets of what a name holds, said by what it does not hold: re takes a hundred times as long to compile one that reaches
# to U+10FFFF.
_NAME_BEGINS = r"[^\x00-@\[-\^`{-\x7f]"
_NAME_GOES_ON = r"[^\x00-/:-@\[-\^`{-\x7f]"
_NAME_OR_DOLLAR = r"[^\x00-#%-/:-@\[-\^`{-\x7f]"
_NAME_DOLLAR_COLON = r"[^\x00-#%-/;-@\[-\^`{-\x7f]"
_QUOTED = r"'[^']*+(?:''[^']*+)*+'"
_DIGITS = r"[0-9](?:_?[0-9])*+"
_EXPONENT = rf"(?:[eE][+-]?{_DIGITS})?"
_NUMBERS = (
    r"0[xX](?:_?[0-9A-Fa-f])++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++"
    rf"|{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?{_EXPONENT}|\.{_DIGITS}{_EXPONENT}"
)
# A literal goes on after white space that holds a line end, in the same manner of escaping: E'a'<newline>'\'' is one.
_CONTINUED = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+"

# An operator never runs into a comment, and ends in + or - only if it also holds one of ~ ! @ # % ^ & | ` ?
_OPERATORS = (
    r"(?:(?!--|/\*)[+\-*/<>=]){0,63}+[~!@#%^&|`?](?:(?!--|/\*)[+\-*/<>=~!@#%^&|`?])*+"
    r"|(?:(?!--|/\*)[+\-*/<>=]){0,63}(?!/\*)[*/<>=]"
    r"|[+\-]"
)

# The branches begin with a literal or a set wherever they can: the engine then skips them without entering.
_POSTGRESQL: tuple[_Branch, ...] = (
    ("space", r"[ \t\n\r\f\v]++"),
    ("string", rf"{_QUOTED}(?:{_CONTINUED}{_QUOTED})*+"),
    ("string", rf"[eE]'(?:[^'\\]++|''|\\.)*+'(?:{_CONTINUED}'(?:[^'\\]++|''|\\.)*+')*+"),
    ("string", rf"[bBxX]'[^']*+'(?:{_CONTINUED}'[^']*+')*+"),
    ("string", rf"[nN]{_QUOTED}(?:{_CONTINUED}{_QUOTED})*+"),
    ("string", rf"[uU]&{_QUOTED}(?:{_CONTINUED}{_QUOTED})*+"),
    ("quoted", r'[uU]&"[^"]*+(?:""[^"]*+)*+"'),
    ("open", r"[eEbBxXnN]'|[uU]&['\"]"),
    ("space", r"^\ufeff"),
    ("word", rf"{_NAME_BEGINS}{_NAME_OR_DOLLAR}*+"),
    ("symbol", r"[,;()\[\]]"),
    ("number", _NUMBERS),
    ("quoted", r'"[^"]*+(?:""[^"]*+)*+"'),
    ("comment", r"--[^\n\r]*+"),
    ("comment", r"/\*[^*/]*+(?:(?:\*(?!/)|/(?!\*))[^*/]*+)*+\*/"),
    ("open", r"/\*"),
    ("operator", _OPERATORS),
    ("symbol", r"::|:=|\.\.|[:.]"),
    ("parameter", r"\$[0-9]++"),
    ("open", rf"\$(?:{_NAME_BEGINS}{_NAME_GOES_ON}*+)?\$"),
    ("meta", r"\\[^\n\r]*+"),
    ("open", r"['\"]"),
    ("symbol", r"(?s:.)"),
)

_SQLITE: tuple[_Branch, ...] = (
    ("space", r"[ \t\n\r\f]++"),
    ("string", _QUOTED),
    ("string", rf"[xX]{_QUOTED}"),
    ("open", r"[xX]'"),
    ("space", r"^\ufeff"),
    ("word", rf"{_NAME_BEGINS}{_NAME_OR_DOLLAR}*+"),
    ("symbol", r"[,;()]"),
    ("number", _NUMBERS),
    ("quoted", r'"[^"]*+(?:""[^"]*+)*+"'),
    ("quoted", r"`[^`]*+(?:``[^`]*+)*+`"),
    ("quoted", r"\[[^\]]*+\]"),
    ("comment", r"--[^\n]*+"),
    ("comment", r"/\*(?s:.*?)\*/"),
    ("open", r"/\*"),
    ("operator", r"\|\||<<|<=|<>|>>|>=|==|!=|->>?|[+\-*/%<>=&|~!]"),
    ("parameter", rf"\?[0-9]*+|[@:#$]{_NAME_OR_DOLLAR}{_NAME_DOLLAR_COLON}*+"),
    ("symbol", r"[.:]"),
    ("open", r"['\"`\[]"),
    ("symbol", r"(?s:.)"),
)

_COMMENT_EDGE = r"/\*|\*/"

_NEVER_CLOSED = {"'": "string", '"': "quoted identifier", "`": "quoted identifier", "[": "quoted identifier"}


def scan(text: str, dialect: Dialect, start: int = 0) -> Iterator[Token]:
    """The tokens of `text` from `start` (where a token must begin) to its end.

    Raises SqlSyntaxProblem, when it gets there, for a string, quoted identifier, comment or dollar quote never closed.
    """
    pattern, kinds = _lexicon(dialect)
    at = start
    while at < len(text):
        for match in pattern.finditer(text, at):
            kind = kinds[match.lastindex or 0]
            end = match.end()
            if kind == "open":
                yield (found := _close(text, at, end))
                at = found[2]
                break
            yield kind, at, end
            at = end


def significant(text: str, dialect: Dialect) -> Iterator[Token]:
    """The tokens that mean something: neither white space nor comments."""
    return (token for token in scan(text, dialect) if token[0] != "space" and token[0] != "comment")


def fold(word: str) -> str:
    """An unquoted word as the databases fold it: ASCII letters only, whatever the encoding of the database."""
    return word.lower() if word.isascii() else "".join(char.lower() if char.isascii() else char for char in word)


def line_at(text: str, offset: int, first_line: int = 1) -> int:
    """The line of `offset`, where the text begins on `first_line`."""
    return first_line + text.count("\n", 0, offset)


@cache
def _lexicon(dialect: Dialect) -> tuple[re.Pattern[str], tuple[TokenKind | Literal["open"], ...]]:
    """The expression, and the kinds of its branches, which an empty group at the end of each tells apart."""
    branches = _POSTGRESQL if dialect == "postgresql" else _SQLITE
    pattern = re.compile("|".join(f"(?:{expression})()" for _, expression in branches), re.DOTALL)
    return pattern, ("space", *(kind for kind, _ in branches))


def _close(text: str, start: int, opened: int) -> Token:
    """The token that began at `start` with the opener that ends at `opened`, which the expression could not close."""
    opener = text[start:opened]
    if opener == "/*":
        return "comment", start, _end_of_comment(text, start)
    if opener[0] == "$":
        closing = text.find(opener, opened)
        if closing < 0:
            raise _never_closed(text, start, f"dollar quote {opener}")
        return "dollar", start, closing + len(opener)
    raise _never_closed(text, start, _NEVER_CLOSED[opener[-1]])


def _end_of_comment(text: str, start: int) -> int:
    depth = 0
    for edge in re.compile(_COMMENT_EDGE).finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise _never_closed(text, start, "comment /*")


def _never_closed(text: str, start: int, what: str) -> SqlSyntaxProblem:
    return SqlSyntaxProblem(f"the {what} that begins here is never closed", offset=start, line=line_at(text, start))
