"""What a whole script may change, with the names that a search path of its own adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bascule.domain.statement import Insight, ObjectName, Touch


def script_touch(insights: Iterable[Insight], *, back: bool = False) -> Touch:
    """All touches of a script's statements, in their order, as one. `back`: it is a down script.

    Where a statement sets the search path, a name written without schema is listed for each schema of each path set so
    far, and also without one: RESET, a rollback, or the order of a path may lead to any of them. A name too many costs
    a look into the catalog, a name too few would hide a change.
    """
    objects: set[ObjectName] = set()
    reasons: dict[str, None] = {}
    unseen: dict[str, None] = {}
    schemas: dict[str, None] = {}
    runs: set[ObjectName] = set()
    code: dict[str, None] = {}
    everything = False
    for insight in insights:
        touch = insight.touch_back if back and insight.touch_back is not None else insight.touch
        objects.update(_placed(touch.objects, schemas))
        everything = everything or touch.everything
        reasons.update(dict.fromkeys(touch.reasons))
        unseen.update(dict.fromkeys(touch.unseen))
        runs.update(_placed(touch.runs, schemas))
        code.update(dict.fromkeys(touch.code))
        schemas.update(dict.fromkeys(insight.search_path or ()))
    return Touch(
        objects=frozenset(objects),
        everything=everything,
        reasons=tuple(reasons),
        unseen=tuple(unseen),
        runs=frozenset(runs),
        code=tuple(code),
    )


_IN_SCHEMAS = frozenset(("relation", "routine", "type"))


def _placed(names: Iterable[ObjectName], schemas: Iterable[str]) -> Iterator[ObjectName]:
    for name in names:
        yield name
        if name.schema is None and name.kind in _IN_SCHEMAS:
            for schema in schemas:
                yield ObjectName(kind=name.kind, name=name.name, schema=schema, column=name.column)
