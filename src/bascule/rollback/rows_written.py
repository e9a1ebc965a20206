"""Which tables a migration or its way back may write rows to: pure, from reading both scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bascule.domain.migration import Script
from bascule.domain.plan import PlannedMigration
from bascule.domain.rowlook import Copying, RowWork
from bascule.domain.statement import Dialect

_NAMED = re.compile(
    r"\b(?:into|update|from|table|join)\s+(?:if\s+(?:not\s+)?exists\s+)?(?:main\s*\.\s*)?"
    r"(?:or\s+\w+\s+)?[\"'`\[]?([^\s\"'`\[\](),;.]+)",
    re.IGNORECASE,
)
_FROM = re.compile(
    r'\b(?:from|join)\s+(?:only\s+)?(?:("(?:[^"]|"")+"|[\w$]+)\s*\.\s*)?("(?:[^"]|"")+"|[\w$]+)', re.IGNORECASE
)
_TABLE = r'(?:only\s+)?(?:("(?:[^"]|"")+"|[\w$]+)\s*\.\s*)?("(?:[^"]|"")+"|[\w$]+)'
_MOVES = re.compile(
    rf"\balter\s+table\s+(?:if\s+exists\s+)?{_TABLE}\s+(?:rename\s+to|set\s+schema|attach\s+partition|detach\s+partition)\b",
    re.IGNORECASE,
)
_MADE = re.compile(
    rf"\bcreate\s+(?:(?:global|local|temp|temporary|unlogged)\s+)*table\s+(?:if\s+not\s+exists\s+)?{_TABLE}",
    re.IGNORECASE,
)
_CONVERTS = re.compile(rf"\balter\s+table\s+(?:if\s+exists\s+)?{_TABLE}[^;]*?\b(?:type|using)\b", re.IGNORECASE)
_DROPS = re.compile(rf"\bdrop\s+table\s+(?:if\s+exists\s+)?{_TABLE}", re.IGNORECASE)
_CHANGES = re.compile(r"\b(?:update|delete|merge|truncate)\b", re.IGNORECASE)
_TAKES = re.compile(r"\b(?:insert|update|delete|replace|merge|copy|select|do|call)\b", re.IGNORECASE)
_CASCADES = re.compile(r"\btruncate\b.*\bcascade\b", re.IGNORECASE | re.DOTALL)
_WRITES = re.compile(r"\b(?:insert|update|delete|replace)\b", re.IGNORECASE)

Tables = dict[tuple[str | None, str], Copying]


def rows_written(planned: PlannedMigration, dialect: Dialect) -> RowWork | None:
    """None where neither direction writes rows, or takes any away. Costs nothing for most that define tables only."""
    migration = planned.migration
    scripts = [each for each in (migration.up, migration.down) if each is not None and not each.empty]
    python = any(each.language == "python" for each in scripts)
    if dialect == "sqlite":
        return _sqlite(planned, scripts, python=python)
    touch = planned.touch
    code = python or bool(touch.code) or touch.everything or any(each.kind == "routine" for each in touch.runs)
    tables: dict[tuple[str | None, str], Copying] = {
        (each.schema, each.name): "copy" for each in touch.runs if each.kind == "relation"
    }
    if code:
        # What an ALTER TABLE writes anew is told from what code empties by its rows alone.
        named: Tables = {(each.schema, each.name): "look" for each in touch.objects if each.kind == "relation"}
        tables = named | tables
    redefined: Tables = dict.fromkeys(_redefined(migration.up, migration.down), "look")
    tables = redefined | tables
    tables |= _kept(planned, dialect)
    if not (tables or code):
        return None
    down = migration.down
    if down is not None and down.language == "sql":
        looked: Tables = dict.fromkeys(_sources(down.text), "look")
        tables = looked | tables
    follow = planned.destroys != () or any(_CHANGES.search(each.text) for each in scripts)
    cascades = any(_CASCADES.search(each.text) for each in scripts)
    return RowWork(tables=_sorted(tables), code=code, follow=follow, cascades=cascades, carries=_carries(down))


def _redefined(up: Script, down: Script | None) -> Iterator[tuple[str | None, str]]:
    """Tables whose rows a script that only defines things may change all the same, as PostgreSQL folds their names: a
    way back that drops what the up did not make, or converts values, leaves others; names that go round in a circle
    leave other rows under each.
    """
    if up.language == "sql" and len(_MOVES.findall(up.text)) > 1:
        yield from ((_folded(schema) if schema else None, _folded(name)) for schema, name in _MOVES.findall(up.text))
    if down is None or down.language != "sql":
        return
    made = {_folded(name) for _, name in _MADE.findall(up.text)} if up.language == "sql" else set()
    for schema, name in (*_CONVERTS.findall(down.text), *_DROPS.findall(down.text)):
        if _folded(name) not in made:
            yield (_folded(schema) if schema else None), _folded(name)


def _carries(down: Script | None) -> bool:
    return down is not None and not down.empty and (down.language == "python" or bool(_TAKES.search(down.text)))


def _sources(text: str) -> Iterator[tuple[str | None, str]]:
    """What a script seems to take rows from, as PostgreSQL folds it; a name too many costs a look."""
    for schema, name in _FROM.findall(text):
        yield (_folded(schema) if schema else None), _folded(name)


def _folded(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _sorted(tables: Tables) -> tuple[tuple[str | None, str, Copying], ...]:
    return tuple(
        (schema, name, tables[schema, name]) for schema, name in sorted(tables, key=lambda e: (e[0] or "", e[1]))
    )


def _kept(planned: PlannedMigration, dialect: Dialect) -> Tables:
    """Tables of which the up destroys something, and whether its author lets it be kept."""
    if not planned.destroys or planned.direction != "up":
        return {}
    from bascule.rollback.preimage_plan import keeps_of
    from bascule.sql.declined import declined_in

    declined = declined_in(planned.migration.up.text, planned.statements)
    found: Tables = {}
    for keeps in keeps_of(planned, dialect).values():
        for keep in keeps:
            if keep.name and found.get((keep.schema, keep.name)) != "never":
                found[keep.schema, keep.name] = "never" if keep.ordinal in declined else "copy"
    return found


def _sqlite(planned: PlannedMigration, scripts: list[Script], *, python: bool) -> RowWork | None:
    """All tables are looked at where the database is small; else those that are named."""
    migration = planned.migration
    changes = python or planned.destroys or any(_WRITES.search(each.text) for each in scripts)
    if not changes and not any(_redefined(migration.up, migration.down)):
        return None
    names = (name for each in scripts if each.language == "sql" for name in _NAMED.findall(each.text))
    tables: Tables = {(None, name.lower()): "copy" for name in names}
    tables |= {(None, name.lower()): copying for (_, name), copying in _kept(planned, "sqlite").items()}
    return RowWork(tables=_sorted(tables), code=python, carries=_carries(planned.migration.down))
