"""What the catalog says about the effect of a statement that no transaction protected, and how a broken leftover is
removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from bascule.databases.postgres.message import identifier, literal
from bascule.databases.postgres.watch import Ask
from bascule.domain.statement import Effect
from bascule.ports.database import Observation, WorkFailed

if TYPE_CHECKING:
    from bascule.databases.postgres.session import Session

# Of what a script leaves in its session, what may tell which object a name means: a search path, or a role in it.
_TELLS_NAMES: Final = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:RE)?SET\b", re.IGNORECASE | re.DOTALL)

# Leftovers of REINDEX CONCURRENTLY; the server adds a number where the name is taken.
_LEFTOVER: Final = r"_cc(new|old)\d*$"

# Another session is at an index: building shows in the progress view, dropping by a lock that only index maintenance
# takes. A role without rights on the other's session sees its number there but not what it is at, and takes the
# table's lock for it.
_AT_WORK: Final = """(
 EXISTS (
  SELECT FROM pg_catalog.pg_stat_progress_create_index AS p
  WHERE p.pid <> pg_catalog.pg_backend_pid() AND p.datname = pg_catalog.current_database() AND (
   p.index_relid = i.indexrelid
   OR (p.relid = i.indrelid AND coalesce(p.index_relid, 0) = 0)
   OR (p.relid IS NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l
    WHERE l.pid = p.pid AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted))))
 OR EXISTS (
  SELECT FROM pg_catalog.pg_locks AS l
  WHERE l.relation = i.indexrelid AND l.pid <> pg_catalog.pg_backend_pid()
   AND l.mode IN ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))"""
_INDEX: Final = f"""SELECT
 i.indexrelid, n.nspname, c.relname, i.indisvalid AND i.indisready AND i.indislive, {_AT_WORK},
 EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid),
 i.indrelid::pg_catalog.regclass::text
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
"""


class _Index:
    """An index as the catalog has it."""

    __slots__ = ("at_work", "name", "oid", "owned", "schema", "table", "valid")

    def __init__(self, row: tuple[str | None, ...]) -> None:
        self.oid, self.schema, self.name = row[0] or "", row[1] or "", row[2] or ""
        self.valid, self.at_work, self.owned = row[3] == "t", row[4] == "t", row[5] == "t"
        self.table = row[6] or ""

    @property
    def full_name(self) -> str:
        return f"{identifier(self.schema)}.{identifier(self.name)}"


def observe(session: Session, effect: Effect) -> Observation:
    """Look for the effect. Raises psycopg.Error."""
    look = _LOOKS.get(effect.action)
    if look is None:
        return Observation(state="undecidable", words=f"nothing in the catalog tells whether {effect.action} was done")
    return look(_asking(session, effect), effect)


def repairs(session: Session, effect: Effect) -> list[tuple[str, str]]:
    """(statement, what it does in words) for each broken leftover of the effect. The statement names everything in
    full.

    Raises:
        WorkFailed: it must not be removed: it is whole, a constraint owns it, or somebody is at work on it.
        psycopg.Error: the look failed.
    """
    ask = _asking(session, effect)
    if effect.action == "create_index":
        found = _index(ask, effect)
        return [] if found is None or found.valid else [_removal(found)]
    if effect.action == "reindex":
        return [_removal(each) for each in _leftovers(ask, effect)]
    if effect.action == "detach_partition":
        parent = _relation(ask, effect.table_schema, effect.table or "")
        part = _relation(ask, effect.schema, effect.name)
        return [
            (
                f"ALTER TABLE {parent} DETACH PARTITION {part} FINALIZE",
                f"finished the detaching of {effect.name} from {effect.table}, which had been cut short",
            )
        ]
    if effect.action == "create_database":
        return [
            (
                f"DROP DATABASE {identifier(effect.name)}",
                f"dropped the database {effect.name}, which was only half there",
            )
        ]
    return []


def _asking(session: Session, effect: Effect) -> Ask:
    """Asks under the settings that the statement was sent under."""
    settings = tuple(setting for setting in effect.settings if _TELLS_NAMES.match(setting))
    return lambda sql: session.ask(sql, settings)


def _removal(index: _Index) -> tuple[str, str]:
    if index.valid:
        raise WorkFailed("error", f"the index {index.full_name} is whole and is not dropped")
    if index.owned:
        raise WorkFailed(
            "error",
            f"the invalid index {index.full_name} belongs to a constraint and is not dropped",
            hint="Drop or rebuild it by hand.",
        )
    if index.at_work:
        raise WorkFailed("lock_timeout", f"another session is at work on the index {index.full_name}")
    return f"DROP INDEX CONCURRENTLY {index.full_name}", f"dropped the invalid index {index.full_name} on {index.table}"


def _create_index(ask: Ask, effect: Effect) -> Observation:
    if not effect.name:
        return Observation(
            state="undecidable",
            words=f"the index on {effect.table} has no name in the statement, so it cannot be looked for",
        )
    found = _index(ask, effect)
    if found is None:
        return Observation(state="absent", words=f"there is no index {effect.name}")
    if found.valid:
        return Observation(state="complete", words=f"the index {found.full_name} is there and valid")
    if found.at_work:
        return Observation(state="building", words=f"another session is building the index {found.full_name}")
    return Observation(state="broken", words=f"the index {found.full_name} is there but INVALID")


def _drop_index(ask: Ask, effect: Effect) -> Observation:
    rows = ask(f"{_INDEX} WHERE i.indexrelid = {_regclass(effect.schema, effect.name)}")
    if not rows:
        return Observation(state="complete", words=f"there is no index {effect.name}")
    found = _Index(rows[0])
    if found.at_work:
        return Observation(state="building", words=f"another session is at work on the index {found.full_name}")
    # Cut short, it leaves an invalid index, which the same statement drops.
    return Observation(
        state="absent", words=f"the index {found.full_name} is still there{'' if found.valid else ', INVALID'}"
    )


def _reindex(ask: Ask, effect: Effect) -> Observation:
    leftovers = _leftovers(ask, effect)
    if any(each.at_work for each in leftovers):
        return Observation(state="building", words="another session is rebuilding: " + _names(leftovers))
    if leftovers:
        return Observation(state="broken", words="left over from an earlier rebuilding: " + _names(leftovers))
    invalid = [_Index(row) for row in ask(f"{_INDEX} WHERE NOT i.indisvalid AND {_scope(effect)}")]
    if any(each.at_work for each in invalid):
        return Observation(state="building", words="another session is rebuilding: " + _names(invalid))
    if invalid:
        return Observation(state="absent", words="INVALID: " + _names(invalid))
    return Observation(state="complete", words="every index concerned is valid")


def _detach_partition(ask: Ask, effect: Effect) -> Observation:
    rows = ask(
        f"SELECT inhdetachpending FROM pg_catalog.pg_inherits WHERE inhrelid = {_regclass(effect.schema, effect.name)} "
        f"AND inhparent = {_regclass(effect.table_schema, effect.table or '')}"
    )
    if not rows:
        return Observation(state="complete", words=f"{effect.name} is no partition of {effect.table}")
    if rows[0][0] == "t":
        return Observation(state="broken", words=f"the detaching of {effect.name} was begun and not finished")
    return Observation(state="absent", words=f"{effect.name} is a partition of {effect.table}")


def _create_database(ask: Ask, effect: Effect) -> Observation:
    state = _database(ask, effect.name)
    if state == "invalid":
        return Observation(state="broken", words=f"the database {effect.name} is only half there")
    return Observation(
        state="absent" if state is None else "complete", words=_there("database", effect.name, state is not None)
    )


def _drop_database(ask: Ask, effect: Effect) -> Observation:
    state = _database(ask, effect.name)
    # A half dropped one can only be dropped, by the same statement.
    return Observation(
        state="complete" if state is None else "absent", words=_there("database", effect.name, state is not None)
    )


def _database(ask: Ask, name: str) -> str | None:
    rows = ask(f"SELECT datconnlimit = -2 FROM pg_catalog.pg_database WHERE datname = {literal(name)}")
    return None if not rows else "invalid" if rows[0][0] == "t" else "valid"


def _named(what: str, sql: str, *, made: bool) -> Callable[[Ask, Effect], Observation]:
    """A look for something that is there or is not. `made`: the effect is that it is."""

    def look(ask: Ask, effect: Effect) -> Observation:
        there = bool(ask(f"SELECT 1 FROM {sql} = {literal(effect.name)}"))
        return Observation(state="complete" if there == made else "absent", words=_there(what, effect.name, there))

    return look


def _add_enum_value(ask: Ask, effect: Effect) -> Observation:
    name = literal(_full(effect.schema, effect.name))
    rows = ask(
        "SELECT 1 FROM pg_catalog.pg_enum "
        f"WHERE enumtypid = pg_catalog.to_regtype({name}) AND enumlabel = {literal(effect.value)}"
    )
    there = bool(rows)
    return Observation(
        state="complete" if there else "absent", words=_there("value", f"{effect.value} of {effect.name}", there)
    )


def _harmless(ask: Ask, effect: Effect) -> Observation:
    return Observation(state="absent", words="running it again does no harm")


def _unknown(ask: Ask, effect: Effect) -> Observation:
    return Observation(state="undecidable", words="nothing in the catalog tells whether it was done")


_OWN_SUBSCRIPTIONS: Final = (
    "pg_catalog.pg_subscription WHERE subdbid = "
    "(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AND subname"
)
_LOOKS: Final[Mapping[str, Callable[[Ask, Effect], Observation]]] = {
    "create_index": _create_index,
    "drop_index": _drop_index,
    "reindex": _reindex,
    "detach_partition": _detach_partition,
    "create_database": _create_database,
    "drop_database": _drop_database,
    "create_tablespace": _named("tablespace", "pg_catalog.pg_tablespace WHERE spcname", made=True),
    "drop_tablespace": _named("tablespace", "pg_catalog.pg_tablespace WHERE spcname", made=False),
    "create_subscription": _named("subscription", _OWN_SUBSCRIPTIONS, made=True),
    "drop_subscription": _named("subscription", _OWN_SUBSCRIPTIONS, made=False),
    "add_enum_value": _add_enum_value,
    "harmless": _harmless,
    "unknown": _unknown,
}


def _index(ask: Ask, effect: Effect) -> _Index | None:
    """The index by its name, in its table's schema; where the table is gone, in its own."""
    table = _regclass(effect.table_schema or effect.schema, effect.table) if effect.table else "NULL"
    rows = ask(
        f"{_INDEX} WHERE c.relname = {literal(effect.name)} AND CASE WHEN {table} IS NOT NULL "
        f"THEN i.indrelid = {table} ELSE i.indexrelid = {_regclass(effect.schema, effect.name)} END"
    )
    return _Index(rows[0]) if rows else None


def _leftovers(ask: Ask, effect: Effect) -> list[_Index]:
    """Invalid indexes that REINDEX CONCURRENTLY made or put aside, also those of the tables' TOAST parts."""
    rows = ask(f"{_INDEX} WHERE NOT i.indisvalid AND c.relname ~ {literal(_LEFTOVER)} AND {_scope(effect)}")
    return [_Index(row) for row in rows]


def _scope(effect: Effect) -> str:
    """Which indexes a REINDEX is about."""
    if effect.name:
        its_table = (
            f"(SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = {_regclass(effect.schema, effect.name)})"
        )
        stem = effect.name[:50]  # the server shortens a name that grows too long
        return f"i.indrelid = {its_table} AND pg_catalog.starts_with(c.relname, {literal(stem)})"
    if effect.table:
        table = _regclass(effect.table_schema or effect.schema, effect.table)
        return f"i.indrelid IN ({table}, (SELECT reltoastrelid FROM pg_catalog.pg_class WHERE oid = {table}))"
    tables = "SELECT t.oid FROM pg_catalog.pg_class AS t"
    if effect.schema:
        tables += (
            f" WHERE t.relnamespace = pg_catalog.to_regnamespace({literal(identifier(effect.schema))})::pg_catalog.oid"
        )
    return (
        f"EXISTS (SELECT FROM ({tables}) AS s JOIN pg_catalog.pg_class AS t ON t.oid = s.oid "
        "WHERE i.indrelid IN (t.oid, t.reltoastrelid))"
    )


def _regclass(schema: str | None, name: str) -> str:
    return f"pg_catalog.to_regclass({literal(_full(schema, name))})::pg_catalog.oid"


def _full(schema: str | None, name: str) -> str:
    return f"{identifier(schema)}.{identifier(name)}" if schema else identifier(name)


def _relation(ask: Ask, schema: str | None, name: str) -> str:
    """Its full name, whatever the search path. As it is written where there is no such relation."""
    rows = ask(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class AS c "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
        f"WHERE c.oid = {_regclass(schema, name)}"
    )
    return _full(rows[0][0], rows[0][1] or "") if rows else _full(schema, name)


def _names(indexes: list[_Index]) -> str:
    return ", ".join(each.full_name for each in indexes)


def _there(what: str, name: str, there: bool) -> str:
    return f"the {what} {name} is {'there' if there else 'not there'}"
