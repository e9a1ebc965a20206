"""A statement as those may read it who must not see what it is about: its words and names, and nothing it says of rows.

PostgreSQL's own normaliser (``pg_query_normalize``) is no help here: it takes constants out of queries, and leaves them
in definitions (``DEFAULT 'x'``), in ``DO`` blocks and in settings. So every token that is a literal goes.
"""

from __future__ import annotations

from typing import Final

from bascule.domain.statement import Dialect
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import Token, fold, significant

HIDDEN: Final = "?"
LONGEST: Final = 4000
"""Characters of the answer, after which it is cut off."""

_LITERAL: Final = frozenset({"string", "dollar", "number", "meta"})
_WITH_VALUES: Final = frozenset({"role", "user", "group", "database", "system", "function", "procedure", "routine"})
"""Objects to which SET gives a setting, of which the value may be a bare word."""
_BEFORE_NAMES: Final = frozenset(
    {"add", "column", "exists", "from", "index", "into", "join", "references", "rename", "set", "table", "to"}
    | {"trigger", "update", "view"}
)
"""Words of SQLite after which a quoted text is a name. Elsewhere one that names nothing is taken for a literal."""
_NO_SPACE_BEFORE: Final = frozenset({",", ")", ";", ".", "::", "]"})
_NO_SPACE_AFTER: Final = frozenset({"(", ".", "::", "["})


def without_literals(text: str, dialect: Dialect) -> str:
    """The statement on one line, ``?`` in the place of each literal, without comments. Raises nothing: behind what
    cannot be read (a text that was cut off) nothing is shown.
    """
    shown: list[str] = []
    length = 0
    reader = _Reader(dialect)
    try:
        for token in significant(text, dialect):
            piece = reader.shown(text, token)
            gap = "" if _close(shown, piece, text, token) else " "
            shown.append(gap + piece)
            length += len(gap) + len(piece)
            if reader.over:
                break
            if length > LONGEST:
                # Never within a name, of which a part may tell what the whole is not to.
                shown.append(" …")
                break
    except SqlSyntaxProblem:
        shown.append(f" {HIDDEN}")
    return "".join(shown).strip()


class _Reader:
    """Goes along a statement, and knows of what kind it is."""

    def __init__(self, dialect: Dialect) -> None:
        self._postgresql = dialect == "postgresql"
        self._words: list[str] = []
        """The unquoted ones so far, folded."""
        self._last = ("", "")
        """The two tokens before, words folded."""
        self._sets = False
        self.over = False
        """The rest is a value."""

    def shown(self, text: str, token: Token) -> str:
        """How the token is shown."""
        kind, start, end = token
        piece = text[start:end]
        word = fold(piece) if kind == "word" else piece
        answer = HIDDEN if kind in _LITERAL or (kind == "quoted" and self._may_be_text(text, token)) else piece
        if self._sets and word in ("=", "to", "("):
            self.over, answer = True, f"{piece} {HIDDEN}" if word != "(" else HIDDEN
        if kind == "word":
            self._words.append(word)
            self._sets = self._sets or self._begins_setting(word)
        self._last = (self._last[1], word)
        return answer

    def _begins_setting(self, word: str) -> bool:
        """From here on a bare word may be a value."""
        first = self._words[0]
        if not self._postgresql:
            return first == "pragma"
        if word != "set":
            return False
        if len(self._words) == 1:
            return True
        return first in ("alter", "create") and not _WITH_VALUES.isdisjoint(self._words[1:5])

    def _may_be_text(self, text: str, token: Token) -> bool:
        _, start, end = token
        if self._postgresql or text[start] != '"' or text[end : end + 1] == ".":
            return False
        before, last = self._last
        if last == "from" and before == "distinct":
            return True
        return last not in _BEFORE_NAMES and last != "."


def _close(shown: list[str], piece: str, text: str, token: Token) -> bool:
    """Whether it stands right behind the one before."""
    if not shown or piece in _NO_SPACE_BEFORE or shown[-1].lstrip() in _NO_SPACE_AFTER:
        return True
    return token[1] > 0 and not text[token[1] - 1].isspace() and text[token[1] - 1] != "/"


_BETWEEN: Final = frozenset(
    {"or", "replace", "unique", "temp", "temporary", "unlogged", "global", "local", "recursive", "trusted", "virtual"}
    | {"constraint"}
)
"""Words between CREATE and what is created."""
_OF_TWO: Final = frozenset(
    {"materialized", "foreign", "event", "user", "access", "operator", "text", "default", "large", "procedural"}
)
"""First words of the names of objects that have two."""
_ABOUT_OBJECTS: Final = frozenset({"create", "alter", "drop"})


def operation_name(text: str, dialect: Dialect) -> str:
    """What a statement does, as ``CREATE TABLE`` or ``INSERT``; empty where it begins with no word."""
    words: list[str] = []
    try:
        for kind, start, end in significant(text, dialect):
            if kind != "word":
                break
            word = fold(text[start:end])
            if not words and word not in _ABOUT_OBJECTS:
                return word.upper()
            if words and word in _BETWEEN and len(words) == 1:
                continue
            words.append(word)
            if len(words) == 3 or (len(words) == 2 and not _goes_on(words[1])):
                break
    except SqlSyntaxProblem:
        pass
    return " ".join(words).upper()


def _goes_on(word: str) -> bool:
    return word in _OF_TWO
