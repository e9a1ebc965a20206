"""Expressions of a statement as they were written. The parse tree says that they are there; it does not write SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bascule.sql.lexer import TokenKind, fold, significant

_OPENS, _CLOSES = ("(", "["), (")", "]")


class Pieces:
    """The tokens of a statement, or of a part of it, with the depth of parentheses at which each stands."""

    __slots__ = ("_text", "_tokens")

    def __init__(self, text: str, tokens: Sequence[tuple[TokenKind, int, int, int]] | None = None) -> None:
        """Raises SqlSyntaxProblem for text that cannot be cut into tokens."""
        self._text = text
        self._tokens = tuple(_deep(text)) if tokens is None else tuple(tokens)

    def split(self) -> list[Pieces]:
        """The parts between commas that stand outside of parentheses."""
        parts: list[list[tuple[TokenKind, int, int, int]]] = [[]]
        outside = self._tokens[0][3] if self._tokens else 0
        for token in self._tokens:
            if token[3] == outside and self._text[token[1] : token[2]] == ",":
                parts.append([])
            else:
                parts[-1].append(token)
        return [Pieces(self._text, part) for part in parts]

    def commands(self) -> list[Pieces]:
        """The parts of an ALTER TABLE, which begins here, behind the table's name."""
        words = [text for _, text in self.words]
        at = words.index("table") + 1
        at += 2 if words[at : at + 2] == ["if", "exists"] else 0
        at += words[at] == "only"
        while words[at + 1] == ".":
            at += 2
        at += 2 if words[at + 1] == "*" else 1
        return Pieces(self._text, self._tokens[at:]).split()

    def without_first(self) -> Pieces:
        """All but the first token."""
        return Pieces(self._text, self._tokens[1:])

    def before(self, *words: str) -> Pieces:
        """What stands before the first of these words outside of parentheses; all, where none does."""
        outside = self._tokens[0][3] if self._tokens else 0
        for at, (kind, start, end, depth) in enumerate(self._tokens):
            if depth == outside and kind == "word" and fold(self._text[start:end]) in words:
                return Pieces(self._text, self._tokens[:at])
        return self

    def after(self, *words: str) -> Pieces | None:
        """What stands behind the first of these words outside of parentheses; None where none does."""
        outside = self._tokens[0][3] if self._tokens else 0
        for at, (kind, start, end, depth) in enumerate(self._tokens):
            if depth == outside and kind == "word" and fold(self._text[start:end]) in words:
                return Pieces(self._text, self._tokens[at + 1 :])
        return None

    def inside(self) -> Pieces | None:
        """What the first pair of parentheses holds; None where there is none."""
        outside = self._tokens[0][3] if self._tokens else 0
        inner: list[tuple[TokenKind, int, int, int]] = []
        opened = False
        for token in self._tokens:
            text = self._text[token[1] : token[2]]
            if token[3] == outside and opened and text == ")":
                return Pieces(self._text, inner)
            if opened:
                inner.append(token)
            elif token[3] == outside and text == "(":
                opened = True
        return None

    def expression(self) -> str:
        """Of an index's part: the expression alone, without collation, operator class and order."""
        outside = self._tokens[0][3] if self._tokens else 0
        for _, start, end, depth in self._tokens:
            if depth == outside and self._text[start:end] == ")":
                return self._text[self._tokens[0][1] : end]
        return self.text

    @property
    def text(self) -> str:
        """As it was written, comments within included."""
        return self._text[self._tokens[0][1] : self._tokens[-1][2]] if self._tokens else ""

    @property
    def words(self) -> Iterator[tuple[TokenKind, str]]:
        """Kind and text of the tokens, unquoted words folded."""
        for kind, start, end, _ in self._tokens:
            yield kind, fold(self._text[start:end]) if kind == "word" else self._text[start:end]

    def replaced(self, word: str, by: str) -> str:
        """The text, with an unquoted word in it replaced wherever it stands."""
        made, at = [], self._tokens[0][1] if self._tokens else 0
        for kind, start, end, _ in self._tokens:
            if kind == "word" and fold(self._text[start:end]) == word:
                made += [self._text[at:start], by]
                at = end
        return "".join((*made, self._text[at : self._tokens[-1][2]])) if self._tokens else ""


def _deep(text: str) -> Iterator[tuple[TokenKind, int, int, int]]:
    """Tokens with their depth; a parenthesis has the depth of what stands around the pair."""
    depth = 0
    for kind, start, end in significant(text, "postgresql"):
        token = text[start:end] if end - start == 1 else ""
        depth -= token in _CLOSES
        yield kind, start, end, depth
        depth += token in _OPENS
