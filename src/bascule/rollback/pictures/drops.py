"""DROP of PostgreSQL, and what goes along."""

from __future__ import annotations

from typing import Any

from bascule.rollback.pictures.columns import drop_column
from bascule.rollback.pictures.marks import marks
from bascule.rollback.pictures.names import KINDS, Node, cascades, listed, qualified, strings, texts_in
from bascule.rollback.pictures.picture import Failing, Picture, shown
from bascule.rollback.pictures.routines import drop_function
from bascule.rollback.pictures.tables import drop_table


def drop(picture: Picture, node: Node, line: int) -> None:
    kind = KINDS.get(node["removeType"])
    unless, cascade = bool(node.get("missing_ok")), cascades(node)
    if kind == "table" and not cascade:
        _require_unreferenced(picture, {listed(picture, each["List"]["items"]) for each in node["objects"]})
    for named in node["objects"]:
        if kind == "function":
            drop_function(picture, named, unless=unless, cascade=cascade)
        elif kind in ("trigger", "policy", "rule"):
            parts = strings(named["List"]["items"])
            table = qualified(picture, parts[-3] if len(parts) > 2 else None, parts[-2])
            picture.take((kind, table, parts[-1]), unless=unless)
        elif kind == "type":
            name = listed(picture, named["TypeName"]["names"])
            picture.take(("type", name), unless=unless)
            if cascade:
                _drop_columns_of(picture, name)
        elif kind in ("schema", "extension"):
            name = named["String"].get("sval", "")
            picture.take((kind, name), unless=unless)
            if cascade:
                _drop_all_in(picture, kind, name, line)
        elif kind is not None:
            _drop_relation(picture, kind, listed(picture, named["List"]["items"]), unless=unless, cascade=cascade)
        else:
            what = node["removeType"].removeprefix("OBJECT_").lower().replace("_", " ")
            picture.take((what, str(marks(named) or texts_in(named))), unless=unless)


def _require_unreferenced(picture: Picture, tables: set[str]) -> None:
    """The server drops no table to which another one's foreign key refers. Raises `Failing`."""
    for key, value in picture.parts.items():
        if key[0] == "constraint" and isinstance(value, dict) and value.get("ref") in tables and key[1] not in tables:
            raise Failing(f"table {value['ref']} cannot be dropped: {shown(key)} refers to it")


def _drop_relation(picture: Picture, kind: str, name: str, *, unless: bool, cascade: bool) -> None:
    if kind == "table":
        drop_table(picture, name, unless=unless, cascade=cascade)
        return
    value = picture.take((kind, name), unless=unless)
    if kind == "view":
        for key in picture.under(name):
            del picture.parts[key]
        for key, other in list(picture.parts.items()):
            if key[0] == "view" and cascade and isinstance(other, dict) and name in (other.get("tables") or ()):
                del picture.parts[key]
    elif kind == "sequence" and cascade and value is not None:
        for key, other in list(picture.parts.items()):
            if key[0] == "column" and isinstance(other, dict) and _uses(other.get("default"), name):
                picture.change(key, default=None)


def _uses(default: Any, sequence: str) -> bool:
    return isinstance(default, tuple) and any(value.split(".")[-1] == sequence for _, value in default)


def _drop_columns_of(picture: Picture, name: str) -> None:
    for key, value in list(picture.parts.items()):
        kind = value.get("type") if key[0] == "column" and isinstance(value, dict) else None
        if isinstance(kind, tuple) and kind[0] == name and key in picture.parts:
            drop_column(picture, key[1], key[2], unless=True, cascade=True)


def _drop_all_in(picture: Picture, kind: str, name: str, line: int) -> None:
    if kind == "extension":
        picture.unsure.append(f"line {line}: what DROP EXTENSION {name} CASCADE takes along is not followed")
        return
    for key in list(picture.parts):
        if any(isinstance(part, str) and part.startswith(f"{name}.") for part in key[1:3]):
            del picture.parts[key]
    picture.lost.add((name, "*"))
