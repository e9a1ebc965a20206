"""SQLite's definitions, which it keeps as text, taken apart into columns, constraints and the rest.

Quoting, white space, comments and letter case of names and keywords do not count: to SQLite a name is the same however
it is written. A constraint means the same beside its column and at the end of the table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant

_CONSTRAINTS_OF_A_TABLE = frozenset(("constraint", "primary", "unique", "check", "foreign"))
_CONSTRAINTS_OF_A_COLUMN = frozenset(
    ("constraint", "primary", "not", "null", "unique", "check", "default", "collate", "references", "generated", "as")
)
_ROW_IDS = frozenset(("rowid", "oid", "_rowid_"))
_VALUES = frozenset(("null", "true", "false", "current_time", "current_date", "current_timestamp"))
"""Words that stand for themselves as a DEFAULT."""
_BEFORE_A_NAME = frozenset(
    ("as", "collate", "from", "join", "into", "update", "on", "of", "references", "table", "index", "view", "trigger")
)
_TEXTS = ("indexes", "triggers")
_TIGHT_AFTER = ("(", ".")
_TIGHT_BEFORE = (")", ",", ".", "(")


class Word(NamedTuple):
    """A token as it counts."""

    text: str
    plain: bool
    """Not quoted, so that it may be a keyword."""
    string: str = ""
    """How the token reads where SQLite takes it for a string: in double quotes, where no such name is known."""
    alone: str = ""
    """The same for a token that is a DEFAULT all by itself: any word."""


Words = list[Word]


def read(parts: Mapping[str, Any], names: Collection[str] = ()) -> Mapping[str, Any]:
    """The parts with their texts taken apart; those of a database that keeps no texts (PostgreSQL) as they are.

    `names`, as `names_in` gives them: what double quotes may stand around in an index, a trigger or a view without
    making it a string.
    """
    items = [item for part in _TEXTS for item in parts.get(part, {}).values()]
    if "sql" not in parts and not any(isinstance(item, str) for item in items):
        return parts
    found = {name: value for name, value in parts.items() if name not in ("sql", "named", *_TEXTS)}
    if "sql" in parts:
        found.update(_relation(parts["sql"], names))
    named = parts.get("named", ())
    for part in _TEXTS:
        if part in parts:
            found[part] = {name: _item(text, names, named=name in named) for name, text in parts[part].items()}
    return found


def names_in(objects: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The names of these objects, and of the columns of those that have a text."""
    found = {fold(key.partition(" ")[2]) for key in objects}
    for parts in objects.values():
        if "sql" in parts:
            found.update(column["name"] for column in _relation(parts["sql"], ()).get("columns", ()))
    return frozenset(found)


def _item(text: str, names: Collection[str], *, named: bool) -> dict[str, Any]:
    """An index or trigger: its definition without its name."""
    words = _words(text)
    at = _position(words, "index", "trigger")
    if at is not None:
        start = _after_name(words, at + 1)
        words = [*words[: at + 1], *words[start:]]
    return {"definition": _text(_unless_named(words, names)), **({"named": True} if named else {})}


def _relation(text: str, names: Collection[str]) -> dict[str, Any]:
    words = _words(text)
    at = _position(words, "table")
    body = _after_name(words, at + 1) if at is not None else len(words)
    if body >= len(words) or words[body].text != "(" or words[1].text == "virtual":
        return {"definition": _text(_unless_named(words, names))}
    end = _closing(words, body)
    found: dict[str, Any] = {"columns": [], "constraints": {}}
    items = _split(words[body + 1 : end])
    columns = {_plain_name(item[0]) for item in items if not _is_constraint(item)} | _ROW_IDS
    for item in items:
        if _is_constraint(item):
            _constraint(found, item, columns)
        else:
            _column(found, item, columns)
    options = sorted(_text(option) for option in _split(words[end + 1 :]))
    return found | ({"options": options} if options else {})


def _is_constraint(item: Words) -> bool:
    return item[0].plain and item[0].text in _CONSTRAINTS_OF_A_TABLE


# Columns


def _column(found: dict[str, Any], words: Words, columns: Collection[str]) -> None:
    name = _plain_name(words[0])
    column: dict[str, Any] = {"name": name, "type": "", "not_null": False}
    pieces = _pieces(words[1:])
    column["type"] = _text(pieces.pop(0))
    found["columns"].append(column)
    label = ""
    for piece in pieces:
        if piece[0].text == "constraint":
            label = _plain_name(piece[1]) if len(piece) > 1 else ""
            continue
        if not _property(column, piece, columns):
            _keep(found, label, _of_column(name, piece), columns)
        label = ""


def _pieces(words: Words) -> list[Words]:
    """The type, then each constraint of a column; ``CONSTRAINT name`` is a piece of its own."""
    pieces: list[Words] = [[]]
    depth = 0
    for place, word in enumerate(words):
        begins = depth == 0 and word.plain and word.text in _CONSTRAINTS_OF_A_COLUMN
        if begins and not _goes_on(pieces[-1], words, place):
            pieces.append([])
        depth += (word.text == "(") - (word.text == ")")
        pieces[-1].append(word)
    return pieces


def _goes_on(piece: Words, words: Words, place: int) -> bool:
    """A keyword in a constraint: NOT NULL, ALWAYS AS, SET NULL, SET DEFAULT, DEFAULT NULL, NOT DEFERRABLE, a name."""
    word, before = words[place].text, piece[-1].text if piece else ""
    following = words[place + 1].text if place + 1 < len(words) else ""
    if not piece:
        return False
    first = piece[0].text
    return (
        (word == "null" and before in ("not", "set", "default"))
        or (word == "default" and before == "set")
        or (word == "as" and before == "always")
        or (word == "not" and first == "references" and following == "deferrable")
        or (len(piece) == 1 and first in ("constraint", "collate", "references"))
        or (len(piece) == 1 and first == "default")
    )


def _property(column: dict[str, Any], piece: Words, columns: Collection[str]) -> bool:
    """Write down what is the column's own; False for what is a constraint of the table."""
    first, rest = piece[0].text, piece[1:]
    if first == "not":
        column["not_null"] = True
        if len(piece) > 2:
            column["not_null_conflict"] = _text(piece[2:])
    elif first == "default":
        column["default"] = _text(_bare(_default(rest)))
    elif first == "collate":
        column["collation"] = _text(rest)
    elif first in ("generated", "as"):
        expression = [word for word in piece if word.text not in ("generated", "always")]
        column["generated"] = _text(_strings(expression, columns))
    elif first != "null":
        return False
    return True


def _default(words: Words) -> Words:
    """A default speaks of no column: what looks like a name is a string."""
    if len(words) == 1 and words[0].alone and not (words[0].plain and words[0].text in _VALUES):
        return [Word(words[0].alone, plain=False)]
    return _strings(words, ())


def _of_column(name: str, piece: Words) -> Words:
    """The constraint as it would stand at the end of the table."""
    column = [Word("(", plain=True), Word(name, plain=False), Word(")", plain=True)]
    if piece[0].text == "primary":
        return [*piece[:2], *column, *(word for word in piece[2:] if word.text != "asc")]
    if piece[0].text == "unique":
        return [piece[0], *column, *piece[1:]]
    if piece[0].text == "references":
        return [Word("foreign", plain=True), Word("key", plain=True), *column, *piece]
    return piece


# Constraints


def _constraint(found: dict[str, Any], words: Words, columns: Collection[str]) -> None:
    label = ""
    if words[0].text == "constraint" and len(words) > 2:
        label, words = _plain_name(words[1]), words[2:]
    _keep(found, label, words, columns)


def _keep(found: dict[str, Any], label: str, words: Words, columns: Collection[str]) -> None:
    definition = _text(_strings(words, columns) if words[0].text == "check" else words)
    found["constraints"][label or definition] = {"definition": definition}


# Words


def _words(text: str) -> Words:
    try:
        return [_word(kind, text[start:end]) for kind, start, end in significant(text, "sqlite")]
    except SqlSyntaxProblem:
        # SQLite has accepted it; whatever it is, it counts as it stands.
        return [Word(text, plain=False)]


def _word(kind: str, text: str) -> Word:
    if kind == "quoted":
        quote = "]" if text[0] == "[" else text[0]
        inner = text[1:-1] if quote == "]" else text[1:-1].replace(quote * 2, quote)
        string = "'" + inner.replace("'", "''") + "'"
        name = fold(inner) if inner.isidentifier() else f'"{fold(inner)}"'
        return Word(name, plain=False, string=string if quote == '"' else "", alone=string)
    if kind == "word":
        return Word(fold(text), plain=True, alone=f"'{text}'")
    return Word(fold(text) if kind == "number" else text, plain=kind != "string")


def _strings(words: Words, names: Collection[str]) -> Words:
    """The words of an expression in which only these `names` can stand: else what is in double quotes is a string."""
    return [
        Word(word.string, plain=False)
        if word.string and word.text not in names and not _must_be_name(words, at)
        else word
        for at, word in enumerate(words)
    ]


def _unless_named(words: Words, names: Collection[str]) -> Words:
    """The words of a statement, in which names stand that are not known: in double quotes and in small letters it is
    taken for a name, so that it is the same as without quotes; with capitals for a string, to which they matter.
    """
    small = {word.text for word in words if word.string == f"'{word.text}'"}
    return _strings(words, {*names, *small})


def _must_be_name(words: Words, at: int) -> bool:
    """Where no string can stand: beside a dot, before the parenthesis of a call, behind AS, COLLATE, FROM…"""
    before = words[at - 1] if at else Word("", plain=False)
    after = words[at + 1].text if at + 1 < len(words) else ""
    return before.text == "." or after in (".", "(") or (before.plain and before.text in _BEFORE_A_NAME)


def _plain_name(word: Word) -> str:
    """SQLite takes a string for a name where only a name can stand."""
    return fold(word.text[1:-1]) if word.text.startswith("'") else word.text


def _position(words: Words, *wanted: str) -> int | None:
    return next((place for place, word in enumerate(words[:4]) if word.plain and word.text in wanted), None)


def _after_name(words: Words, place: int) -> int:
    """The place behind ``[IF NOT EXISTS] [schema.]name``."""
    if [word.text for word in words[place : place + 3]] == ["if", "not", "exists"] and words[place].plain:
        place += 3
    place += 1
    return place + 2 if place < len(words) and words[place].text == "." else place


def _closing(words: Words, opening: int) -> int:
    depth = 0
    for place in range(opening, len(words)):
        depth += (words[place].text == "(") - (words[place].text == ")")
        if depth == 0:
            return place
    return len(words)


def _split(words: Words) -> list[Words]:
    """At the commas of the outermost level."""
    items: list[Words] = [[]]
    depth = 0
    for word in words:
        depth += (word.text == "(") - (word.text == ")")
        if word.text == "," and depth == 0:
            items.append([])
        else:
            items[-1].append(word)
    return [item for item in items if item]


def _bare(words: Words) -> Words:
    """Without parentheses around a single value: DEFAULT (0) and DEFAULT 0 are the same."""
    while len(words) >= 3 and words[0].text == "(" and _closing(words, 0) == len(words) - 1 and len(words) == 3:
        words = words[1:-1]
    return words


def _text(words: Words) -> str:
    text = previous = ""
    for word, *_ in words:
        text += word if not previous or previous in _TIGHT_AFTER or word in _TIGHT_BEFORE else f" {word}"
        previous = word
    return text
