"""How two looks at one object differ, part by part, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from bascule.rollback.layout import masked, same_but_for_layout
from bascule.rollback.wording import changed, shown

Parts = Mapping[str, Any]
"""An object's parts, as in a `Snapshot`."""

Change = tuple[str, Literal["column_order", "cosmetic", "lossy"]]
"""What differs, as a sentence, and how much it weighs."""

Renamed = Mapping[str, str]
"""Sequences that have another name now: old to new."""

ITEMS = {
    "constraints": "constraint",
    "indexes": "index",
    "triggers": "trigger",
    "rules": "rule",
    "policies": "policy",
    "statistics": "statistics",
    "publications": "publication",
    "defaults": "default of column",
}
"""Parts that hold things by name, and what one of these is called."""

_NAMES_ARE_LAYOUT = ("constraints", "indexes", "statistics")
"""Where a name says nothing but what it was called: the database makes one up where none is given. Triggers are not
among these, for they fire in the order of their names."""

_ABOUT_THE_LOOK = ("linked", "mentions", "partial", "named")
_IN_ORDER = ("table", "type")
"""Kinds of objects whose columns have an order of their own; that of a view is in its definition."""


def compare_entirely(kind: str, before: Parts, after: Parts, renamed: Renamed) -> Iterator[Change]:
    """Two looks at a whole object of this kind (``table``, ``view``…)."""
    yield from _columns(kind, before.get("columns", ()), after.get("columns", ()), renamed)
    for part in ITEMS:
        yield from _items(part, before.get(part, {}), after.get(part, {}))
    for name in sorted({*before, *after} - {*ITEMS, *_ABOUT_THE_LOOK, "columns"}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name == "definition" and same_but_for_layout(old, new, before.get("language")):
            yield "its text differs only in layout or comments", "cosmetic"
        else:
            yield from changed(name, "", old, new)


def compare_items(kind: str, before: Parts, after: Parts, renamed: Renamed) -> Iterator[Change]:
    """Two looks of which one at least is at single items only: those of `before` count, and those that were named."""
    old_columns = {each["name"]: each for each in before.get("columns", ())}
    new_columns = {each["name"]: each for each in after.get("columns", ())}
    counts = before.get("partial") and not before.get("mentions")
    for name, old in old_columns.items():
        if name in new_columns:
            yield from _properties(_member(kind), name, old, new_columns[name], renamed)
        elif counts:
            yield f"{_member(kind)} {name} is missing", "lossy"
    for name, new in new_columns.items():
        if name not in old_columns and _is_named(new):
            yield f"{_member(kind)} {name} is left behind", "lossy"
    for part in ITEMS:
        old_items = before.get(part, {})
        new_items = after.get(part, {}) if part != "defaults" else {**_defaults(new_columns), **after.get(part, {})}
        limits = old_items.keys() if counts else old_items.keys() & new_items.keys()
        named = {name for name, value in new_items.items() if _is_named(value)}
        yield from _items(
            part,
            {name: old_items[name] for name in old_items if name in limits},
            {name: new_items[name] for name in new_items if name in limits or name in named},
        )


def named_items(parts: Parts) -> Iterator[str]:
    """The items that a script names itself, of a table that it does not name entirely."""
    for column in parts.get("columns", ()):
        if _is_named(column):
            yield f"column {column['name']}"
    for part, word in ITEMS.items():
        for name, value in parts.get(part, {}).items():
            if _is_named(value):
                yield f"{word} {name}"


def _member(kind: str) -> str:
    return "attribute" if kind == "type" else "column"


def _is_named(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value.get("named"))


def _defaults(columns: Mapping[str, Parts]) -> dict[str, str]:
    return {name: each["default"] for name, each in columns.items() if "default" in each}


# Columns


def _columns(
    kind: str, before: list[Parts] | tuple[()], after: list[Parts] | tuple[()], renamed: Renamed
) -> Iterator[Change]:
    old = {each["name"]: each for each in before}
    new = {each["name"]: each for each in after}
    word = _member(kind)
    for name in old:
        if name not in new:
            yield f"{word} {name} is missing", "lossy"
    for name in new:
        if name not in old:
            yield f"{word} {name} is left behind", "lossy"
    for name in old:
        if name in new:
            yield from _properties(word, name, old[name], new[name], renamed)
    order, now = [name for name in old if name in new], [name for name in new if name in old]
    if kind in _IN_ORDER and order != now:
        # A row of a composite type is built and read by position, so there the order is part of the meaning.
        weight: Literal["column_order", "lossy"] = "column_order" if kind == "table" else "lossy"
        yield f"{word}s are in another order: they were {', '.join(order)}, now {', '.join(now)}", weight


def _properties(word: str, name: str, before: Parts, after: Parts, renamed: Renamed) -> Iterator[Change]:
    for each in sorted({*before, *after}):
        old, new = before.get(each), after.get(each)
        if old == new or each in _ABOUT_THE_LOOK:
            continue
        if each == "storage" and before.get("type") != after.get("type"):
            continue  # It follows the type.
        if each == "default" and _with_new_names(old, renamed) == new:
            continue
        yield from changed(each, f"{word} {name}", old, new)


def _with_new_names(default: str | None, renamed: Renamed) -> str | None:
    """The default as it reads after its sequence was renamed, which is told where the sequence is."""
    for old, new in renamed.items():
        default = default.replace(f"'{old}'", f"'{new}'") if default is not None else None
    return default


# Items by name


def _items(part: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    word = ITEMS[part]
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    for name in sorted(gone):
        twin = _twin(before[name], after, come) if part in _NAMES_ARE_LAYOUT else None
        if twin is not None:
            come.remove(twin)
            yield f"{word} {name} is now named {twin}", "cosmetic"
            yield from _item(word, twin, before[name], after[twin])
        elif part == "defaults":
            yield f"{word} {name} was {shown(before[name])}, now none", "lossy"
        elif not _told_by_its_constraint(part, before[name]):
            yield f"{word} {name} is missing", "lossy"
    for name in sorted(come):
        if not _told_by_its_constraint(part, after[name]):
            yield f"{word} {name} is left behind", "lossy"
    for name in sorted(before.keys() & after.keys()):
        yield from _item(word, name, before[name], after[name])


def _twin(item: Any, others: Mapping[str, Any], names: list[str]) -> str | None:
    """Among the names the one whose item says the same but for its name."""
    definition = masked(item.get("definition"))
    if definition is None:
        return None
    return next((name for name in names if masked(others[name].get("definition")) == definition), None)


def _told_by_its_constraint(part: str, item: Any) -> bool:
    return part == "indexes" and "definition" not in item


def _item(word: str, name: str, before: Any, after: Any) -> Iterator[Change]:
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        if before != after:
            yield f"{word} {name} was {shown(before)}, now {shown(after)}", "lossy"
        return
    for each in sorted({*before, *after}):
        old, new = before.get(each), after.get(each)
        if old == new or each in _ABOUT_THE_LOOK:
            continue
        if each != "definition":
            yield from changed(each, f"{word} {name}", old, new)
        elif old is not None and new is not None and masked(old) != masked(new):
            weight: Literal["cosmetic", "lossy"] = "cosmetic" if same_but_for_layout(old, new, None) else "lossy"
            yield f"{word} {name} was {shown(old)}, now {shown(new)}", weight
