"""The catalog's facts about tables, in one query of SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import ColumnFacts, TableFacts
from bascule.validation.needs.writing import literal

# In PRAGMA foreign_key_list the actions stand as words; names are compared as SQLite compares them.
_SQL = """SELECT {number}, (m.type = 'table'),
  (SELECT json_group_array(json_array(c.name, c."notnull", c.pk)) FROM pragma_table_xinfo(m.name) AS c),
  (m.type <> 'table'
   OR EXISTS (SELECT 1 FROM sqlite_master AS g WHERE g.type = 'trigger' AND lower(g.tbl_name) = lower(m.name))
   OR EXISTS (SELECT 1 FROM sqlite_master AS o, pragma_foreign_key_list(o.name) AS f
     WHERE o.type = 'table' AND lower(f."table") = lower(m.name)
       AND (f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
         OR f.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))))
FROM sqlite_master AS m WHERE m.type IN ('table', 'view', 'index') AND lower(m.name) = lower({name})"""


def facts_sql(tables: Sequence[ObjectName]) -> str:
    """One row for each that is there."""
    parts = (_SQL.format(number=number, name=literal(table.name)) for number, table in enumerate(tables))
    return "\nUNION ALL ".join(parts)


def read_facts(tables: Sequence[ObjectName], rows: Sequence[tuple[Any, ...]]) -> Mapping[ObjectName, TableFacts]:
    """What the rows say, by table."""
    import json

    found = {}
    for number, plain, columns, reaches in rows:
        known = json.loads(columns or "[]")
        keys = sorted((place, name) for name, _, place in known if place)
        found[tables[number]] = TableFacts(
            exists=True,
            plain=bool(plain),
            key=tuple(name for _, name in keys),
            columns={name.lower(): ColumnFacts(not_null=bool(not_null)) for name, not_null, _ in known},
            reaches=bool(reaches),
        )
    return found
