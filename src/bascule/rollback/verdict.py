"""What a rollback reached: the schema of before the up compared with that after the down.

Both looks come from the same touch, so an object is missing from one of them only if it was not there, with one
exception: what was looked at merely because it depends on something named (``linked`` objects, items of ``partial``
tables) is found only as long as it does. Therefore such a thing counts when it was there before, because what the
scripts do not name can go away only by being dropped along with something; and it does not count when it is there only
after, because nothing new is without a name in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from bascule.domain.schema import Difference, Snapshot, Verdict
from bascule.rollback.option_values import without_values
from bascule.rollback.parts import Change, Parts, compare_entirely, compare_items, named_items
from bascule.rollback.reading import names_in, read

_WEIGHTS = ("column_order", "cosmetic", "lossy")
"""From the lightest to the heaviest."""


def compare(before: Snapshot, after: Snapshot) -> tuple[Difference, ...]:
    """The differences in words, object by object; empty where there are none.

    `before` and `after` are looks at the same touch, or both at everything.
    """
    if before.objects == after.objects:
        return ()
    one, other = _readable(before, after), _readable(after, before)
    renamed = _renamed_sequences(one, other)
    names = {_name(old): _name(new) for old, new in renamed.items()}
    found: list[Difference] = []
    for key in sorted({*one, *other} - set(renamed.values())):
        if key in renamed:
            found.append(Difference(object=key, what=f"it is now named {_name(renamed[key])}", weight="cosmetic"))
            continue
        changes = _changes(key, one, other, names)
        found.extend(Difference(object=key, what=what, weight=weight) for what, weight in changes)
    return tuple(found)


def verdict(differences: Iterable[Difference]) -> Verdict:
    """The heaviest of the differences; ``exact`` where there are none."""
    weights = {each.weight for each in differences}
    return next((weight for weight in reversed(_WEIGHTS) if weight in weights), "exact")


def _readable(look: Snapshot, other: Snapshot) -> dict[str, Parts]:
    """Definitions kept as text are taken apart, where the texts differ."""
    names = names_in(look.objects) | names_in(other.objects)
    return {
        key: parts if other.objects.get(key) == parts else read(without_values(key, parts), names)
        for key, parts in look.objects.items()
    }


def _changes(
    key: str, before: Mapping[str, Parts], after: Mapping[str, Parts], renamed: Mapping[str, str]
) -> Iterator[Change]:
    old, new = before.get(key), after.get(key)
    if old == new:
        return
    if new is None:
        yield from _gone(key, old or {}, before, after)
    elif old is None:
        yield from _come(key, new, before, after)
    elif old.get("partial") or new.get("partial"):
        yield from compare_items(_kind(key), old, new, renamed)
    else:
        yield from compare_entirely(_kind(key), old, new, renamed)


def _gone(key: str, parts: Parts, before: Mapping[str, Parts], after: Mapping[str, Parts]) -> Iterator[Change]:
    if parts.get("mentions"):
        return
    if parts.get("partial"):
        yield from compare_items(_kind(key), parts, {}, {})
    elif not _goes_with_its_column(key, parts, before, after):
        yield "it is missing", "lossy"


def _come(key: str, parts: Parts, before: Mapping[str, Parts], after: Mapping[str, Parts]) -> Iterator[Change]:
    if parts.get("partial"):
        for item in named_items(parts):
            yield f"{item} is left behind", "lossy"
    elif parts.get("mentions") or (parts.get("linked") and not key.startswith("sequence ")):
        return
    elif not _goes_with_its_column(key, parts, after, before):
        yield "it is left behind", "lossy"


def _goes_with_its_column(key: str, parts: Parts, here: Mapping[str, Parts], there: Mapping[str, Parts]) -> bool:
    """A sequence of a column that is not on the other side either: the column is told, and that is enough."""
    return _owned_sequence(key, parts) and _has_owner(parts, here) and not _has_owner(parts, there)


def _has_owner(parts: Parts, look: Mapping[str, Parts]) -> bool:
    owner = parts["owned_by"]
    columns = look.get(f"table {owner['table']}", {}).get("columns", ())
    return any(each["name"] == owner["column"] for each in columns)


def _renamed_sequences(before: Mapping[str, Parts], after: Mapping[str, Parts]) -> dict[str, str]:
    """Sequences that a column made for itself twice: …_id_seq, and …_id_seq1 because the first name was still taken."""
    gone = {key: parts for key, parts in before.items() if key not in after and _owned_sequence(key, parts)}
    come = {key: parts for key, parts in after.items() if key not in before and _owned_sequence(key, parts)}
    renamed: dict[str, str] = {}
    for key, parts in gone.items():
        twin = next((new for new in come if new not in renamed.values() and _same(parts, come[new])), None)
        if twin is not None:
            renamed[key] = twin
    return renamed


def _owned_sequence(key: str, parts: Parts) -> bool:
    return key.startswith("sequence ") and bool(parts.get("owned_by"))


def _same(one: Parts, other: Parts) -> bool:
    return _without(one, ("linked",)) == _without(other, ("linked",))


def _without(parts: Parts, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in parts.items() if name not in names}


def _kind(key: str) -> str:
    return key.partition(" ")[0]


def _name(key: str) -> str:
    return key.partition(" ")[2]
