"""RENAME of PostgreSQL."""

from __future__ import annotations

from bascule.rollback.pictures.marks import renamed
from bascule.rollback.pictures.names import KINDS, Node, listed, parts_of_name, table_of
from bascule.rollback.pictures.picture import ANY, Key, Picture


def rename(picture: Picture, node: Node, line: int) -> None:
    kind = KINDS.get(node["renameType"])
    new = node["newname"]
    if "relation" in node and kind in (
        "table",
        "index",
        "view",
        "sequence",
        "column",
        "constraint",
        "trigger",
        "policy",
    ):
        owner = table_of(picture, node["relation"])
        if kind == "table" and ("table", owner) not in picture.parts:
            kind = next((each for each in ("view", "index", "sequence") if (each, owner) in picture.parts), "table")
        if kind in ("constraint", "trigger", "policy"):
            _moved(picture, (kind, owner, node["subname"]), (kind, owner, new))
        elif kind == "column":
            _rename_column(picture, owner, node["subname"], new)
        else:
            schema, _ = parts_of_name(owner)
            _rename_relation(picture, kind, owner, f"{schema}.{new}" if schema else new)
    elif kind in ("type", "function", "schema") and "object" in node:
        _rename_object(picture, kind, node, new, line)
    elif kind != "extension":
        picture.unsure.append(f"line {line}: what this RENAME changes is not followed")


def _rename_object(picture: Picture, kind: str, node: Node, new: str, line: int) -> None:
    if kind == "type":
        old = listed(picture, node["object"]["List"]["items"])
        schema, _ = parts_of_name(old)
        fresh = f"{schema}.{new}" if schema else new
        _moved(picture, ("type", old), ("type", fresh))
        for key, value in list(picture.parts.items()):
            if key[0] == "column" and isinstance(value, dict) and value["type"] is not ANY and value["type"][0] == old:
                picture.parts[key] = {**value, "type": (fresh, *value["type"][1:])}
        return
    picture.unsure.append(f"line {line}: what renaming a {kind} changes is not followed")


def _moved(picture: Picture, old: Key, new: Key) -> None:
    # A constraint's index goes by its constraint's name.
    if old[0] == "constraint" and ("index", old[2]) in picture.parts and old not in picture.parts:
        old, new = ("index", old[2]), ("index", new[2])
    value = picture.take(old)
    picture.put(new, value)


def _rename_relation(picture: Picture, kind: str, old: str, new: str) -> None:
    if kind == "index" and ("index", old) not in picture.parts:
        _, last = parts_of_name(old)
        owner = next((key for key in picture.parts if key[0] == "constraint" and key[2] == last), None)
        if owner is not None:
            _moved(picture, owner, (*owner[:2], parts_of_name(new)[1]))
            return
    _moved(picture, (kind, old), (kind, new))
    if kind != "table":
        return
    for key in list(picture.under(old)):
        value = picture.parts.pop(key)
        if key[0] in ("index", "sequence"):
            picture.parts[key] = {**value, "table": new}
        elif key[0] == "comment":
            picture.parts[key[0], key[1], new, *key[3:]] = value
        else:
            picture.parts[key[0], new, *key[2:]] = value
            picture.seen.add((key[0], new, *key[2:]))
    for key, value in list(picture.parts.items()):
        if key[0] == "constraint" and isinstance(value, dict) and value.get("ref") == old:
            picture.parts[key] = {**value, "ref": new}
        elif key[0] == "view" and isinstance(value, dict) and old in (value.get("tables") or ()):
            picture.parts[key] = {**value, "tables": (value["tables"] - {old}) | {new}}
    if old in picture.open:
        picture.open.add(new)


def _rename_column(picture: Picture, table: str, old: str, new: str) -> None:
    _moved(picture, ("column", table, old), ("column", table, new))
    comment = picture.parts.pop(("comment", "column", table, old), None)
    if comment is not None:
        picture.parts["comment", "column", table, new] = comment
    for key, value in list(picture.parts.items()):
        if not isinstance(value, dict):
            continue
        if (key[0] in ("constraint", "trigger", "column") and key[1] == table) or (
            key[0] == "index" and value.get("table") == table
        ):
            fresh = {name: renamed(each, old, new) for name, each in value.items()}
            if isinstance(value.get("columns"), tuple):
                columns = [new if each == old else each for each in value["columns"]]
                plain = key[0] == "constraint" and value.get("kind") not in ("CONSTR_CHECK", "CONSTR_EXCLUSION")
                fresh["columns"] = tuple(columns) if plain else tuple(sorted(columns))
            picture.parts[key] = fresh
        if key[0] == "constraint" and value.get("ref") == table and isinstance(value.get("refcolumns"), tuple):
            columns = [new if each == old else each for each in value["refcolumns"]]
            picture.parts[key] = {**picture.parts[key], "refcolumns": tuple(columns)}


def move_to_schema(picture: Picture, node: Node, line: int) -> None:
    picture.unsure.append(f"line {line}: what SET SCHEMA moves is not followed")
