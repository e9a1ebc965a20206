"""From what a way back left different to the statements that make it as it was: a closed list of forms.

Mended is what the author's down script forgot and what adds or takes away nothing else: a default, NOT NULL, a comment,
a statistics target, a constraint, an index (also over an expression), a trigger, the text of a function, and a column
that is filled with what is kept of it. Indexes, constraints, triggers and functions that are left behind are taken away
where the migration's own scripts made them: none of them holds anything that is not elsewhere. Tables, types and
privileges are not mended: whoever looks at the verdict decides about those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bascule.domain.schema import Snapshot
from bascule.domain.statement import Dialect
from bascule.rollback.layout import masked
from bascule.rollback.made import Made

Parts = Mapping[str, Any]

_SAME_VALUES = {"text", "character varying"}
"""Types between which nothing is converted and no row is written."""
_PLAIN_COLUMN = frozenset(("name", "type", "not_null", "default", "collation", "comment", "statistics", "named"))
_CASTS = re.compile(r"::[\w\". ]+(?:\(\d+(?:,\d+)?\))?(?:\[\])?")
_WORDS = re.compile(r"'(?:[^']|'')*'|\w+")
_LATE = ("FOREIGN KEY", "EXCLUDE")
"""What a constraint begins with that needs others to be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """One thing to put right."""

    sql: str
    first: str = ""
    """What has to run before it, in the same transaction."""
    fills: str = ""
    """The name of a column made again, into which what is kept of it is put back; without that it would be a lie."""
    words: str
    """What was done, for people: ``index users_lower of users made again``."""


def mends(
    before: Snapshot,
    after: Snapshot,
    dialect: Dialect,
    made: Made = frozenset(),
    made_again: Made = frozenset(),
    scripts: str | None = None,
) -> tuple[Mend, ...]:
    """What leads from `after` towards `before`, in an order in which it can be run; both look at the same touch.
    `made`: what the migration's scripts make, and may be taken away where it was not there before; `made_again`: what
    the down script makes; `scripts`: the text of both, None: not to be asked. What now stands there and is in neither
    of them is somebody else's work, and stays.
    """
    found: list[Mend] = []
    for key, old in before.objects.items():
        kind, _, name = key.partition(" ")
        new = after.objects.get(key)
        if kind == "function" and dialect == "postgresql":
            found += _routine(name, old, new, scripts)
        if kind != "table" or old.get("mentions") or (new is None and not old.get("partial")):
            continue
        if old != new:
            found += (
                _sqlite(name, old, new or {}) if dialect == "sqlite" else _postgresql(name, old, new or {}, scripts)
            )
    if dialect == "postgresql":
        found += _left_behind(before, after, made, made_again)
    return tuple(sorted(found, key=_turn))


def _turn(mend: Mend) -> int:
    """Columns and functions, on which others may depend, come first, constraints that need others last."""
    if mend.fills or mend.sql.startswith("CREATE OR REPLACE"):
        return 0
    if mend.sql.startswith(("DROP FUNCTION", "DROP EXTENSION")):
        return 3
    return 2 if any(word in mend.sql for word in _LATE) else 1


# PostgreSQL


def _routine(name: str, old: Parts, new: Parts | None, scripts: str | None) -> Iterator[Mend]:
    """The catalog's own text of a function replaces whatever stands there now."""
    text = old.get("definition")
    if not isinstance(text, str) or not text.startswith("CREATE OR REPLACE") or old.get("linked"):
        return
    if new is None or (new.get("definition") != text and _is_said(_body(new.get("definition")), scripts)):
        yield Mend(sql=text.rstrip().rstrip(";"), words=f"function {name} as it was")


def _body(definition: object) -> str:
    """The text of a routine without its head."""
    return str(definition).partition("$function$")[2].rpartition("$function$")[0] or str(definition)


def _is_said(present: object, scripts: str | None) -> bool:
    """What stands there now comes from the migration's scripts: all its words stand in them."""
    if scripts is None or present is None:
        return True
    said = scripts.lower()
    return all(word in said for word in _WORDS.findall(_CASTS.sub("", str(present)).lower()))


def _postgresql(table: str, old: Parts, new: Parts, scripts: str | None) -> Iterator[Mend]:
    counterparts = {each["name"]: each for each in new.get("columns", ())}
    for column in old.get("columns", ()):
        if column["name"] in counterparts:
            yield from _column(table, column, counterparts[column["name"]], scripts)
        elif new and column.keys() <= _PLAIN_COLUMN:
            yield _again(table, column)
    whole = not old.get("partial") and not new.get("partial")
    if whole and old.get("comment") != new.get("comment") and _is_said(new.get("comment"), scripts):
        yield _comment(f"TABLE {table}", old.get("comment"), f"comment of {table}")
    yield from _constraints(table, old, new, scripts)
    yield from _defined("index", table, old.get("indexes", {}), new.get("indexes", {}), scripts)
    yield from _defined("trigger", table, old.get("triggers", {}), new.get("triggers", {}), scripts)


def _again(table: str, column: Parts) -> Mend:
    """Without NOT NULL, which the next look finds missing once the values are there."""
    collation = f" COLLATE {column['collation']}" if column.get("collation") else ""
    default = column.get("default")
    # A sequence of which the column is no longer the owner may be gone.
    filled = f" DEFAULT {default}" if default is not None and "nextval(" not in default else ""
    return Mend(
        sql=f"ALTER TABLE {table} ADD COLUMN {_quoted(column['name'])} {column['type']}{collation}{filled}",
        fills=column["name"],
        words=f"column {column['name']} of {table} made again",
    )


def _column(table: str, old: Parts, new: Parts, scripts: str | None) -> Iterator[Mend]:
    if any(each.get("inherited") == "only" or each.get("identity") or each.get("generated") for each in (old, new)):
        return
    name = old["name"]
    alter = f"ALTER TABLE {table} ALTER COLUMN {_quoted(name)}"
    if old.get("type") == new.get("type") and old.get("default") != new.get("default"):
        default = old.get("default")
        change = "DROP DEFAULT" if default is None else f"SET DEFAULT {default}"
        # A sequence of which the column is no longer the owner may be gone.
        if (default is None or "nextval(" not in default) and _is_said(new.get("default"), scripts):
            yield Mend(sql=f"{alter} {change}", words=f"default of {table}.{_quoted(name)} as it was")
    if {old.get("type"), new.get("type")} == _SAME_VALUES:
        yield Mend(sql=f"{alter} TYPE {old['type']}", words=f"type of {table}.{_quoted(name)} as it was")
    if bool(old.get("not_null")) != bool(new.get("not_null")):
        word = "SET" if old.get("not_null") else "DROP"
        yield Mend(sql=f"{alter} {word} NOT NULL", words=f"NOT NULL of {table}.{_quoted(name)} as it was")
    if old.get("statistics") != new.get("statistics"):
        yield Mend(
            sql=f"{alter} SET STATISTICS {old.get('statistics', -1)}",
            words=f"statistics target of {table}.{_quoted(name)} as it was",
        )
    if old.get("comment") != new.get("comment") and _is_said(new.get("comment"), scripts):
        yield _comment(f"COLUMN {table}.{_quoted(name)}", old.get("comment"), f"comment of {table}.{_quoted(name)}")


def _constraints(table: str, old: Parts, new: Parts, scripts: str | None) -> Iterator[Mend]:
    here, there = old.get("constraints", {}), new.get("constraints", {})
    for name, item in here.items():
        definition = item.get("definition")
        if definition is None or item.get("inherited"):
            continue
        if name in there:
            changed = there[name].get("definition") != definition and not there[name].get("inherited")
            if changed and _is_said(name, scripts):
                again = f"DROP CONSTRAINT {_quoted(name)}, ADD CONSTRAINT {_quoted(name)} {definition}"
                yield Mend(sql=f"ALTER TABLE {table} {again}", words=f"constraint {name} of {table} as it was")
            if item.get("comment") != there[name].get("comment"):
                what = f"CONSTRAINT {_quoted(name)} ON {table}"
                yield _comment(what, item.get("comment"), f"comment of constraint {name} of {table}")
            continue
        twins = [other for other, each in there.items() if other not in here and each.get("definition") == definition]
        if twins:
            rename = f"RENAME CONSTRAINT {_quoted(twins[0])} TO {_quoted(name)}"
            yield Mend(sql=f"ALTER TABLE {table} {rename}", words=f"name of constraint {name} of {table} as it was")
            continue
        yield Mend(
            sql=f"ALTER TABLE {table} ADD CONSTRAINT {_quoted(name)} {definition}",
            words=f"constraint {name} of {table} made again",
        )
        if item.get("comment") is not None:
            what = f"CONSTRAINT {_quoted(name)} ON {table}"
            yield _comment(what, item["comment"], f"comment of constraint {name} of {table}")


def _defined(word: str, table: str, here: Parts, there: Parts, scripts: str | None) -> Iterator[Mend]:
    """Indexes and triggers, whose definitions are statements."""
    for name, item in here.items():
        definition = item.get("definition")
        if definition is None:
            continue  # the index of a constraint
        schema = "" if word == "trigger" else table.rpartition(".")[0]
        full = f"{schema}.{_quoted(name)}" if schema else _quoted(name)
        what = f"TRIGGER {_quoted(name)} ON {table}" if word == "trigger" else f"INDEX {full}"
        if name in there:
            # An index over a column that is converted is another one without being named.
            if there[name].get("definition") not in (definition, None) and (word == "index" or _is_said(name, scripts)):
                drop = f"DROP {what}"
                yield Mend(sql=definition, first=drop, words=f"{word} {name} of {table} as it was")
            if item.get("comment") != there[name].get("comment"):
                yield _comment(what, item.get("comment"), f"comment of {word} {name} of {table}")
            continue
        like = masked(definition)
        twins = [other for other, each in there.items() if other not in here and masked(each.get("definition")) == like]
        if word == "index" and twins:
            twin = ".".join(filter(None, (schema, _quoted(twins[0]))))
            rename = f"ALTER INDEX {twin} RENAME TO {_quoted(name)}"
            yield Mend(sql=rename, words=f"name of index {name} of {table} as it was")
            continue
        yield Mend(sql=definition, words=f"{word} {name} of {table} made again")
        if item.get("comment") is not None:
            yield _comment(what, item["comment"], f"comment of {word} {name} of {table}")


def _left_behind(before: Snapshot, after: Snapshot, made: Made, made_again: Made) -> Iterator[Mend]:
    """What the scripts made, and the look of before does not have."""
    for key, new in after.objects.items():
        kind, _, name = key.partition(" ")
        old = before.objects.get(key)
        if kind == "function" and old is None:
            bare = name.partition("(")[0].rpartition(".")[2].strip('"')
            if ("function", bare) in made:
                yield Mend(sql=f"DROP FUNCTION {name}", words=f"function {name} taken away")
        if kind == "extension" and old is None and ("extension", name.strip('"')) in made:
            yield Mend(sql=f"DROP EXTENSION {name}", first=_without_tables(name), words=f"extension {name} taken away")
        if kind != "table" or old is None or old.get("mentions"):
            continue
        again = ("table", name.rpartition(".")[2].strip('"')) in made_again
        schema = name.rpartition(".")[0]
        for part, word, drop in (
            ("triggers", "trigger", f"DROP TRIGGER {{}} ON {name}"),
            ("constraints", "constraint", f"ALTER TABLE {name} DROP CONSTRAINT {{}}"),
            ("indexes", "index", f"DROP INDEX {f'{schema}.' if schema else ''}{{}}"),
        ):
            for item, told in new.get(part, {}).items():
                # All that hangs on a table that the down script has made is the down script's.
                if item in old.get(part, {}) or not (again or (word, item) in made) or told.get("inherited"):
                    continue
                if any(told.get("definition") == each.get("definition") for each in old.get(part, {}).values()):
                    continue  # it is there under another name
                if word == "index" and (told.get("definition") is None or item in new.get("constraints", {})):
                    continue  # the index of a constraint
                yield Mend(sql=drop.format(_quoted(item)), words=f"{word} {item} of {name} taken away")


def _without_tables(extension: str) -> str:
    """Fails where the extension has tables, which may hold rows by now."""
    text = "'" + extension.strip('"').replace("'", "''") + "'"
    return (
        "DO $bascule$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c "
        "ON c.oid = d.objid AND c.relkind IN ('r', 'p') JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid "
        "WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e' "
        f"AND e.extname = {text}) THEN RAISE EXCEPTION 'it has tables of its own'; END IF; END $bascule$"
    )


def _comment(what: str, text: str | None, words: str) -> Mend:
    value = "NULL" if text is None else "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return Mend(sql=f"COMMENT ON {what} IS {value}", words=f"{words} as it was")


# SQLite


def _sqlite(table: str, old: Parts, new: Parts) -> Iterator[Mend]:
    """Definitions are kept as they were written; nothing of a column can be changed by itself."""
    for part, word in (("indexes", "index"), ("triggers", "trigger")):
        there = {name.lower() for name in new.get(part, {})}
        for name, sql in old.get(part, {}).items():
            if name.lower() not in there and isinstance(sql, str):
                yield Mend(sql=sql, words=f"{word} {name} of {table} made again")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
