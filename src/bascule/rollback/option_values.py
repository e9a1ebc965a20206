"""Options of servers, user mappings, foreign tables and wrappers, whose values are passwords, as a rule.

A look has a digest of each value. Looks that an earlier version kept have the values themselves: they are brought into
the same form before anything is compared, so that none of them comes into a difference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

Parts = Mapping[str, Any]

PROPERTY = "option_values"
"""Digest by name; None for one of which nobody kept the value."""

_KINDS = ("other foreign-data wrapper ", "other server ", "other user mapping ")
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)')
_OPTIONS = " OPTIONS "


def without_values(key: str, parts: Parts) -> Parts:
    """An object of a look, without clear values of options."""
    found = dict(parts)
    if key.startswith(_KINDS) and "options" in found:
        found[PROPERTY] = _digests(found.pop("options") or ())
    elif isinstance(found.get("foreign"), str) and _OPTIONS in found["foreign"]:
        server, _, options = found["foreign"].partition(_OPTIONS)
        found |= {"foreign": server, PROPERTY: _digests(_array(options))}
    if any("foreign" in column for column in found.get("columns", ())):
        found["columns"] = [_column(column) for column in found["columns"]]
    return found


def changed_values(of: str, old: Any, new: Any) -> Iterator[tuple[str, Literal["lossy"]]]:
    """How they differ, in words that tell no value."""
    before, after = old or {}, new or {}
    behind = f" of {of}" if of else ""
    for name in sorted({*before, *after}):
        if name not in after:
            yield f"option {name}{behind} is missing", "lossy"
        elif name not in before:
            yield f"option {name}{behind} is left behind", "lossy"
        elif before[name] != after[name] and None not in (before[name], after[name]):
            yield f"the value of option {name}{behind} is another one", "lossy"


def _column(column: Parts) -> Parts:
    if "foreign" not in column:
        return column
    rest = {name: value for name, value in column.items() if name != "foreign"}
    return rest | {PROPERTY: _digests(column["foreign"] or ())}


def _digests(pairs: Iterable[str]) -> dict[str, str | None]:
    """As the server makes them; an option without a value stands for one that was kept by its name alone."""
    return {
        pair.partition("=")[0]: hashlib.sha256(pair.encode()).hexdigest()[:16] if "=" in pair else None
        for pair in pairs
    }


def _array(text: str) -> list[str]:
    """The texts in an array as PostgreSQL writes it."""
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in _ITEM.findall(text)]
