"""What has to be known of a table, from the catalog, before its rows can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.domain.statement import Dialect, ObjectName


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One column, as the catalog has it today."""

    not_null: bool = False
    type: str = ""
    """PostgreSQL: ``pg_type.typname``, of a domain that of its base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """One name, as the catalog has it today."""

    exists: bool = False
    plain: bool = True
    """An ordinary table; PostgreSQL: with partitions it is none."""
    key: tuple[str, ...] = ()
    """Columns of the primary key, in its order."""
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    reaches: bool = False
    """A change of its rows may change rows elsewhere: triggers, rules, foreign keys that cascade; or it is a view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of all tables that somebody asked about."""

    dialect: Dialect
    version: int = 0
    """The server's, as `TargetInfo.version` has it."""
    tables: Mapping[ObjectName, TableFacts] = field(default_factory=dict)

    def of(self, table: ObjectName) -> TableFacts:
        """What is known of it; that it is not there, where nothing is."""
        return self.tables.get(table, _ABSENT)


_ABSENT = TableFacts()
