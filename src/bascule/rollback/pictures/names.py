"""Names and types as PostgreSQL's grammar gives them."""

from __future__ import annotations

from typing import Any

from bascule.rollback.pictures.marks import marks
from bascule.rollback.pictures.picture import ANY, Picture

Node = dict[str, Any]


KINDS = {
    "OBJECT_TABLE": "table",
    "OBJECT_FOREIGN_TABLE": "table",
    "OBJECT_INDEX": "index",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "view",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "type",
    "OBJECT_SCHEMA": "schema",
    "OBJECT_EXTENSION": "extension",
    "OBJECT_FUNCTION": "function",
    "OBJECT_PROCEDURE": "function",
    "OBJECT_ROUTINE": "function",
    "OBJECT_AGGREGATE": "function",
    "OBJECT_TRIGGER": "trigger",
    "OBJECT_POLICY": "policy",
    "OBJECT_RULE": "rule",
    "OBJECT_COLUMN": "column",
    "OBJECT_TABCONSTRAINT": "constraint",
}


def qualified(picture: Picture, schema: str | None, name: str) -> str:
    schema = schema if schema is not None else picture.path
    return name if schema in ("", "public", "pg_catalog") else f"{schema}.{name}"


def table_of(picture: Picture, relation: Node) -> str:
    return qualified(picture, relation.get("schemaname"), relation["relname"])


def listed(picture: Picture, items: list[Node]) -> str:
    parts = strings(items)
    return qualified(picture, parts[-2] if len(parts) > 1 else None, parts[-1])


def strings(items: list[Node]) -> list[str]:
    return [each["String"].get("sval", "") for each in items if "String" in each]


def type_of(node: Node | None) -> Any:
    """A type as it is compared."""
    if node is None:
        return ANY
    names = [each for each in strings(node.get("names", [])) if each not in ("pg_catalog", "public")]
    lengths = marks(node.get("typmods"))
    if names == ["bpchar"] and lengths == (("value", "1"),):
        lengths = ()
    return (".".join(names), lengths, len(node.get("arrayBounds", [])) > 0)


def parts_of_name(name: str) -> tuple[str, str]:
    schema, _, last = name.rpartition(".")
    return schema, last


def cascades(node: Node) -> bool:
    return node.get("behavior") == "DROP_CASCADE"


def texts_in(node: Any) -> list[str]:
    """All words in a node, in order."""
    if isinstance(node, list):
        return [text for each in node for text in texts_in(each)]
    if not isinstance(node, dict):
        return []
    found = []
    for key, value in node.items():
        if key in ("sval", "ival", "fval", "boolval") and not isinstance(value, dict):
            found.append(str(value).lower() if isinstance(value, bool) else str(value))
        elif key != "location":
            found += texts_in(value)
    return found
