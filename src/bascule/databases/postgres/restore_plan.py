"""What has to be dropped and made so that tables of a backup stand in the place of those that are there. Pure.

Tables are made anew, not emptied: a backup is put back because the table is not what it was, and its columns, indexes
and constraints are part of that. What else hangs on a table (views, foreign keys of other tables, functions over its
rows) is taken down and put up again as it is now, or as it was where the whole database is restored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bascule.databases.postgres.archive import Entry
from bascule.databases.postgres.made_since import Since, kept_since
from bascule.errors import Refused

_SPOKEN = {"ACL", "COMMENT", "SECURITY LABEL", "SEQUENCE SET", "TABLE ATTACH", "INDEX ATTACH", "ROW SECURITY"}
"""Kinds that go with what they speak of: they are never dropped by themselves."""
_LEFT_ALONE = {
    "SCHEMA", "EXTENSION", "PROCEDURAL LANGUAGE", "LANGUAGE", "PUBLICATION", "SUBSCRIPTION", "SERVER",
    "FOREIGN DATA WRAPPER", "USER MAPPING", "EVENT TRIGGER", "DEFAULT ACL", "ACCESS METHOD",
}  # fmt: skip
"""Kinds that are made where they are missing, and otherwise stay as they are."""
NOT_IN_SCRATCH = {
    "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "SUBSCRIPTION", "EVENT TRIGGER",
    "DEFAULT ACL", "USER MAPPING",
}  # fmt: skip
"""Kinds that reach out of a database, or act on what is done in it."""
INDEXES = ("INDEX", "CONSTRAINT")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """Statements in order; between `before` and `after` the rows come in."""

    drops: tuple[str, ...]
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    locked: tuple[str, ...]
    """Tables that are there and have to be locked first: those that go, and those whose constraints do."""
    notes: tuple[str, ...] = ()
    goes: tuple[str, ...] = ()
    """What others have made on the tables, and cannot be made again, in words."""
    kept: tuple[tuple[str, str], ...] = ()
    """As `Restored.kept`."""


def plan_in_place(
    backup: Sequence[Entry],
    current: Sequence[Entry],
    tables: Collection[str],
    *,
    whole: bool,
    same_database: bool,
    words: frozenset[str] | None = None,
) -> RestorePlan:
    """`whole`: the database, so what is no table is put back too. `same_database`: oids mean the same in both. `words`:
    of the scripts that are undone, where what others have made on the tables is to be kept.

    Raises `Refused` (``restore_blocked``) where another table hangs on one of these.
    """
    there = {entry.identity: entry for entry in current}
    by_id = {entry.id: entry for entry in current}
    renamed = _renamed(backup, current, tables) if same_database else {}
    leaving = {*tables, *renamed}
    going = {entry.id for entry in current if entry.table in leaving}
    hanging = _hanging(current, going)
    _refuse_tables([by_id[each] for each in hanging], tables)
    replaced, notes = _replaced(backup, current, leaving, going | hanging, whole=whole)
    since = Since()
    if words is not None:
        since = kept_since(backup, current, tables, words, same_database=same_database)
    notes += [f"{each} was made since then, and was kept" for each in since.said]
    notes += [f"{now} was {then} when the backup was taken, and is that again" for now, then in renamed.items()]
    going |= replaced
    hanging |= _hanging(current, going)
    dropped = going | hanging
    gone = {entry.identity for entry in current if entry.id in dropped}
    made: list[Entry] = []
    made_ids: set[int] = set()
    for entry in backup:
        if not (entry.table in tables or _is_wanted(entry, there, gone, made_ids, whole=whole)):
            continue
        if entry.id in since.not_then:
            continue
        now = there.get(entry.identity)
        made_ids.add(entry.id)
        # What was only in the way comes back as it is now; the plan is not about it.
        kept = now if now is not None and now.id in hanging and not whole and entry.table not in tables else entry
        made.append(kept)
    made += since.again
    again = {entry.identity for entry in made}
    rest = [entry for entry in current if entry.id in hanging and entry.identity not in again]
    before, after = _around_the_rows(made, backup, current)
    rest_before, rest_after = _around_the_rows(rest, current)
    before, after = _attached_late(before + rest_before, after + rest_after)
    return RestorePlan(
        drops=_drops(current, leaving, going, hanging, replaced),
        before=tuple(before),
        after=tuple(after),
        locked=tuple(sorted({entry.table for entry in current if entry.id in dropped and entry.table})),
        notes=tuple(notes),
        goes=since.goes,
        kept=since.kept,
    )


def plan_anew(entries: Sequence[Entry], *, scratch: bool) -> RestorePlan:
    """Into an empty database. What speaks of things that are not in the backup cannot be made, and is said."""
    have: set[int] = set()
    made, left = [], []
    for entry in entries:
        # A partition and its indexes are made without those that they are parts of, and attached where those are too.
        lacks = entry.kind not in ("TABLE", *INDEXES) and any(need not in have for need in entry.needs)
        if lacks or (scratch and entry.kind in NOT_IN_SCRATCH):
            left.append(entry)
            continue
        have.add(entry.id)
        made.append(entry)
    # An entry may stand before one it needs only where pg_dump broke a circle; then it is not in its needs any more.
    said = [entry for entry in left if entry.kind not in _SPOKEN and not (scratch and entry.kind in NOT_IN_SCRATCH)]
    before, after = _around_the_rows(made, entries)
    return RestorePlan(
        drops=(),
        before=tuple(before),
        after=tuple(after),
        locked=(),
        notes=tuple(f"{_words(entry)} needs what is not in the backup, and was left out" for entry in said),
    )


def closed_tables(names: Iterable[str], parents: Mapping[str, Sequence[str]]) -> set[str]:
    """The tables with their partitions and children."""
    found = set(names)
    grew = True
    while grew:
        more = {child for child, above in parents.items() if child not in found and found.intersection(above)}
        grew = bool(more)
        found |= more
    return found


def _around_the_rows(made: Sequence[Entry], *known: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """What can be made before the rows come in, and what after. A comment or a grant has no section of its own: it goes
    with what it speaks of, which may be an index or a foreign key. `known`: the schemas that entries were taken from;
    ids mean the same within one of them only.
    """
    late: set[int] = set()
    for entries in known:
        after: set[int] = set()
        for entry in entries:
            if entry.section == "post" or (entry.section == "none" and not after.isdisjoint(entry.needs)):
                after.add(entry.id)
                late.add(id(entry))
    return [entry for entry in made if not _is_late(entry, late)], [entry for entry in made if _is_late(entry, late)]


def _is_late(entry: Entry, late: Collection[int]) -> bool:
    return id(entry) in late or entry.section == "post"


def _hanging(current: Sequence[Entry], going: Collection[int]) -> set[int]:
    """What cannot be there without these."""
    users: dict[int, list[int]] = {}
    for entry in current:
        for need in entry.needs:
            users.setdefault(need, []).append(entry.id)
    found: set[int] = set()
    waiting = list(going)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in found and user not in going:
                found.add(user)
                waiting.append(user)
    return found


def _renamed(backup: Sequence[Entry], current: Sequence[Entry], tables: Collection[str]) -> dict[str, str]:
    """Tables of the backup that are there under another name: they would hold on to the names of indexes."""
    then = {entry.oid: entry.table for entry in backup if entry.kind == "TABLE" and entry.table in tables}
    return {
        entry.table: then[entry.oid] or ""
        for entry in current
        if entry.kind == "TABLE" and entry.table and entry.oid in then and entry.table not in tables
    }


def _refuse_tables(hanging: Sequence[Entry], tables: Collection[str]) -> None:
    others = sorted(entry.table or entry.tag for entry in hanging if entry.kind in ("TABLE", "FOREIGN TABLE"))
    if others:
        raise Refused(
            f"{', '.join(others)} cannot be without a table that is to be restored, and {_is_are(others)} not among "
            f"those: {', '.join(sorted(tables)[:5])}.",
            code="restore_blocked",
            hint="Nothing was changed. Restore to another database and copy over what is needed, or move or detach the "
            "named tables first.",
            details={"tables": others},
        )


def _replaced(
    backup: Sequence[Entry], current: Sequence[Entry], tables: Collection[str], dropped: Collection[int], *, whole: bool
) -> tuple[set[int], list[str]]:
    """What is no table's and is otherwise than it was, where that can be changed without touching other tables."""
    if not whole:
        return set(), []
    there = {entry.identity: entry for entry in current}
    by_id = {entry.id: entry for entry in current}
    found, notes = set(), []
    for entry in backup:
        now = there.get(entry.identity)
        if entry.table is not None or now is None or not now.drop or entry.kind in _LEFT_ALONE | _SPOKEN:
            continue
        if now.definition == entry.definition or now.id in dropped:
            continue
        users = _hanging(current, {now.id})
        if any(by_id[user].kind == "TABLE" and by_id[user].table not in tables for user in users):
            notes.append(f"{_words(entry)} was left as it is: tables that are not in the backup use it")
            continue
        found.add(now.id)
    return found, notes


def _is_wanted(
    entry: Entry,
    there: Mapping[tuple[str, str, str, str], Entry],
    gone: Collection[tuple[str, str, str, str]],
    made: Collection[int],
    *,
    whole: bool,
) -> bool:
    if entry.table is not None:
        return False
    if entry.identity in gone:
        return True
    if entry.identity in there:
        return False
    if entry.oid or whole:
        return True
    return bool(entry.needs) and all(need in made for need in entry.needs)


def _attached_late(before: Sequence[Entry], after: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """A partition of a table that stays is attached once its indexes are whole: else the server would make them.

    By attaching it the server attaches its indexes to those of that table, as far as that has them today.
    """
    made = {entry.id for entry in before}
    late = [entry for entry in before if entry.kind == "TABLE ATTACH" and any(need not in made for need in entry.needs)]
    if not late:
        return list(before), list(after)
    tables = {entry.table for entry in late}
    indexes = [entry for entry in after if entry.kind in INDEXES]
    indexes += [entry for entry in after if entry.kind == "INDEX ATTACH" and entry.table not in tables]
    others = [entry for entry in after if entry not in indexes and entry.kind != "INDEX ATTACH"]
    return [entry for entry in before if entry not in late], [*indexes, *late, *others]


def _drops(
    current: Sequence[Entry],
    tables: Collection[str],
    going: Collection[int],
    hanging: Collection[int],
    replaced: Collection[int],
) -> tuple[str, ...]:
    mine = {entry.id for entry in current if entry.table in tables}
    over = _hanging(current, mine)
    backwards = [entry for entry in reversed(current) if entry.drop and entry.kind not in _SPOKEN]
    first = [entry.drop for entry in backwards if entry.id in over and (entry.id in hanging or entry.id in replaced)]
    names = [entry.table for entry in current if entry.id in mine and entry.kind in ("TABLE", "FOREIGN TABLE")]
    foreign = {entry.table for entry in current if entry.kind == "FOREIGN TABLE"}
    plain = [name for name in names if name and name not in foreign]
    middle = [f"DROP TABLE {', '.join(plain)};"] if plain else []
    middle += [f"DROP FOREIGN TABLE {name};" for name in names if name in foreign]
    rest = (set(going) | set(hanging)) - mine - over
    last = [entry.drop for entry in backwards if entry.id in rest]
    return (*first, *middle, *last)


def _words(entry: Entry) -> str:
    name = f"{entry.schema}.{entry.tag}" if entry.schema else entry.tag
    return f"{entry.kind.lower()} {name}"


def _is_are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
