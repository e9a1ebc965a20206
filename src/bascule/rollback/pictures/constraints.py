"""Constraints of PostgreSQL's tables, with the names that the server gives them."""

from __future__ import annotations

from typing import Any

from bascule.rollback.pictures.marks import columns_in, marks
from bascule.rollback.pictures.names import Node, parts_of_name, qualified, strings, table_of
from bascule.rollback.pictures.picture import ANY, Picture

_LONGEST = 63


def choose(picture: Picture, table: str, middle: str, end: str) -> str:
    """The name that the server gives."""
    schema, last = parts_of_name(table)
    middle = f"_{middle}" if middle else ""
    room = _LONGEST - len(end.encode()) - 1
    while len((last + middle).encode()) > room:
        if len(last.encode()) > len(middle.encode()) - 1:
            last = last[:-1]
        else:
            middle = middle[:-1]
    base, number = f"{last}{middle}_{end}", 0
    taken = {key[2] for key in picture.parts if key[0] == "constraint" and key[1] == table}
    while True:
        found = base + (str(number) if number else "")
        if found not in taken and ("index", f"{schema}.{found}" if schema else found) not in picture.parts:
            return found
        number += 1


def add_constraint(picture: Picture, table: str, node: Node, columns: tuple[str, ...] = ()) -> None:
    kind = node["contype"]
    columns = columns or tuple(strings(node.get("keys", []) or node.get("fk_attrs", [])))
    if kind == "CONSTR_NOTNULL":
        for column in columns:
            picture.change(("column", table, column), not_null=True)
        return
    value: dict[str, Any] = {"kind": kind, "columns": columns}
    end = {"CONSTR_PRIMARY": "pkey", "CONSTR_UNIQUE": "key", "CONSTR_CHECK": "check", "CONSTR_FOREIGN": "fkey"}
    middle = "" if kind == "CONSTR_PRIMARY" else "_".join(columns)
    if kind == "CONSTR_CHECK":
        inside = columns_in(node.get("raw_expr"))
        middle = next(iter(inside)) if len(inside) == 1 else ""
        value |= {"columns": tuple(sorted(inside)), "text": marks(node.get("raw_expr"))}
    elif kind == "CONSTR_FOREIGN":
        value |= {
            "ref": table_of(picture, node["pktable"]),
            "refcolumns": tuple(strings(node["pk_attrs"])) if node.get("pk_attrs") else ANY,
            "actions": (node.get("fk_upd_action", "a"), node.get("fk_del_action", "a"), node.get("fk_matchtype", "s")),
        }
    elif kind == "CONSTR_EXCLUSION":
        inside = columns_in(node.get("exclusions")) | elements_in(node.get("exclusions"))
        value |= {"columns": tuple(sorted(inside)), "text": marks(node.get("exclusions"))}
    if node.get("indexname"):
        schema, _ = parts_of_name(table)
        index = picture.take(("index", qualified(picture, schema or None, node["indexname"])))
        value["columns"] = index["columns"] if isinstance(index, dict) else ANY
    if kind in ("CONSTR_FOREIGN", "CONSTR_CHECK"):
        value["unproved"] = bool(node.get("skip_validation")) and not node.get("initially_valid")
    value["deferrable"] = (bool(node.get("deferrable")), bool(node.get("initdeferred")))
    name = node.get("conname") or node.get("indexname") or choose(picture, table, middle, end.get(kind, "excl"))
    picture.put(("constraint", table, name), value)
    if kind == "CONSTR_PRIMARY" and value["columns"] is not ANY:
        for column in value["columns"]:
            picture.change(("column", table, column), not_null=True)


def elements_in(found: Any) -> frozenset[str]:
    """Columns of an index that are named as such."""
    if isinstance(found, list):
        return frozenset().union(*(elements_in(each) for each in found))
    if not isinstance(found, dict):
        return frozenset()
    own = frozenset((found["IndexElem"]["name"],)) if "name" in found.get("IndexElem", {}) else frozenset[str]()
    return own.union(*(elements_in(each) for each in found.values()))


def drop_constraint(picture: Picture, table: str, name: str, *, unless: bool, cascade: bool) -> None:
    key = ("constraint", table, name)
    schema, _ = parts_of_name(table)
    index = picture.parts.get(("index", f"{schema}.{name}" if schema else name), ANY)
    if key not in picture.parts and index is not ANY:
        picture.seen.add(key)  # it is an index, and no constraint
    value = picture.take(key, unless=unless)
    if value is ANY or value is None or not cascade:
        return
    for other, each in list(picture.parts.items()):
        refers = other[0] == "constraint" and isinstance(each, dict) and each.get("ref") == table
        if refers and each["refcolumns"] in (ANY, value["columns"]):
            del picture.parts[other]
