"""Rows that scripts of PostgreSQL write, and settings that change what a name means."""

from __future__ import annotations

from bascule.rollback.pictures.marks import marks
from bascule.rollback.pictures.names import Node, table_of
from bascule.rollback.pictures.picture import Picture


def insert(picture: Picture, node: Node, line: int) -> None:
    relation = node.get("relation")
    if relation is not None and ("is_from" not in node or node["is_from"]):
        table = table_of(picture, relation)
        if picture.has(("table", table)) and ("table", table) in picture.before:
            picture.added.setdefault(table, line)


def copy_rows(picture: Picture, node: Node, line: int) -> None:
    if node.get("is_from"):
        insert(picture, node, line)


def delete(picture: Picture, node: Node, line: int) -> None:
    picture.added.pop(table_of(picture, node["relation"]), None)


def truncate(picture: Picture, node: Node, line: int) -> None:
    for each in node["relations"]:
        picture.added.pop(table_of(picture, each["RangeVar"]), None)


def update(picture: Picture, node: Node, line: int) -> None:
    table = table_of(picture, node["relation"])
    picture.filled |= {(table, each["ResTarget"]["name"]) for each in node.get("targetList", [])}


def setting(picture: Picture, node: Node, line: int) -> None:
    if node.get("name") == "search_path":
        values = [name for kind, name in marks(node.get("args")) if kind == "value"]
        picture.path = values[0] if len(values) == 1 and values[0] != "public" else ""
        if len(values) > 1 and "public" not in values:
            picture.unsure.append(f"line {line}: in which schema of the search path things are made is not followed")
    elif node.get("name") == "role":
        picture.unsure.append(f"line {line}: what another role makes is not followed")
