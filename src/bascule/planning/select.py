"""What `up` and `rollback` are about: from folder, ledger and the words of a command to lists of migrations.

Ledger entries count in the order of their positions; repeatable ones are never late, never a need, never rolled back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import MigrationRef
from bascule.errors import Refused, UsageError
from bascule.planning.graph import Graph
from bascule.planning.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an `up` runs, and what a person has to be told about it. All names in the order of the graph."""

    order: tuple[MigrationRef, ...]
    """The versioned migrations to run, in this order."""
    prerequisites: tuple[str, ...] = ()
    """Run because a named one needs them."""
    late: tuple[str, ...] = ()
    """Among `order`: those that stand before the newest applied one."""
    skipped: tuple[str, ...] = ()
    """Pending, older than something that is run, and not run, since nothing that is named needs them."""
    missing: tuple[str, ...] = ()
    """Applied versioned ones whose file is gone."""
    already: tuple[str, ...] = ()
    """Named, and applied already."""
    repeatable: tuple[MigrationRef, ...] = ()
    """Repeatable ones among the named."""


def select_up(
    refs: Sequence[MigrationRef],
    graph: Graph,
    applied: Sequence[LedgerEntry],
    *,
    names: Sequence[str] = (),
    to: str | None = None,
    steps: int | None = None,
    late: Literal["apply", "refuse"] = "apply",
) -> Selection:
    """What to apply: all pending; or `names` with the pending ones they need; or all up to `to`; at most `steps`.

    `graph` must have been built with what each pending migration declares; nothing need be known of applied ones.

    Raises:
        UsageError: a name that finds nothing or several, `names` together with `to` or `steps`, `steps` below 1.
        Refused: ``late_migration`` where something late would run and the policy is to refuse; ``missing_file`` where
            `to` names an applied migration whose file is gone, so that nobody knows where it stood.
    """
    _require_sensible(names=names, to=to, steps=steps)
    listed = {ref.name for ref in refs}
    gone = [entry for entry in applied if entry.name not in listed]
    done = {entry.name for entry in applied}
    pending = [ref for ref in graph.order if ref.name not in done]
    # An index of 10,000 names is only made where something is looked up.
    known: Names[MigrationRef | LedgerEntry] | None = Names([*refs, *gone]) if names or to is not None else None
    wanted: list[MigrationRef | LedgerEntry] = [known.find(name) for name in names] if known else []
    if names:
        needed = _with_needs(graph, (each.name for each in wanted if not each.repeatable), done)
        order = [ref for ref in pending if ref.name in needed]
    elif known is not None and to is not None:
        order = _up_to(graph, pending, known.find(to), listed)
    else:
        order = pending
    if steps is not None:
        order = order[:steps]
    named = {each.name for each in wanted}
    return Selection(
        order=tuple(order),
        prerequisites=tuple(ref.name for ref in order if ref.name not in named) if names else (),
        late=_late(graph, order, done, late),
        skipped=_skipped(pending, order) if names else (),
        missing=tuple(entry.name for entry in gone if not entry.repeatable),
        already=tuple(each.name for each in wanted if each.name in done and not each.repeatable),
        repeatable=tuple(ref for ref in graph.repeatables if ref.name in named),
    )


def select_rollback(
    refs: Sequence[MigrationRef],
    applied: Sequence[LedgerEntry],
    depends: Mapping[str, tuple[str, ...] | None],
    *,
    name: str | None = None,
    to: str | None = None,
    steps: int | None = None,
) -> tuple[LedgerEntry, ...]:
    """What to roll back, in this order; empty when there is nothing to.

    Alone: what was applied last. `steps`: so many of them. `to`: all that was applied after it, which itself stays.
    `name`: it and all that depends on it; an applied migration that declares nothing depends on all applied before it.

    `depends`: the names as written by applied migrations whose files were read, None where nothing is declared. Only
    `name` needs it; where it is known, the other forms too refuse to leave something applied whose needs would be gone.

    Raises:
        UsageError: a name that finds nothing or several; two of the three; `steps` below 1; ``not_applied`` for a `to`
            that is not applied; ``repeatable`` for one that never is rolled back.
        Refused: ``missing_file`` where the file of one that would be rolled back is gone; ``still_needed`` as above;
            ``dependency_cycle`` where applied migrations need each other.
    """
    given = [each for each in (name, to, steps) if each is not None]
    if len(given) > 1:
        raise UsageError("NAME, --to and --steps exclude one another.", hint="Give one of them.")
    _require_positive(steps)
    entries = sorted((entry for entry in applied if not entry.repeatable), key=lambda entry: entry.position)
    needs = _applied_needs(entries, depends)
    if name is not None:
        start = _find_applied(refs, applied, name)
        chosen = _with_dependents(entries, needs, start) if start else []
    elif to is not None:
        start = _find_applied(refs, applied, to)
        if start is None:
            raise UsageError(
                f"{to} is not applied, so there is no way back to it.",
                code="not_applied",
                hint="bascule status lists what is applied, in order.",
            )
        chosen = [entry for entry in entries if entry.position > start.position]
    else:
        chosen = entries[-(steps or 1) :]
    _require_unneeded(chosen, entries, needs)
    _require_files(chosen, refs)
    return _newest_first(chosen, needs)


def select_repeatable(
    refs: Sequence[MigrationRef],
    applied: Sequence[LedgerEntry],
    *,
    exact: Mapping[str, str],
    semantic: Mapping[str, str],
    parser: str,
) -> tuple[MigrationRef, ...]:
    """Those of `refs` (in the order given, versioned ones left out) whose meaning is not the one that ran last.

    `exact` and `semantic`: hashes by name, of the files as they are now; `parser` made the semantic ones. Semantic
    hashes decide where one parser made both, since they see the values of variables too; otherwise the bytes do.
    """
    ran = {entry.name: entry for entry in sorted(applied, key=lambda entry: entry.position)}

    def changed(ref: MigrationRef) -> bool:
        entry = ran.get(ref.name)
        if entry is None:
            return True
        if entry.parser == parser:
            return entry.semantic_hash != semantic[ref.name]
        return entry.exact_hash != exact[ref.name]

    return tuple(ref for ref in refs if ref.repeatable and changed(ref))


def _require_sensible(*, names: Sequence[str], to: str | None, steps: int | None) -> None:
    if names and (to is not None or steps is not None):
        raise UsageError(
            "NAME and --to or --steps exclude one another.",
            hint="Name the migrations, or say how far to go.",
        )
    _require_positive(steps)


def _require_positive(steps: int | None) -> None:
    if steps is not None and steps < 1:
        raise UsageError(f"--steps must be 1 or more, not {steps}.")


def _with_needs(graph: Graph, names: Iterable[str], done: set[str]) -> set[str]:
    """The pending ones among `names`, and what they need, and so on; the walk stops at what is applied."""
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed and name not in done:
            needed.add(name)
            waiting.extend(graph.needs(name))
    return needed


def _up_to(
    graph: Graph, pending: list[MigrationRef], target: MigrationRef | LedgerEntry, listed: set[str]
) -> list[MigrationRef]:
    if target.repeatable:
        raise UsageError(
            f"{target.name} is repeatable: it runs after all others, so nothing can go up to it.", code="repeatable"
        )
    if target.name not in listed:
        raise Refused(
            f"{target.name} is applied, but its file is gone, so what comes before it is not known.",
            code="missing_file",
            hint="Bring the file back, or name another migration.",
            details={"missing": [target.name]},
        )
    wanted = {target.name}
    for ref in graph.order:
        wanted.add(ref.name)
        if ref.name == target.name:
            break
    return [ref for ref in pending if ref.name in wanted]


def _late(
    graph: Graph, order: Sequence[MigrationRef], done: set[str], policy: Literal["apply", "refuse"]
) -> tuple[str, ...]:
    if not order or not done:
        return ()
    newest = max((ref for ref in graph.order if ref.name in done), key=lambda ref: ref.order, default=None)
    if newest is None:
        return ()
    # One that says it needs the newest was written after it, whatever its version says.
    late = tuple(
        ref.name for ref in order if ref.order < newest.order and newest.name not in _declared_needs(graph, ref.name)
    )
    if late and policy == "refuse":
        raise Refused(
            f"Older than {newest.name}, which is applied already: {', '.join(late)}.",
            code="late_migration",
            hint="They came late, from a branch. Give them a newer version, or allow late migrations for this project.",
            details={"late": list(late), "newest": newest.name},
        )
    return late


def _declared_needs(graph: Graph, name: str) -> set[str]:
    """What it says it needs, and what those say, and so on."""
    found: set[str] = set()
    waiting = list(graph.declared.get(name, ()))
    while waiting:
        need = waiting.pop()
        if need not in found:
            found.add(need)
            waiting.extend(graph.declared.get(need, ()))
    return found


def _skipped(pending: Sequence[MigrationRef], order: Sequence[MigrationRef]) -> tuple[str, ...]:
    if not order:
        return ()
    chosen = {ref.name for ref in order}
    last = next(index for index in range(len(pending) - 1, -1, -1) if pending[index].name in chosen)
    return tuple(ref.name for ref in pending[:last] if ref.name not in chosen)


def _applied_needs(
    entries: Sequence[LedgerEntry], depends: Mapping[str, tuple[str, ...] | None]
) -> dict[str, frozenset[str]]:
    """The applied migrations that each applied one which declares its needs needs directly.

    A name that may mean several means all of them here: rolling back too much is seen beforehand, too little is not.
    """
    declaring = {entry.name: depends.get(entry.name) for entry in entries}
    written = {name: wanted for name, wanted in declaring.items() if wanted is not None}
    if not written:
        return {}
    names = Names(entries)
    return {
        name: frozenset(found.name for each in wanted for found in names.called(each))
        for name, wanted in written.items()
    }


def _find_applied(refs: Sequence[MigrationRef], applied: Sequence[LedgerEntry], name: str) -> LedgerEntry | None:
    """The entry that a name means; None for a migration that is there and not applied. Raises `UsageError`."""
    ledger = {entry.name: entry for entry in applied}
    listed = {ref.name for ref in refs}
    names: Names[MigrationRef | LedgerEntry] = Names([*refs, *(each for each in applied if each.name not in listed)])
    found = names.find(name)
    if found.repeatable:
        raise UsageError(
            f"{found.name} is repeatable and is never rolled back.",
            code="repeatable",
            hint="Change the file to what it should do now, or remove its effect with a new migration.",
        )
    return ledger.get(found.name)


def _with_dependents(
    entries: Sequence[LedgerEntry], needs: Mapping[str, frozenset[str]], start: LedgerEntry
) -> list[LedgerEntry]:
    """`start`, all that needs it, all that needs those, and so on."""
    needed_by: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        for need in needs.get(entry.name, ()):
            needed_by.setdefault(need, []).append(entry)
    chosen: dict[str, LedgerEntry] = {}
    waiting = [start]
    # Those that declare nothing need all before them: from the earliest chosen one on, each of them is in.
    undeclared = [entry for entry in entries if entry.name not in needs]
    while waiting:
        entry = waiting.pop()
        if entry.name in chosen:
            continue
        chosen[entry.name] = entry
        waiting.extend(needed_by.get(entry.name, ()))
        while undeclared and undeclared[-1].position > entry.position:
            waiting.append(undeclared.pop())
    return list(chosen.values())


def _require_unneeded(
    chosen: Sequence[LedgerEntry], entries: Sequence[LedgerEntry], needs: Mapping[str, frozenset[str]]
) -> None:
    going = {entry.name for entry in chosen}
    for entry in entries:
        lost = sorted(needs.get(entry.name, frozenset()) & going) if entry.name not in going else ()
        if lost:
            raise Refused(
                f"{entry.name} depends on {', '.join(lost)} and would stay applied.",
                code="still_needed",
                hint=f"Roll back what depends on it too: bascule rollback {lost[0]}.",
                details={"migration": entry.name, "needs": lost},
            )


def _require_files(chosen: Sequence[LedgerEntry], refs: Sequence[MigrationRef]) -> None:
    listed = {ref.name for ref in refs}
    missing = [entry.name for entry in chosen if entry.name not in listed]
    if missing:
        raise Refused(
            f"Applied, but without a file, so there is no script to roll back: {', '.join(missing)}.",
            code="missing_file",
            hint="Bring the file back from version control.",
            details={"missing": missing},
        )


def _newest_first(chosen: Sequence[LedgerEntry], needs: Mapping[str, frozenset[str]]) -> tuple[LedgerEntry, ...]:
    """By position, the last one first, but nothing before all that declared to need it has gone."""
    by_name = {entry.name: entry for entry in chosen}
    needed_by = dict.fromkeys(by_name, 0)
    for name in by_name:
        for need in needs.get(name, frozenset()) & by_name.keys():
            needed_by[need] += 1
    free = [(-entry.position, entry.name) for entry in chosen if needed_by[entry.name] == 0]
    heapq.heapify(free)
    order = []
    while free:
        _, name = heapq.heappop(free)
        order.append(by_name[name])
        for need in needs.get(name, frozenset()) & by_name.keys():
            needed_by[need] -= 1
            if needed_by[need] == 0:
                heapq.heappush(free, (-by_name[need].position, need))
    if len(order) < len(by_name):
        stuck = sorted(by_name.keys() - {entry.name for entry in order})
        raise Refused(
            f"Applied migrations depend on each other in a circle, among them {', '.join(stuck[:5])}.",
            code="dependency_cycle",
            hint="Correct their `depends`.",
            details={"cycle": stuck},
        )
    return tuple(order)
