"""Columns of PostgreSQL's tables: what a definition says, and what goes with one that is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bascule.rollback.pictures.marks import marks
from bascule.rollback.pictures.names import Node, type_of
from bascule.rollback.pictures.picture import ANY, Key, Picture

_SERIALS = {
    "serial": "int4",
    "serial4": "int4",
    "bigserial": "int8",
    "serial8": "int8",
    "smallserial": "int2",
    "serial2": "int2",
}


SERIAL = (("function", "nextval"),)


Late = list[tuple[Node, tuple[str, ...]]]


def add_column(picture: Picture, table: str, node: Node, *, unless: bool = False) -> Late:
    """Answers its constraints, which are the table's."""
    column = node["colname"]
    if unless and picture.known and ("column", table, column) in picture.parts:
        return []
    kind = type_of(node.get("typeName"))
    value: dict[str, Any] = {
        "type": kind,
        "not_null": False,
        "default": None,
        "generated": None,
        "identity": None,
        "collation": marks(node.get("collClause")) or None,
    }
    if kind is not ANY and kind[0] in _SERIALS:
        value |= {"type": (_SERIALS[kind[0]], (), False), "not_null": True, "default": SERIAL}
    later: Late = []
    for wrapped in node.get("constraints", []):
        constraint = wrapped["Constraint"]
        match constraint["contype"]:
            case "CONSTR_NOTNULL":
                value["not_null"] = True
            case "CONSTR_DEFAULT":
                value["default"] = marks(constraint.get("raw_expr")) or None
            case "CONSTR_GENERATED":
                value["generated"] = marks(constraint.get("raw_expr"))
            case "CONSTR_IDENTITY":
                value |= {"identity": constraint.get("generated_when"), "not_null": True}
            case "CONSTR_PRIMARY" | "CONSTR_UNIQUE" | "CONSTR_CHECK" | "CONSTR_FOREIGN":
                later.append((constraint, (column,)))
    picture.put(("column", table, column), value)
    return later


def drop_column(picture: Picture, table: str, column: str, *, unless: bool, cascade: bool) -> None:
    if picture.take(("column", table, column), unless=unless) is ANY:
        picture.lost.add((table, column))
    for key, value in list(picture.parts.items()):
        if isinstance(value, dict) and _hangs_on(key, value, table, column, cascade=cascade):
            del picture.parts[key]
    picture.parts.pop(("comment", "column", table, column), None)


def _hangs_on(key: Key, value: Mapping[str, Any], table: str, column: str, *, cascade: bool) -> bool:
    """It goes with the column."""
    columns = value.get("columns", ())
    inside = columns is not ANY and column in columns
    mine = key[1] == table
    match key[0]:
        case "constraint":
            refers = value.get("ref") == table and value["refcolumns"] is not ANY and column in value["refcolumns"]
            return (mine and inside) or (cascade and refers)
        case "index":
            return inside and value.get("table") == table
        case "sequence":
            return (value.get("table"), value.get("column")) == (table, column)
        case "column":
            return cascade and mine and ("column", column) in (value.get("generated") or ())
        case "view":
            return cascade and table in (value.get("tables") or ())
    return False
