"""A CREATE TABLE of SQLite, as far as its demands on rows go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bascule.sql.lexer import fold, significant
from bascule.sql.sqlite.words import unquoted

Token = tuple[str, str, int, int]
"""Kind, text (unquoted words folded), start, end."""

_TABLE_CONSTRAINTS = ("constraint", "primary", "unique", "check", "foreign")


@dataclass(slots=True, kw_only=True)
class Column:
    """One column."""

    name: str
    type: str = ""
    not_null: bool = False
    fills: bool = False
    """A default that is not NULL, or a generated value."""
    generated: bool = False
    unique: bool = False
    primary: bool = False
    tolerant: bool = False
    """ON CONFLICT with something else than an end: rows that offend are dropped, or others for them."""
    collation: str = ""
    refers: bool = False


@dataclass(slots=True, kw_only=True)
class Definition:
    """One table."""

    name: str
    schema: str | None = None
    only_if_missing: bool = False
    columns: list[Column] = field(default_factory=list)
    unique: list[tuple[str, ...]] = field(default_factory=list)
    """Of several columns, or of one."""
    checks: list[str] = field(default_factory=list)
    without_rowid: bool = False

    def column(self, name: str) -> Column | None:
        """The one of that name."""
        return next((each for each in self.columns if each.name == name), None)


def tokens_of(text: str) -> list[Token]:
    """Raises SqlSyntaxProblem."""
    return [
        (kind, fold(text[start:end]) if kind == "word" else text[start:end], start, end)
        for kind, start, end in significant(text, "sqlite")
    ]


def name_of(token: Token) -> str:
    """An identifier as SQLite compares it."""
    return fold(unquoted(token[1]))


def group(tokens: Sequence[Token], at: int) -> int:
    """Where the parenthesis that opens at `at` is closed; the end, where it never is."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place][1] == "(") - (tokens[place][1] == ")")
        if depth == 0:
            return place
    return len(tokens)


def parts(tokens: Sequence[Token]) -> list[list[Token]]:
    """What commas outside of parentheses separate."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token[1] == "(") - (token[1] == ")")
        if token[1] == "," and depth == 0:
            found.append([])
        else:
            found[-1].append(token)
    return found


def read_table(text: str) -> Definition | None:
    """What a CREATE TABLE with columns says; None for every other statement. Raises SqlSyntaxProblem."""
    tokens = tokens_of(text)
    at = 1
    if not tokens or tokens[0][1] != "create":
        return None
    at += tokens[at][1] in ("temp", "temporary")
    if [token[1] for token in tokens[at : at + 1]] != ["table"]:
        return None
    at += 1
    only_if_missing = [token[1] for token in tokens[at : at + 3]] == ["if", "not", "exists"]
    at += 3 if only_if_missing else 0
    schema = None
    if at + 1 < len(tokens) and tokens[at + 1][1] == ".":
        schema, at = name_of(tokens[at]), at + 2
    if at + 1 >= len(tokens) or tokens[at + 1][1] != "(":
        return None
    found = Definition(name=name_of(tokens[at]), schema=schema, only_if_missing=only_if_missing)
    end = group(tokens, at + 1)
    found.without_rowid = any(token[1] == "rowid" for token in tokens[end:])
    for part in parts(tokens[at + 2 : end]):
        if part and part[0][0] == "word" and part[0][1] in _TABLE_CONSTRAINTS:
            _constraint(found, part, text)
        elif part:
            _column(found, part, text)
    return found


def read_column(tokens: Sequence[Token], text: str) -> tuple[Column, list[str]]:
    """A column's definition and the conditions of its CHECKs."""
    found = Definition(name="")
    _column(found, tokens, text)
    return found.columns[0], found.checks


def _column(table: Definition, tokens: Sequence[Token], text: str) -> None:
    column = Column(name=name_of(tokens[0]))
    table.columns.append(column)
    at = 1
    types: list[str] = []
    while at < len(tokens):
        word = tokens[at][1] if tokens[at][0] in ("word", "symbol") else ""
        if word == "(":
            at = group(tokens, at)
        elif word in _SAID:
            at = _clause(table, column, tokens, at, text)
        elif at == len(types) + 1:
            types.append(tokens[at][1])
        at += 1
    column.type = " ".join(types).lower()


_OF_VALUES = ("not", "null", "check", "default", "collate", "generated", "as", "references", "conflict")
_OF_KEYS = ("primary", "unique", "constraint", "on", "autoincrement", "asc", "desc")
_SAID = frozenset((*_OF_VALUES, *_OF_KEYS))


def _clause(table: Definition, column: Column, tokens: Sequence[Token], at: int, text: str) -> int:
    """One word of a column's constraints with what belongs to it; answers where it ends."""
    word = tokens[at][1]
    following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
    match word, following:
        case "not", "null":
            column.not_null = True
            return at + 1
        case "conflict", "ignore" | "replace":
            column.tolerant = True
        case "collate", _:
            column.collation = name_of(tokens[at + 1])
            return at + 1
        case "default", _:
            column.fills = following != "null"
            return group(tokens, at + 1) if following == "(" else at + 1
        case "check", "(":
            end = group(tokens, at + 1)
            table.checks.append(_between(tokens, at + 1, end, text))
            return end
        case _:
            column.primary = column.primary or word == "primary"
            column.unique = column.unique or word == "unique"
            column.refers = column.refers or word == "references"
            if word in ("generated", "as"):
                column.generated = column.fills = True
    return at


def _constraint(table: Definition, tokens: Sequence[Token], text: str) -> None:
    words = [token[1] for token in tokens]
    tolerant = any(a == "conflict" and b in ("ignore", "replace") for a, b in pairwise(words))
    at = 2 if words[0] == "constraint" else 0
    kind = words[at] if at < len(words) else ""
    opens = next((place for place in range(at, len(tokens)) if words[place] == "("), None)
    if opens is None or tolerant:
        return
    end = group(tokens, opens)
    if kind == "check":
        table.checks.append(_between(tokens, opens, end, text))
    elif kind in ("unique", "primary"):
        columns = [part for part in parts(tokens[opens + 1 : end]) if part]
        if all(len(part) == 1 or part[1][1] in ("asc", "desc") for part in columns):
            names = tuple(name_of(part[0]) for part in columns)
            sole = table.column(names[0]) if len(names) == 1 and kind == "primary" else None
            if sole is not None and sole.type == "integer":
                sole.primary = True
            else:
                table.unique.append(names)


def _between(tokens: Sequence[Token], opens: int, closes: int, text: str) -> str:
    return text[tokens[opens][3] : tokens[closes - 1][3]] if closes - 1 > opens else ""
