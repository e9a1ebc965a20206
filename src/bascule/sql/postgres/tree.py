"""Reading nodes of libpg_query's JSON, in which false, zero and empty fields are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bascule.domain.statement import Insight, ObjectKind, ObjectName, Statement, Touch

Node = dict[str, Any]

Handler = Callable[[Node, Statement, str], Insight]
"""From a statement's node, the statement and the JSON text of its tree to what is known of it."""


def only(node: Node) -> tuple[str, Any]:
    """The one field of a wrapper such as ``{"RangeVar": {…}}``."""
    return next(iter(node.items()))


def strings(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The values of a list of String nodes."""
    return tuple(node["String"].get("sval", "") for node in nodes)


def items(node: Node) -> list[Node]:
    """The members of a List node."""
    found: list[Node] = node["List"].get("items", [])
    return found


def qualified(kind: ObjectKind, parts: Sequence[str]) -> ObjectName:
    """``a`` or ``a.b`` or ``database.a.b`` as an object's name."""
    return ObjectName(kind=kind, name=parts[-1], schema=parts[-2] if len(parts) > 1 else None)


def relation(range_var: Node) -> ObjectName:
    """The table, view, index or sequence that a RangeVar names."""
    return ObjectName(kind="relation", name=range_var["relname"], schema=range_var.get("schemaname"))


def column_of(table: ObjectName, column: str) -> ObjectName:
    """One column of a table, or with an empty name none, as `ObjectName.column` says."""
    return ObjectName(kind=table.kind, name=table.name, schema=table.schema, column=column)


def is_temporary(range_var: Node) -> bool:
    """Whether a new relation of this name belongs to the session alone."""
    return range_var.get("relpersistence") == "t" or in_temporary_schema(range_var.get("schemaname"))


def in_temporary_schema(schema: str | None) -> bool:
    return schema is not None and schema.startswith("pg_temp")


def option(options: Iterable[Node], name: str) -> Node | None:
    """The DefElem of that name in a list of options."""
    return next((wrapped["DefElem"] for wrapped in options if wrapped["DefElem"]["defname"] == name), None)


def switched_on(element: Node | None, default: bool = False) -> bool:
    """Whether a boolean option stands on, in any of the spellings that PostgreSQL takes; alone it means on."""
    if element is None:
        return default
    if "arg" not in element:
        return True
    kind, value = only(element["arg"])
    if kind == "Integer":
        return bool(value.get("ival", 0))
    if kind == "Boolean":
        return bool(value.get("boolval", False))
    word = strings(value["names"])[-1] if kind == "TypeName" else str(value.get("sval", ""))
    return word.lower() not in ("false", "off", "no", "0")


def text_of(element: Node | None) -> str | None:
    """The value of a DefElem that is a string, else None."""
    value = None if element is None else element.get("arg", {}).get("String")
    return None if value is None else value.get("sval", "")


def objects(*names: ObjectName) -> Touch:
    return Touch(objects=frozenset(names))


def everything(statement: Statement, reason: str) -> Touch:
    """A touch that parsing cannot narrow down; `reason` goes on from the line number: ``DO runs code that …``."""
    return Touch(everything=True, reasons=(f"line {statement.line}: {reason}",))


def shown(name: ObjectName) -> str:
    """A name as SQL writes it, with its schema if it was written with one."""
    parts = (name.name,) if name.schema is None else (name.schema, name.name)
    return ".".join(quoted(part) for part in parts)


def quoted(part: str) -> str:
    simple = part.isascii() and part.replace("$", "_").isidentifier() and part == part.lower()
    return part if simple and part[0] != "$" else '"' + part.replace('"', '""') + '"'


def listed(names: Iterable[ObjectName]) -> str:
    return ", ".join(shown(name) for name in names)
