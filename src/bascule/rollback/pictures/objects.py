"""Views, types, sequences and the rest of what PostgreSQL makes."""

from __future__ import annotations

from typing import Any

from bascule.rollback.pictures.marks import marks, tables_in
from bascule.rollback.pictures.names import KINDS, Node, listed, qualified, strings, table_of, texts_in, type_of
from bascule.rollback.pictures.picture import ANY, Picture


def make_view(picture: Picture, node: Node, line: int) -> None:
    value = {"tables": tables_in(node["query"]), "text": marks(node["query"])}
    picture.put(("view", table_of(picture, node["view"])), value, replace=bool(node.get("replace")))


def make_enum(picture: Picture, node: Node, line: int) -> None:
    labels = tuple(strings(node.get("vals", [])))
    picture.put(("type", listed(picture, node["typeName"])), {"labels": labels, "text": ("enum",)})


def label_enum(picture: Picture, node: Node, line: int) -> None:
    key = ("type", listed(picture, node["typeName"]))
    new, old = node.get("newVal"), node.get("oldVal")
    picture.has(key)
    if picture.parts.get(key) is ANY:
        picture.before[key] = {"labels": ()}
        picture.parts[key] = {"labels": ()}
    value = picture.parts.get(key)
    labels = value.get("labels", ()) if isinstance(value, dict) else ()
    if old is not None:
        picture.change(key, labels=tuple(new if each == old else each for each in labels))
    elif new not in labels:
        picture.change(key, labels=(*labels, new))


def make_composite(picture: Picture, node: Node, line: int) -> None:
    columns = [each["ColumnDef"] for each in node.get("coldeflist", [])]
    text = tuple((each["colname"], type_of(each["typeName"])) for each in columns)
    picture.put(("type", table_of(picture, node["typevar"])), {"text": text})


def make_domain(picture: Picture, node: Node, line: int) -> None:
    text = (type_of(node["typeName"]), marks(node.get("constraints")))
    picture.put(("type", listed(picture, node["domainname"])), {"text": text})


def make_range(picture: Picture, node: Node, line: int) -> None:
    picture.put(("type", listed(picture, node["typeName"])), {"text": marks(node.get("params"))})


def make_sequence(picture: Picture, node: Node, line: int) -> None:
    if node["sequence"].get("relpersistence") == "t":
        return
    key = ("sequence", table_of(picture, node["sequence"]))
    picture.put(key, {} | _owner(picture, node), unless=bool(node.get("if_not_exists")))


def own_sequence(picture: Picture, node: Node, line: int) -> None:
    owner = _owner(picture, node)
    if owner:
        key = ("sequence", table_of(picture, node["sequence"]))
        if key in picture.parts:
            picture.change(key, **owner)


def _owner(picture: Picture, node: Node) -> dict[str, Any]:
    for wrapped in node.get("options", []):
        if wrapped["DefElem"]["defname"] == "owned_by":
            parts = strings(wrapped["DefElem"]["arg"]["List"]["items"])
            if len(parts) < 2:
                return {"table": None, "column": None}
            table = qualified(picture, parts[-3] if len(parts) > 2 else None, parts[-2])
            return {"table": table, "column": parts[-1]}
    return {}


def make_schema(picture: Picture, node: Node, line: int) -> None:
    if "schemaname" in node:
        picture.put(("schema", node["schemaname"]), {}, unless=bool(node.get("if_not_exists")))
    if "schemaElts" in node:
        picture.unsure.append(f"line {line}: what CREATE SCHEMA makes in it is not followed")


def make_extension(picture: Picture, node: Node, line: int) -> None:
    picture.put(("extension", node["extname"]), {}, unless=bool(node.get("if_not_exists")))


def comment(picture: Picture, node: Node, line: int) -> None:
    kind = KINDS.get(node["objtype"], node["objtype"].removeprefix("OBJECT_").lower())
    parts = _named(node["object"])
    own = 1 if kind in ("column", "constraint", "trigger", "policy", "rule") else 0
    head = parts[: len(parts) - own]
    owner = qualified(picture, head[-2] if len(head) > 1 else None, head[-1]) if head else parts[-1]
    key = ("comment", kind, owner, *parts[len(parts) - own :])
    if "comment" in node:
        picture.put(key, node["comment"], replace=True)
    else:
        picture.take(key, unless=True)


def _named(node: Node) -> list[str]:
    """The parts of a name, in whatever form the grammar gives it."""
    if "ObjectWithArgs" in node:
        return strings(node["ObjectWithArgs"]["objname"])
    if "TypeName" in node:
        return strings(node["TypeName"]["names"])
    if "String" in node:
        return strings([node])
    return strings(node.get("List", {}).get("items", [])) or [" ".join(texts_in(node))]


def grant(picture: Picture, node: Node, line: int) -> None:
    what = ", ".join(sorted(name for kind, name in marks(node.get("objects")) if kind == "word")) or "…"
    key = ("grant", what, str(_roles(node)))
    if node.get("is_grant"):
        if key not in picture.parts:
            picture.put(key, {})
    else:
        picture.take(key, unless=True)


def _roles(node: Node) -> tuple[str, ...]:
    return tuple(sorted(each["RoleSpec"].get("rolename", "public") for each in node.get("grantees", [])))


def make_other(picture: Picture, node: Node, line: int) -> None:
    """CREATE of what nothing more is known of: aggregates, operators, collations…"""
    what = node.get("kind", "OBJECT_OTHER").removeprefix("OBJECT_").lower().replace("_", " ")
    name = ".".join(strings(node.get("defnames", []))) or "…"
    kind = "function" if what == "aggregate" else what
    picture.put((kind, name, None) if kind == "function" else (kind, str(("value", name))), {})
