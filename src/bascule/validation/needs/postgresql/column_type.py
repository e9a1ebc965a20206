"""ALTER COLUMN TYPE."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, strings
from bascule.validation.needs.converts import Converts
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import column_words, columns_in, need, source
from bascule.validation.needs.postgresql.pieces import Pieces
from bascule.validation.needs.postgresql.world import World


def changed(
    world: World, statement: Statement, table: ObjectName, command: Node, written: Pieces, *, children: bool
) -> Iterator[Need]:
    """Every value of the column fits into the new type."""
    column, definition = command["name"], command["def"]["ColumnDef"]
    type_name = definition["typeName"]
    kind = strings(type_name["names"])[-1]
    text = _written_type(written)
    using = definition.get("raw_default")
    cast = using is not None and _casts(using, column, kind)
    labels = world.labels.get(kind)
    expression = written.after("using") if using is not None and not cast else None
    plain = "arrayBounds" not in type_name
    domain = world.domains.get(kind) if plain else None
    new = kind in world.types and (labels is None or expression is not None) and domain is None
    modifiers = _modifiers(type_name)
    nothing = world.is_null(table, column)
    doubt = "the new type is one that the pending migrations make" if new else ""
    if modifiers is None:
        doubt = doubt or "the new type's modifiers cannot be read"
    if not nothing and text:
        yield need(
            world,
            statement,
            table,
            words=f"every value of {column_words(table, [column])} must fit into {text}",
            offence="do not",
            question=Converts(
                source=source(world, table, children=children),
                column=column,
                type=kind,
                written=text,
                modifiers=modifiers or (),
                plain=plain,
                cast=cast,
                using=expression.text if expression is not None else "",
                labels=labels,
                domain=domain,
            ),
            columns=(column, *columns_in(using)),
            doubt=doubt,
            server_words=True,
        )
        world.alters_column(
            table, column, f"line {statement.line} changes the type of {column_words(table, [column])} first"
        )


def _written_type(written: Pieces) -> str:
    """Behind ``ALTER [COLUMN] name [SET DATA] TYPE``, where the name may be the word ``type`` too."""
    behind = written.after("column") or written.after("alter")
    behind = behind.without_first().after("type") if behind is not None else None
    return behind.before("using", "collate").text if behind is not None else ""


def _casts(using: Node, column: str, kind: str) -> bool:
    """``column::kind``, or the same by way of text."""
    if "TypeCast" not in using or strings(using["TypeCast"]["typeName"]["names"])[-1] != kind:
        return False
    inner = using["TypeCast"]["arg"]
    if "TypeCast" in inner and strings(inner["TypeCast"]["typeName"]["names"])[-1] in ("text", "varchar"):
        inner = inner["TypeCast"]["arg"]
    return "ColumnRef" in inner and tuple(columns_in(inner)) == (column,)


def _modifiers(type_name: Node) -> tuple[int, ...] | None:
    """Lengths, precisions and scales; None where they are not plain numbers."""
    found = []
    for each in type_name.get("typmods", []):
        constant = each.get("A_Const", {}).get("ival")
        if constant is None:
            return None
        found.append(int(constant.get("ival", 0)))
    return tuple(found)
