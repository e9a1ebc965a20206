"""A SQLite statement as a row of tokens to be read from left to right."""

from __future__ import annotations

from bascule.domain.statement import ObjectName
from bascule.sql.lexer import TokenKind, fold, significant

_QUOTES = {'"': '"', "`": "`", "'": "'", "[": "]"}


class Words:
    """The significant tokens of a statement: unquoted words in lower case, everything else as written."""

    __slots__ = ("_at", "kinds", "texts")

    def __init__(self, text: str) -> None:
        self.kinds: list[TokenKind] = []
        self.texts: list[str] = []
        self._at = 0
        for kind, start, end in significant(text, "sqlite"):
            self.kinds.append(kind)
            self.texts.append(fold(text[start:end]) if kind == "word" else text[start:end])

    def peek(self, ahead: int = 0) -> str:
        """The token there, or nothing behind the last one."""
        place = self._at + ahead
        return self.texts[place] if place < len(self.texts) else ""

    def take(self, *wanted: str) -> bool:
        """Step over these words if they stand here, all of them."""
        if tuple(self.texts[self._at : self._at + len(wanted)]) != wanted:
            return False
        self._at += len(wanted)
        return True

    def take_any(self, *wanted: str) -> str:
        """Step over one word if it is one of these, and say which; nothing where it is none."""
        word = self.peek()
        if word not in wanted:
            return ""
        self._at += 1
        return word

    def name(self) -> str:
        """Step over one name and give it as SQLite compares it: without quotes, in lower case even if it had any."""
        token = self.peek()
        self._at += 1
        return fold(unquoted(token))

    def relation(self) -> ObjectName:
        """Step over the name of a table, view or index, and that of its database (main, temp…) if it is written."""
        first = self.name()
        if not self.take("."):
            return ObjectName(kind="relation", name=first)
        return ObjectName(kind="relation", name=self.name(), schema=first)

    def skip_to(self, *wanted: str) -> str:
        """Go on to the next of these words outside of parentheses and stop before it; nothing where there is none."""
        depth = 0
        while token := self.peek():
            if depth == 0 and token in wanted and self.kinds[self._at] in ("word", "symbol"):
                return token
            depth += (token == "(") - (token == ")")
            self._at += 1
        return ""

    def holds(self, *wanted: str) -> bool:
        """Whether these tokens follow each other anywhere in the statement."""
        size = len(wanted)
        return any(tuple(self.texts[at : at + size]) == wanted for at in range(len(self.texts) - size + 1))


def unquoted(token: str) -> str:
    """The name inside a quoted identifier (or a string, which SQLite takes for one too)."""
    closing = _QUOTES.get(token[:1])
    if closing is None or len(token) < 2:
        return token
    return token[1:-1].replace(closing * 2, closing) if closing != "]" else token[1:-1]
