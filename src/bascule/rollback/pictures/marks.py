"""What an expression of PostgreSQL's grammar says, so that what an author wrote can be compared with what the catalog
makes of it: which columns, constants, functions and operators stand in it. Casts, parentheses and the two ways to write
a list do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Marks = tuple[tuple[str, str], ...]

_LISTS = ("=", "<>")
_SILENT = ("location", "typeName", "stmt_location", "stmt_len")


def marks(node: Any) -> Marks:
    """Sorted; empty of nothing."""
    return tuple(sorted(_marks(node)))


def _marks(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for each in node:
            yield from _marks(each)
        return
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in _SILENT:
            continue
        if (told := _TELLING.get(key)) is not None:
            yield from told(value)
        if key not in ("ColumnRef", "A_Const"):
            yield from _marks(value)


def _column(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    last = node["fields"][-1]
    yield "column", last["String"].get("sval", "") if "String" in last else "*"


def _constant(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if node.get("isnull"):
        return
    for kind in ("ival", "fval", "sval", "boolval", "bsval"):
        if kind in node:
            value = next(iter(node[kind].values()), "" if kind == "sval" else 0 if kind != "boolval" else False)
            yield "value", {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _function(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "function", node["funcname"][-1]["String"].get("sval", "")


def _operator(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    name = node["name"][-1]["String"].get("sval", "")
    if name not in _LISTS:
        yield "operator", name


def _word(name: str) -> Callable[[dict[str, Any]], Iterator[tuple[str, str]]]:
    def told(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if name in node:
            yield "word", str(node[name])

    return told


_TELLING: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, str]]]] = {
    "ColumnRef": _column,
    "A_Const": _constant,
    "FuncCall": _function,
    "A_Expr": _operator,
    "NullTest": _word("nulltesttype"),
    "BooleanTest": _word("booltesttype"),
    "SQLValueFunction": _word("op"),
    "RangeVar": _word("relname"),
    "SortBy": _word("sortby_dir"),
    "JoinExpr": _word("jointype"),
    "SubLink": _word("subLinkType"),
}


def columns_in(node: Any) -> frozenset[str]:
    """The columns that stand in it."""
    return frozenset(name for kind, name in _marks(node) if kind == "column")


def tables_in(node: Any) -> frozenset[str]:
    """Names of the tables that stand in it."""
    return frozenset(_tables(node))


def _tables(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _tables(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "RangeVar":
                yield value["relname"]
            yield from _tables(value)


def renamed(found: Any, old: str, new: str) -> Any:
    """Marks, or what holds some, with a column under its new name."""
    if found == ("column", old):
        return "column", new
    if isinstance(found, tuple):
        inner = [renamed(each, old, new) for each in found]
        return tuple(sorted(inner)) if _are_marks(found) else tuple(inner)
    return found


def _are_marks(found: tuple[Any, ...]) -> bool:
    return all(
        isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str) and isinstance(each[1], str)
        for each in found
    )
