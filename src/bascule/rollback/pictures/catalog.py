"""A picture of PostgreSQL's catalog: definitions are read by the same grammar as scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bascule.rollback.pictures.columns import SERIAL
from bascule.rollback.pictures.constraints import add_constraint
from bascule.rollback.pictures.hanging import make_index, make_trigger
from bascule.rollback.pictures.marks import marks, tables_in
from bascule.rollback.pictures.names import Node, type_of
from bascule.rollback.pictures.picture import ANY, Picture
from bascule.rollback.pictures.routines import make_function
from bascule.sql import grammar


def pictured(objects: Mapping[str, Mapping[str, Any]], picture: Picture) -> None:
    """Put into the picture what a look at the catalog has found. Definitions are read by the same grammar."""
    for key, parts in objects.items():
        kind, _, name = key.removeprefix("materialized ").partition(" ")
        plain = name.removeprefix("public.").replace('"', "")
        if kind == "table" and not parts.get("mentions"):
            _table_seen(picture, plain, name, parts)
        elif kind == "view":
            picture.parts["view", plain] = {"tables": _tables_of(parts.get("definition")), "text": ANY}
            _hanging_seen(picture, plain, parts)
        elif kind in ("function", "procedure"):
            if parts.get("comment"):
                picture.parts["comment", "function", plain.partition("(")[0]] = parts["comment"]
            for each in _parsed(parts.get("definition")):
                if "CreateFunctionStmt" in each:
                    make_function(picture, each["CreateFunctionStmt"] | {"replace": True}, 0)
        elif kind == "type":
            labels = parts.get("labels")
            picture.parts["type", plain] = {"labels": tuple(labels), "text": ("enum",)} if labels else ANY
        elif kind == "sequence":
            owner = parts.get("owned_by")
            if owner is None:
                picture.parts["sequence", plain] = {}
        elif kind in ("schema", "extension"):
            picture.parts[kind, plain] = {}


def _table_seen(picture: Picture, table: str, full: str, parts: Mapping[str, Any]) -> None:
    picture.parts["table", table] = {"bound": ANY}
    if parts.get("partial"):
        picture.open.add(table)
    for column in parts.get("columns", ()):
        picture.parts["column", table, column["name"]] = _column_seen(column)
        if column.get("comment"):
            picture.parts["comment", "column", table, column["name"]] = column["comment"]
    for name, item in parts.get("constraints", {}).items():
        _constraint_seen(picture, table, full, name, item)
    _hanging_seen(picture, table, parts)
    if parts.get("row_security"):
        picture.parts["option", table, "EnableRowSecurity"] = True
    if parts.get("comment"):
        picture.parts["comment", "table", table] = parts["comment"]


def _hanging_seen(picture: Picture, table: str, parts: Mapping[str, Any]) -> None:
    for item in parts.get("indexes", {}).values():
        for node in _parsed(item.get("definition")):
            make_index(picture, node["IndexStmt"] | {"if_not_exists": True}, 0)
    for item in parts.get("triggers", {}).values():
        for node in _parsed(item.get("definition")):
            make_trigger(picture, node["CreateTrigStmt"] | {"replace": True}, 0)
    picture.parts |= {("policy", table, name): ANY for name in parts.get("policies", {})}


def _constraint_seen(picture: Picture, table: str, full: str, name: str, item: Mapping[str, Any]) -> None:
    text = f"ALTER TABLE {full} ADD CONSTRAINT x {item['definition']}" if "definition" in item else None
    for node in _parsed(text):
        constraint = node["AlterTableStmt"]["cmds"][0]["AlterTableCmd"]["def"]["Constraint"] | {"conname": name}
        if constraint["contype"] != "CONSTR_NOTNULL":
            add_constraint(picture, table, constraint)


def _column_seen(column: Mapping[str, Any]) -> dict[str, Any]:
    default = column.get("default")
    expression = next(_parsed(f"SELECT {default}"), None) if default is not None else None
    found = marks(expression["SelectStmt"]["targetList"]) if expression is not None else None
    if found and ("function", "nextval") in found:
        found = SERIAL
    kind = next(_parsed(f"SELECT NULL::{column['type']}"), None)
    written = column.get("generated")
    generated = next(_parsed(f"SELECT {written}"), None) if written else None
    return {
        "type": type_of(_cast(kind)),
        "not_null": bool(column.get("not_null")),
        "default": found or None,
        "generated": marks(generated["SelectStmt"]["targetList"]) if generated is not None else None,
        "identity": {"ALWAYS": "a", "BY DEFAULT": "d"}.get(column.get("identity", "")),
        "collation": ANY if column.get("collation") else None,
    }


def _cast(node: Node | None) -> Node | None:
    if node is None:
        return None
    cast: Node = node["SelectStmt"]["targetList"][0]["ResTarget"]["val"]["TypeCast"]["typeName"]
    return cast


def _tables_of(definition: Any) -> frozenset[str]:
    return frozenset().union(*(tables_in(each) for each in _parsed(definition)))


def _parsed(text: Any) -> Iterator[Node]:
    from bascule.sql.errors import SqlSyntaxProblem

    if not isinstance(text, str):
        return
    try:
        for each in grammar.parse(text)["stmts"]:
            yield each["stmt"]
    except (SqlSyntaxProblem, RecursionError):
        return
