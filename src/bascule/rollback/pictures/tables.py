"""CREATE TABLE and ALTER TABLE of PostgreSQL."""

from __future__ import annotations

from typing import Any

from bascule.rollback.pictures.columns import Late, add_column, drop_column
from bascule.rollback.pictures.constraints import add_constraint, drop_constraint
from bascule.rollback.pictures.marks import marks, tables_in
from bascule.rollback.pictures.names import KINDS, Node, cascades, table_of, type_of
from bascule.rollback.pictures.picture import ANY, Key, Picture


def create_table(picture: Picture, node: Node, line: int) -> None:
    relation = node["relation"]
    if relation.get("relpersistence") == "t":
        return
    table = table_of(picture, relation)
    if ("table", table) in picture.parts and node.get("if_not_exists"):
        return
    bound = marks(node["partbound"]) if "partbound" in node else None
    picture.put(("table", table), {"bound": bound})
    if "inhRelations" in node or "ofTypename" in node:
        picture.open.add(table)
    later = []
    for wrapped in node.get("tableElts", []):
        kind, element = next(iter(wrapped.items()))
        if kind == "ColumnDef":
            later += add_column(picture, table, element)
        elif kind == "Constraint":
            later.append((element, ()))
        else:
            picture.open.add(table)
    for constraint, columns in sorted(later, key=lambda each: each[0]["contype"] != "CONSTR_PRIMARY"):
        add_constraint(picture, table, constraint, columns)


def create_table_as(picture: Picture, node: Node, line: int) -> None:
    relation = node["into"]["rel"]
    if relation.get("relpersistence") == "t":
        return
    name = table_of(picture, relation)
    view = node["objtype"] == "OBJECT_MATVIEW"
    value = {"tables": tables_in(node["query"]), "text": marks(node["query"])} if view else {"bound": None}
    picture.put(("view" if view else "table", name), value, unless=bool(node.get("if_not_exists")))
    if not view:
        picture.open.add(name)


def alter_table(picture: Picture, node: Node, line: int) -> None:
    kind = KINDS.get(node["objtype"], "object")
    table = table_of(picture, node["relation"])
    if node["objtype"] == "OBJECT_TABLE" and _is_no_table(picture, table, node):
        return
    later: Late = []
    for wrapped in node.get("cmds", []):
        command = wrapped["AlterTableCmd"]
        if node["objtype"] == "OBJECT_TABLE" and command["subtype"] == "AT_AddColumn":
            definition = command["def"]["ColumnDef"]
            later += add_column(picture, table, definition, unless=bool(command.get("missing_ok")))
            continue
        if node["objtype"] != "OBJECT_TABLE" or not _altered(picture, table, command, line):
            _option(picture, kind, table, command)
    for constraint, columns in later:
        add_constraint(picture, table, constraint, columns)


def _is_no_table(picture: Picture, name: str, node: Node) -> bool:
    if ("view", name) in picture.parts or ("index", name) in picture.parts:
        return True
    return not picture.has(("table", name)) and bool(node.get("missing_ok"))


def _altered(picture: Picture, table: str, command: Node, line: int) -> bool:
    """False for what nothing more is known of."""
    name = command.get("name", "")
    column = ("column", table, name)
    given = command.get("def", {})
    match command["subtype"]:
        case "AT_DropColumn":
            drop_column(picture, table, name, unless=bool(command.get("missing_ok")), cascade=cascades(command))
        case "AT_AlterColumnType":
            _retype(picture, column, type_of(given["ColumnDef"]["typeName"]), line)
        case "AT_ColumnDefault":
            picture.change(column, default=marks(given) or None if "def" in command else None)
        case "AT_SetNotNull" | "AT_DropNotNull":
            picture.change(column, not_null=command["subtype"] == "AT_SetNotNull")
        case "AT_DropExpression":
            picture.change(column, generated=None)
        case "AT_AddIdentity" | "AT_DropIdentity":
            _identified(picture, column, command)
        case "AT_AddConstraint":
            add_constraint(picture, table, given["Constraint"])
        case "AT_DropConstraint":
            drop_constraint(picture, table, name, unless=bool(command.get("missing_ok")), cascade=cascades(command))
        case "AT_ValidateConstraint":
            picture.change(("constraint", table, name), unproved=False)
        case _:
            return _switched(picture, table, command["subtype"], name)
    return True


def _switched(picture: Picture, table: str, subtype: str, name: str) -> bool:
    """What is on or off."""
    if subtype in ("AT_EnableRowSecurity", "AT_ForceRowSecurity"):
        picture.put(("option", table, subtype.removeprefix("AT_")), True, replace=True)
    elif subtype in ("AT_DisableRowSecurity", "AT_NoForceRowSecurity"):
        word = "EnableRowSecurity" if "Disable" in subtype else "ForceRowSecurity"
        picture.take(("option", table, word), unless=True)
    elif subtype in _TRIGGERS:
        _switch_triggers(picture, table, name, _TRIGGERS[subtype])
    else:
        return False
    return True


_TRIGGERS = {
    "AT_EnableTrig": "usual",
    "AT_EnableTrigAll": "usual",
    "AT_EnableTrigUser": "usual",
    "AT_DisableTrig": "off",
    "AT_DisableTrigAll": "off",
    "AT_DisableTrigUser": "off",
    "AT_EnableReplicaTrig": "replica",
    "AT_EnableAlwaysTrig": "always",
}


def _switch_triggers(picture: Picture, table: str, name: str, state: str) -> None:
    """Without a name: all of them, or all of the user's. What is switched back to the usual leaves nothing."""
    key = ("option", table, f"triggers {name}".strip() if name else "triggers")
    if state != "usual":
        picture.put(key, state, replace=True)
        return
    picture.take(key, unless=True)
    if not name:
        for other in [each for each in picture.parts if each[:2] == key[:2] and each[2].startswith("triggers")]:
            picture.take(other, unless=True)


def _identified(picture: Picture, column: Key, command: Node) -> None:
    if command["subtype"] == "AT_AddIdentity":
        generated = command["def"]["Constraint"].get("generated_when")
        picture.change(column, identity=generated, not_null=True)
    else:
        picture.change(column, identity=None)


_TEXTS = ("varchar", "text", "bpchar")
"""Types between which an expression stays what it is."""


def _retype(picture: Picture, key: Key, kind: Any, line: int) -> None:
    """Expressions over a column are, for another type, not always the same ones."""
    before = picture.parts.get(key)
    picture.change(key, type=kind)
    old = before.get("type") if isinstance(before, dict) else None
    if isinstance(old, tuple) and kind is not ANY and old[0] in _TEXTS and kind[0] in _TEXTS:
        return
    _, table, column = key
    for key, value in picture.parts.items():
        if key[0] != "index" or not isinstance(value, dict) or value.get("table") != table:
            continue
        if any(("column", column) in inside and len(inside) > 1 for inside, *_ in value["elements"]):
            picture.unsure.append(f"line {line}: the server writes the expression of index {key[1]} anew")


def _option(picture: Picture, kind: str, name: str, command: Node) -> None:
    """What is set twice, once there and once back, is taken to be as it was."""
    key = ("option", name, f"{kind} {command['subtype'].removeprefix('AT_')} {command.get('name', '')}".strip())
    if key in picture.before or key in picture.seen:
        picture.parts[key] = ANY
    else:
        picture.put(key, marks(command.get("def")), replace=picture.known)


def drop_table(picture: Picture, table: str, *, unless: bool, cascade: bool) -> None:
    if picture.take(("table", table), unless=unless) is ANY:
        picture.lost.add((table, ""))
    for key in picture.under(table):
        del picture.parts[key]
    for key, value in list(picture.parts.items()):
        if isinstance(value, dict) and (
            (key[0] == "constraint" and value.get("ref") == table and cascade)
            or (key[0] == "view" and cascade and table in (value.get("tables") or ()))
        ):
            del picture.parts[key]
    for key in [key for key in picture.parts if key[0] == "grant" and key[1] == table]:
        del picture.parts[key]
    picture.open.discard(table)
    picture.added.pop(table, None)
