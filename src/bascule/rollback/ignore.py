"""Objects that the user leaves out of comparisons: a table the application makes, a view with today's date in it."""

from __future__ import annotations

from bascule.domain.schema import Snapshot
from bascule.domain.statement import ObjectName, Touch

_KINDS = {
    "table": "relation",
    "view": "relation",
    "materialized view": "relation",
    "foreign table": "relation",
    "sequence": "relation",
    "function": "routine",
    "procedure": "routine",
    "aggregate": "routine",
    "type": "type",
    "domain": "type",
    "schema": "schema",
    "extension": "extension",
}


def leave_out(snapshot: Snapshot, outside: Touch) -> Snapshot:
    """The snapshot without those objects. A name without schema leaves it out in every schema."""
    if not outside.objects:
        return snapshot
    kept = {key: parts for key, parts in snapshot.objects.items() if not _is_outside(key, outside)}
    return Snapshot(objects=kept, whole=snapshot.whole)


def _is_outside(key: str, outside: Touch) -> bool:
    return any(_matches(key, each) for each in outside.objects)


def _matches(key: str, outside: ObjectName) -> bool:
    for word, kind in _KINDS.items():
        if kind == outside.kind and key.startswith(f"{word} "):
            schema, _, name = key[len(word) + 1 :].split("(", 1)[0].rpartition(".")
            same = name.strip('"') == outside.name
            return same and outside.schema in (None, schema.strip('"'))
    return False
