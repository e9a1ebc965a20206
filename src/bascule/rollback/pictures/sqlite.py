"""What a statement of SQLite makes of a picture of the schema, told by its words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bascule.domain.statement import Insight, Statement
from bascule.rollback.pictures.picture import ANY, Failing, Key, Picture
from bascule.rollback.reading import read
from bascule.sql.sqlite.words import Words

_NAME = r"(?:\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|'[^']*'|[\w$]+)"
_ADDED = re.compile(
    rf"\s*alter\s+table\s+{_NAME}(?:\s*\.\s*{_NAME})?\s+add\s+(?:column\s+)?(.*)\Z", re.IGNORECASE | re.DOTALL
)


def applied(picture: Picture, statement: Statement, insight: Insight) -> None:
    """Change the picture. Raises `Failing` for what would fail, `SqlSyntaxProblem` for what cannot be read."""
    if insight.touch.everything:
        why = next(iter(insight.touch.reasons), f"line {statement.line}: {insight.kind} cannot be followed")
        picture.unsure.append(why)
    words = Words(statement.text)
    if insight.temporary:
        return
    if words.take("create"):
        _create(picture, words, statement.text)
    elif words.take("drop"):
        _drop(picture, words)
    elif words.take("alter", "table"):
        _alter(picture, words, statement.text)
    elif insight.kind in ("INSERT", "UPDATE", "DELETE"):
        _rows(picture, words, statement.line)


def pictured(objects: Mapping[str, Mapping[str, Any]], picture: Picture) -> None:
    """Put into the picture what a look at the catalog has found."""
    for key, parts in objects.items():
        kind, _, name = key.partition(" ")
        if kind == "table" and isinstance(parts.get("sql"), str):
            _table(picture, name.lower(), parts["sql"])
            for index, sql in parts.get("indexes", {}).items():
                if isinstance(sql, str):
                    _index(picture, index.lower(), name.lower(), sql)
            for trigger, sql in parts.get("triggers", {}).items():
                picture.parts["trigger", name.lower(), trigger.lower()] = {"text": _definition("triggers", sql)}
        elif kind == "view":
            picture.parts["view", name.lower()] = {"text": ANY}


def _create(picture: Picture, words: Words, text: str) -> None:
    words.take("unique")
    kind = words.take_any("table", "index", "view", "trigger")
    unless = words.take("if", "not", "exists")
    name = words.relation().name
    if kind == "table":
        if ("table", name) in picture.parts and unless:
            return
        picture.put(("table", name), {})
        _table(picture, name, text)
    elif kind == "view":
        picture.put(("view", name), {"text": _definition("triggers", text)}, unless=unless)
    elif kind in ("index", "trigger"):
        words.skip_to("on")
        words.take("on")
        table = words.relation().name
        if kind == "trigger":
            value = {"text": _definition("triggers", text)}
            picture.put(("trigger", table, name), value, unless=unless)
        elif ("index", name) not in picture.parts or not unless:
            picture.put(("index", name), {})
            _index(picture, name, table, text)


def _table(picture: Picture, table: str, text: str) -> None:
    picture.parts["table", table] = {}
    found = read({"sql": text})
    if "columns" not in found:
        picture.open.add(table)
        picture.parts["table", table] = {"text": found.get("definition")}
    _columns(picture, table, found)


def _columns(picture: Picture, table: str, found: Mapping[str, Any]) -> None:
    for column in found.get("columns", ()):
        value = {name: each for name, each in column.items() if name != "name"}
        _add_part(picture, ("column", table, column["name"]), {"default": None, "generated": None} | value)
    for name, item in found.get("constraints", {}).items():
        _add_part(picture, ("constraint", table, name), {"text": item["definition"]})


def _add_part(picture: Picture, key: Key, value: dict[str, Any]) -> None:
    picture.parts[key] = value
    picture.seen.add(key)


def _index(picture: Picture, name: str, table: str, text: str) -> None:
    definition = re.sub(r"\bon \S+?(?=[ (])", "on", _definition("indexes", text), count=1)
    picture.parts["index", name] = {"table": table, "columns": ANY, "text": definition}


def _definition(part: str, text: str) -> str:
    return str(read({part: {"x": text}})[part]["x"]["definition"])


def _drop(picture: Picture, words: Words) -> None:
    kind = words.take_any("table", "index", "view", "trigger")
    unless = words.take("if", "exists")
    name = words.relation().name
    if kind == "trigger":
        owner = next((key[1] for key in picture.parts if key[0] == "trigger" and key[2] == name), None)
        if owner is None and picture.known and not unless:
            raise Failing(f"trigger {name} is not there")
        if owner is not None:
            picture.take(("trigger", owner, name))
        elif not picture.known:
            picture.unsure.append(f"of which table the trigger {name} is, is not known")
        return
    if picture.take((kind, name), unless=unless) is ANY and kind == "table":
        picture.lost.add((name, ""))
    if kind in ("table", "view"):
        for key in picture.under(name):
            del picture.parts[key]
        picture.added.pop(name, None)


def _alter(picture: Picture, words: Words, text: str) -> None:
    table = words.relation().name
    if not picture.has(("table", table)):
        raise Failing(f"table {table} is not there")
    if words.take("rename", "to"):
        _rename(picture, table, words.name())
    elif words.take("rename"):
        words.take("column")
        old = words.name()
        words.take("to")
        _rename_column(picture, table, old, words.name())
    elif words.take("drop"):
        words.take("column")
        column = words.name()
        if picture.take(("column", table, column)) is ANY:
            picture.lost.add((table, column))
    elif (found := _ADDED.match(text)) is not None:
        _add(picture, table, found[1])


def _add(picture: Picture, table: str, definition: str) -> None:
    found = read({"sql": f"CREATE TABLE x ({definition})"})
    for column in found.get("columns", ()):
        if ("column", table, column["name"]) in picture.parts:
            raise Failing(f"column {table}.{column['name']} is there already")
        if column.get("not_null") and column.get("default", "null") == "null" and not column.get("generated"):
            raise Failing(f"SQLite adds no column as NOT NULL without a default ({table}.{column['name']})")
    _columns(picture, table, found)


def _rename(picture: Picture, old: str, new: str) -> None:
    value = picture.take(("table", old))
    picture.put(("table", new), value)
    for key in list(picture.under(old)):
        inner = picture.parts.pop(key)
        if key[0] == "index":
            picture.parts[key] = {**inner, "table": new}
        else:
            picture.parts[key[0], new, *key[2:]] = inner
            picture.seen.add((key[0], new, *key[2:]))
    if old in picture.open:
        picture.open.add(new)
    picture.added.pop(old, None)


def _rename_column(picture: Picture, table: str, old: str, new: str) -> None:
    picture.put(("column", table, new), picture.take(("column", table, old)))
    pattern = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
    for key in picture.under(table):
        value = picture.parts[key]
        if isinstance(value, dict) and isinstance(value.get("text"), str) and pattern.search(value["text"]):
            text = pattern.sub(new, value["text"])
            if key[0] == "constraint" and key[2] == value["text"]:
                del picture.parts[key]
                key = ("constraint", table, text)
            picture.parts[key] = {**value, "text": text}


def _rows(picture: Picture, words: Words, line: int) -> None:
    verb = words.skip_to("insert", "replace", "update", "delete")
    words.take_any(verb)
    if words.take("or"):
        words.take_any("abort", "fail", "ignore", "replace", "rollback")
    words.take_any("into", "from")
    table = words.relation().name
    if verb == "delete":
        picture.added.pop(table, None)
    elif verb == "update":
        picture.filled |= {(key[1], key[2]) for key in picture.parts if key[0] == "column" and key[1] == table}
    elif picture.has(("table", table)) and ("table", table) in picture.before:
        picture.added.setdefault(table, line)
