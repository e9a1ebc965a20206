"""Which migration needs which, and an order in which each comes after all that it needs.

A migration needs what its ``depends`` names; one that declares nothing needs the one before it in the folder's order.
Repeatable ones come after all versioned ones; among themselves they follow their ``depends``, then their names.

What a migration depends on is only known once its file has been read. Files that were not read (the applied ones, whose
needs are met) have no place in `depends` and no needs here.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import MigrationRef
from bascule.errors import Refused
from bascule.planning.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Migrations with their needs, without a cycle."""

    order: tuple[MigrationRef, ...]
    """The versioned ones, each after all that it needs; the folder's order wherever that allows it."""
    repeatables: tuple[MigrationRef, ...]
    """The repeatable ones, in the order in which they run."""
    declared: Mapping[str, tuple[str, ...]]
    """The direct needs, by full names, of those which declare them. Applied ones without a file are left out."""
    before: Mapping[str, str]
    """The versioned migration before each in the folder's order; the first one has none."""

    def needs(self, name: str) -> tuple[str, ...]:
        """The names that a migration needs directly: declared, otherwise the one before it."""
        if name in self.declared:
            return self.declared[name]
        return (self.before[name],) if name in self.before else ()


def build(
    refs: Sequence[MigrationRef],
    depends: Mapping[str, tuple[str, ...] | None],
    *,
    applied: Sequence[LedgerEntry] = (),
) -> Graph:
    """The graph of a folder, in linear time for histories whose declared needs point backwards.

    `refs`: the listing, in its order. `depends`: for each migration that was read, the names as written, or None where
    it declares nothing. `applied`: the ledger, so that a need may name an applied migration whose file is gone.

    Raises:
        Refused: ``missing_dependency``, ``ambiguous_dependency`` or ``dependency_cycle`` (shown as ``a -> b -> a``).
    """
    versioned = [ref for ref in refs if not ref.repeatable]
    repeatables = sorted((ref for ref in refs if ref.repeatable), key=lambda ref: ref.name)
    before = {ref.name: previous.name for previous, ref in itertools.pairwise(versioned)}
    written = {name: names for name, names in depends.items() if names is not None}
    declared = _resolve(refs, written, applied) if written else {}
    # What is applied already is met: it must not move those that need it away from their place in the folder.
    done = {entry.name for entry in applied}
    follows = {
        name: tuple(need for need in needs if need not in done)
        for name, needs in ({name: (before[name],) for name in depends if name in before} | declared).items()
    }
    return Graph(
        order=_sorted(versioned, follows, declared),
        repeatables=_sorted(repeatables, follows, declared),
        declared=declared,
        before=before,
    )


def _resolve(
    refs: Sequence[MigrationRef], written: Mapping[str, tuple[str, ...]], applied: Sequence[LedgerEntry]
) -> dict[str, tuple[str, ...]]:
    """Full names for the names as written."""
    listed = {ref.name: ref for ref in refs}
    gone = [entry for entry in applied if entry.name not in listed]
    names: Names[MigrationRef | LedgerEntry] = Names([*refs, *gone])
    declared: dict[str, tuple[str, ...]] = {}
    for name, wanted in written.items():
        if name not in listed:
            continue
        found = [_one(names, name, each) for each in wanted]
        for each in found:
            if each.repeatable and not listed[name].repeatable:
                raise Refused(
                    f"{name} depends on {each.name}, which is repeatable: those run after every versioned one.",
                    code="missing_dependency",
                    hint="Take it out of `depends`, or make it a versioned migration.",
                    details={"migration": name, "dependency": each.name},
                )
        declared[name] = tuple(dict.fromkeys(each.name for each in found if each.name in listed))
    return declared


def _one(names: Names[MigrationRef | LedgerEntry], migration: str, wanted: str) -> MigrationRef | LedgerEntry:
    found = names.called(wanted)
    if len(found) == 1:
        return found[0]
    details = {"migration": migration, "dependency": wanted}
    if found:
        several = [each.name for each in found]
        raise Refused(
            f"{migration} depends on {wanted}, which may mean {' or '.join(several)}.",
            code="ambiguous_dependency",
            hint="Write the whole name in `depends`.",
            details={**details, "matches": several},
        )
    near = names.nearest(wanted)
    raise Refused(
        f"{migration} depends on {wanted}, but there is no such migration.",
        code="missing_dependency",
        hint=f"Did you mean {' or '.join(near)}?" if near else "Add the migration, or correct `depends`.",
        details={**details, "nearest": near},
    )


def _sorted(
    refs: Sequence[MigrationRef], follows: Mapping[str, tuple[str, ...]], declared: Mapping[str, tuple[str, ...]]
) -> tuple[MigrationRef, ...]:
    """Of all migrations whose needs are met always the folder's first: as near to its order as the needs allow."""
    place = {ref.name: index for index, ref in enumerate(refs)}
    needs = [[place[need] for need in follows.get(ref.name, ()) if need in place] for ref in refs]
    if all(need < index for index, each in enumerate(needs) for need in each):
        return tuple(refs)
    waiting_for = [len(each) for each in needs]
    needed_by: list[list[int]] = [[] for _ in refs]
    for index, each in enumerate(needs):
        for need in each:
            needed_by[need].append(index)
    ready = [index for index, count in enumerate(waiting_for) if count == 0]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(refs[index])
        for dependent in needed_by[index]:
            waiting_for[dependent] -= 1
            if waiting_for[dependent] == 0:
                heapq.heappush(ready, dependent)
    if len(order) < len(refs):
        done = {ref.name for ref in order}
        raise _cycle([ref.name for ref in refs if ref.name not in done], follows, declared)
    return tuple(order)


def _cycle(
    stuck: Sequence[str], follows: Mapping[str, tuple[str, ...]], declared: Mapping[str, tuple[str, ...]]
) -> Refused:
    """The error for migrations that wait for one another. Each stuck one needs a stuck one, so a walk must return."""
    among = set(stuck)
    path: list[str] = []
    seen: dict[str, int] = {}
    name = stuck[0]
    while name not in seen:
        seen[name] = len(path)
        path.append(name)
        name = next(need for need in follows[name] if need in among)
    ring = [*path[seen[name] :], name]
    by_order = [each for each in ring[1:] if each not in declared]
    hint = "Take one of these dependencies out."
    if by_order:
        hint = (
            f"{_list(by_order)} {'declares' if len(by_order) == 1 else 'declare'} nothing, so file order counts: "
            "write a `depends` there (`-- depends:` with no name where nothing is needed), or take another one out."
        )
    return Refused(
        f"Migrations depend on each other in a circle: {_shown(ring)}.",
        code="dependency_cycle",
        hint=hint,
        details={"cycle": ring},
    )


def _shown(ring: Sequence[str]) -> str:
    if len(ring) <= 12:
        return " -> ".join(ring)
    return " -> ".join([*ring[:6], f"… {len(ring) - 12} more …", *ring[-6:]])


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
