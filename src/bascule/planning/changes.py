"""What is different in the world since a plan was written, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bascule.domain.plan_file import FileHashes, World

_TOLD = 5


def changed_world(then: World, now: World) -> tuple[str, ...]:
    """Of the target, its ledger, hooks and the objects that the plan touches."""
    words = _target(then.target, now.target)
    if words:
        # Of another database everything else differs too, which would only hide the one thing that counts.
        return tuple(words)
    if then.ledger != now.ledger:
        words.append(f"the ledger had {_ledger(then)}, and has {_ledger(now)}")
    words += _parts(then.hooks, now.hooks, "the hook {}")
    return (*words, *_parts(then.objects, now.objects, "{}"))


def changed_files(then: Sequence[FileHashes], now: Mapping[str, FileHashes]) -> tuple[str, ...]:
    """Of the migrations' files; one that is not in `now` is gone."""
    words = []
    for each in then:
        found = now.get(each.name)
        if found is None:
            words.append(f"{each.name} is not in the folder any more")
        elif found.exact != each.exact:
            words.append(f"the file of {each.name} was edited")
        elif found.parser == each.parser and found.semantic != each.semantic:
            words.append(f"{each.name} means something else, for a variable has another value")
        elif found.down != each.down:
            words.append(f"the way back of {each.name} was edited")
    return tuple(words)


def _target(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    both = bool(then.get("identity") and now.get("identity"))
    # What the database calls itself is the same whatever way leads to it; an address is the next best.
    kinds = ("dialect", "database", "identity") if both else ("dialect", "database", "location")
    words = [
        f"the plan is for another database: {then.get('location', '')}, and this is {now.get('location', '')}"
        for kind in kinds
        if then.get(kind, "") != now.get(kind, "")
    ][:1]
    if then.get("environment", "") != now.get("environment", ""):
        words.append(f"the environment was {then.get('environment', '')}, and is {now.get('environment', '')}")
    return words


def _ledger(world: World) -> str:
    if not world.applied:
        return "nothing"
    return f"{world.applied} applied, {world.newest} the last"


def _parts(then: Mapping[str, str], now: Mapping[str, str], form: str) -> list[str]:
    words = []
    for name in sorted({*then, *now}):
        if then.get(name) == now.get(name):
            continue
        how = "is gone" if name not in now else "is there now" if name not in then else "is another one now"
        words.append(f"{form.format(name)} {how}")
    more = len(words) - _TOLD
    return [*words[:_TOLD], f"and {more} more"] if more > 0 else words
