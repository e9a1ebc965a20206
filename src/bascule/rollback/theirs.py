"""What somebody else has changed since a migration ran: it is not expected to be as it was before."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any

from bascule.domain.schema import Difference, Part, Snapshot
from bascule.rollback.verdict import compare

_ITEMS = {"constraint": "constraints", "index": "indexes", "trigger": "triggers"}


def apart(
    before: Snapshot, after: Snapshot, differences: Sequence[Difference], theirs: Collection[Part]
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """The differences that remain where `theirs` is as others have left it, and the others in words."""
    if not theirs:
        return tuple(differences), ()
    still = {(each.object, each.what) for each in compare(_expected(before, after, theirs), after)}
    mine, words = [], []
    for each in differences:
        if (each.object, each.what) in still:
            mine.append(each)
        else:
            words.append(f"{each.object}: {each.what}: somebody else changed it after the migration had run; it stays")
    return tuple(mine), tuple(words)


def _expected(before: Snapshot, after: Snapshot, theirs: Collection[Part]) -> Snapshot:
    """The look of before, with what others have changed as it is now."""
    objects: dict[str, Any] = dict(before.objects)
    for key, part, name in theirs:
        now = after.objects.get(key)
        if now is None:
            continue
        if not part:
            objects[key] = now
        elif key in objects or now.get("partial"):
            objects[key] = _with(objects.get(key, {"partial": True}), now, part, name)
    return Snapshot(objects=objects, whole=before.whole)


def _with(before: Any, now: Any, part: str, name: str) -> Any:
    expected = copy.deepcopy(dict(before))
    if part in _ITEMS:
        items = now.get(_ITEMS[part], {})
        if name in items:
            expected.setdefault(_ITEMS[part], {})[name] = items[name]
    elif part == "column":
        _take_column(expected, now, name)
    elif part == "comment" and not name:
        expected.pop("comment", None)
        expected |= {"comment": now["comment"]} if "comment" in now else {}
    elif part == "comment":
        comments = {each["name"]: each.get("comment") for each in now.get("columns", ())}
        for column in expected.get("columns", ()):
            if column["name"] == name and comments.get(name) is not None:
                column["comment"] = comments[name]
    return expected


def _take_column(expected: Any, now: Any, name: str) -> None:
    there = next((each for each in now.get("columns", ()) if each["name"] == name), None)
    if there is not None:
        columns = expected.setdefault("columns", [])
        at = next((at for at, each in enumerate(columns) if each["name"] == name), None)
        if at is None:
            columns.append(there)
        else:
            columns[at] = there
    if name in now.get("defaults", {}):
        expected.setdefault("defaults", {})[name] = now["defaults"][name]
