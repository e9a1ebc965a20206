"""What hangs on a table of PostgreSQL: indexes, triggers, policies, rules."""

from __future__ import annotations

from typing import Any

from bascule.rollback.pictures.constraints import choose, elements_in
from bascule.rollback.pictures.marks import columns_in, marks
from bascule.rollback.pictures.names import Node, listed, parts_of_name, qualified, strings, table_of
from bascule.rollback.pictures.picture import Picture


def make_index(picture: Picture, node: Node, line: int) -> None:
    table = table_of(picture, node["relation"])
    schema, _ = parts_of_name(table)
    elements = [each["IndexElem"] for each in node.get("indexParams", [])]
    named = node.get("idxname")
    if named is None:
        middle = "_".join(each.get("name") or _called(each.get("expr")) for each in elements)
        named = choose(picture, table, middle, "idx")
    inside = elements_in(node.get("indexParams")) | elements_in(node.get("indexIncludingParams"))
    inside |= columns_in(node.get("indexParams")) | columns_in(node.get("whereClause"))
    value = {
        "table": table,
        "columns": tuple(sorted(inside)),
        "unique": bool(node.get("unique")),
        "method": node.get("accessMethod", "btree"),
        "elements": tuple(_element(each) for each in elements),
        "include": tuple(sorted(elements_in(node.get("indexIncludingParams")))),
        "where": marks(node.get("whereClause")),
        "distinct": bool(node.get("nulls_not_distinct")),
    }
    picture.put(("index", qualified(picture, schema or None, named)), value, unless=bool(node.get("if_not_exists")))


def _element(node: Node) -> tuple[Any, ...]:
    inside: Any = (("column", node["name"]),) if "name" in node else marks(node.get("expr"))
    falling = node.get("ordering") == "SORTBY_DESC"
    first = node.get("nulls_ordering", "SORTBY_NULLS_DEFAULT")
    usual = ("SORTBY_NULLS_DEFAULT", "SORTBY_NULLS_FIRST" if falling else "SORTBY_NULLS_LAST")
    return (inside, tuple(strings(node.get("opclass", []))), falling, "" if first in usual else first)


def _called(node: Any) -> str:
    """What the server calls a column of an index that is an expression."""
    if isinstance(node, dict) and "FuncCall" in node:
        return strings(node["FuncCall"]["funcname"])[-1]
    if isinstance(node, dict) and "TypeCast" in node:
        return _called(node["TypeCast"].get("arg"))
    if isinstance(node, dict) and "ColumnRef" in node:
        return next(iter(columns_in(node)), "expr")
    return "coalesce" if isinstance(node, dict) and "CoalesceExpr" in node else "expr"


def make_trigger(picture: Picture, node: Node, line: int) -> None:
    value = {
        "function": listed(picture, node["funcname"]),
        "text": (
            node.get("timing", 0),
            node.get("events", 0),
            bool(node.get("row")),
            tuple(sorted(strings(node.get("columns", [])))),
            marks(node.get("whenClause")),
            tuple(strings(node.get("args", []))),
            bool(node.get("isconstraint")),
        ),
    }
    key = ("trigger", table_of(picture, node["relation"]), node["trigname"])
    picture.put(key, value, replace=bool(node.get("replace")))


def make_policy(picture: Picture, node: Node, line: int) -> None:
    text = (node.get("cmd_name"), marks(node.get("qual")), marks(node.get("with_check")))
    picture.put(("policy", table_of(picture, node["table"]), node["policy_name"]), {"text": text})


def make_rule(picture: Picture, node: Node, line: int) -> None:
    key = ("rule", table_of(picture, node["relation"]), node["rulename"])
    picture.put(key, {"text": marks(node)}, replace=bool(node.get("replace")))
