"""From what a way back left different to the statements that make it as it was: a closed list of forms.

Mended is what the author's down script forgot and what adds or takes away nothing else: a default, NOT NULL, a comment,
a statistics target, a constraint, an index (also over an expression), a trigger, the text of a function, a view, and a
column that is filled with what is kept of it. Indexes, constraints, triggers and functions that are left behind are
taken away where the migration's own scripts made them: none of them holds anything that is not elsewhere. What somebody
else has changed since the up is left as it is. Tables, types and privileges are not mended: whoever looks at the
verdict decides about those.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bascule.domain.schema import Part, Snapshot
from bascule.domain.statement import Dialect
from bascule.rollback.layout import masked
from bascule.rollback.made import Made
from bascule.rollback.mend import Mend, comment_on, quoted
from bascule.rollback.views import sqlite_triggers_again, sqlite_views_again, views_again

Parts = Mapping[str, Any]

_SAME_VALUES = {"text", "character varying"}
"""Types between which nothing is converted and no row is written."""
_PLAIN_COLUMN = frozenset(("name", "type", "not_null", "default", "collation", "comment", "statistics", "named"))
_CASTS = re.compile(r"::[\w\". ]+(?:\(\d+(?:,\d+)?\))?(?:\[\])?")
_WORDS = re.compile(r"'(?:[^']|'')*'|\w+")
_LATE = ("FOREIGN KEY", "EXCLUDE")
"""What a constraint begins with that needs others to be there."""


def mends(
    before: Snapshot,
    after: Snapshot,
    dialect: Dialect,
    made: Made = frozenset(),
    made_again: Made = frozenset(),
    scripts: str | None = None,
    theirs: Collection[Part] | None = None,
) -> tuple[Mend, ...]:
    """What leads from `after` towards `before`, in an order in which it can be run; both look at the same touch.
    `made`: what the migration's scripts make, and may be taken away where it was not there before; `made_again`: what
    the down script makes; `theirs`: what somebody else has changed since the up: it stays. Where nobody can tell
    (None), `scripts`, the text of both, is asked: what now stands there and is in neither of them stays. Without both,
    all is the migration's.
    """
    said = scripts if theirs is None else None
    found: list[Mend] = []
    for key, old in before.objects.items():
        kind, _, name = key.partition(" ")
        new = after.objects.get(key)
        if kind == "function" and dialect == "postgresql":
            found += _routine(key, old, new, said)
        if kind != "table" or old.get("mentions") or (new is None and not old.get("partial")):
            continue
        if old != new:
            found += _sqlite(name, old, new or {}) if dialect == "sqlite" else _postgresql(name, old, new or {}, said)
    if dialect == "postgresql":
        found += _left_behind(before, after, made, made_again)
        found += views_again(before, after, scripts)
    else:
        found += sqlite_views_again(before, after)
        found += sqlite_triggers_again(before, after)
    return tuple(sorted((each for each in found if each.over not in (theirs or ())), key=_turn))


def _turn(mend: Mend) -> int:
    """Columns and functions, on which others may depend, come first, then what views need; constraints that need others
    come last.
    """
    if mend.fills or mend.sql.startswith("CREATE OR REPLACE"):
        return 0
    if mend.sql.startswith(("DROP FUNCTION", "DROP EXTENSION")):
        return 4
    if mend.sql.startswith(("CREATE VIEW", "CREATE MATERIALIZED VIEW")):
        return 2
    return 3 if any(word in mend.sql for word in _LATE) else 1


# PostgreSQL


def _routine(key: str, old: Parts, new: Parts | None, scripts: str | None) -> Iterator[Mend]:
    """The catalog's own text of a function replaces whatever stands there now."""
    name = key.partition(" ")[2]
    text = old.get("definition")
    if not isinstance(text, str) or not text.startswith("CREATE OR REPLACE") or old.get("linked"):
        return
    if new is None or (new.get("definition") != text and _is_said(_body(new.get("definition")), scripts)):
        yield Mend(sql=text.rstrip().rstrip(";"), over=(key, "", ""), words=f"function {name} as it was")


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
        over = (_key(table), "comment", "")
        yield _comment(f"TABLE {table}", old.get("comment"), f"comment of {table}", over)
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
        sql=f"ALTER TABLE {table} ADD COLUMN {quoted(column['name'])} {column['type']}{collation}{filled}",
        fills=column["name"],
        words=f"column {column['name']} of {table} made again",
    )


def _column(table: str, old: Parts, new: Parts, scripts: str | None) -> Iterator[Mend]:
    if any(each.get("inherited") == "only" or each.get("identity") or each.get("generated") for each in (old, new)):
        return
    name = old["name"]
    over = (_key(table), "column", name)
    alter = f"ALTER TABLE {table} ALTER COLUMN {quoted(name)}"
    if old.get("type") == new.get("type") and old.get("default") != new.get("default"):
        default = old.get("default")
        change = "DROP DEFAULT" if default is None else f"SET DEFAULT {default}"
        # A sequence of which the column is no longer the owner may be gone.
        if (default is None or "nextval(" not in default) and _is_said(new.get("default"), scripts):
            yield Mend(sql=f"{alter} {change}", over=over, words=f"default of {table}.{quoted(name)} as it was")
    if {old.get("type"), new.get("type")} == _SAME_VALUES:
        yield Mend(sql=f"{alter} TYPE {old['type']}", over=over, words=f"type of {table}.{quoted(name)} as it was")
    if bool(old.get("not_null")) != bool(new.get("not_null")):
        word = "SET" if old.get("not_null") else "DROP"
        yield Mend(sql=f"{alter} {word} NOT NULL", over=over, words=f"NOT NULL of {table}.{quoted(name)} as it was")
    if old.get("statistics") != new.get("statistics"):
        yield Mend(
            sql=f"{alter} SET STATISTICS {old.get('statistics', -1)}",
            over=over,
            words=f"statistics target of {table}.{quoted(name)} as it was",
        )
    if old.get("comment") != new.get("comment") and _is_said(new.get("comment"), scripts):
        over = (_key(table), "comment", name)
        yield _comment(f"COLUMN {table}.{quoted(name)}", old.get("comment"), f"comment of {table}.{quoted(name)}", over)


def _constraints(table: str, old: Parts, new: Parts, scripts: str | None) -> Iterator[Mend]:
    here, there = old.get("constraints", {}), new.get("constraints", {})
    for name, item in here.items():
        definition = item.get("definition")
        if definition is None or item.get("inherited"):
            continue
        if name in there:
            changed = there[name].get("definition") != definition and not there[name].get("inherited")
            if changed and _is_said(name, scripts):
                again = f"DROP CONSTRAINT {quoted(name)}, ADD CONSTRAINT {quoted(name)} {definition}"
                over = (_key(table), "constraint", name)
                yield Mend(
                    sql=f"ALTER TABLE {table} {again}", over=over, words=f"constraint {name} of {table} as it was"
                )
            if item.get("comment") != there[name].get("comment"):
                what = f"CONSTRAINT {quoted(name)} ON {table}"
                yield _comment(what, item.get("comment"), f"comment of constraint {name} of {table}")
            continue
        twins = [other for other, each in there.items() if other not in here and each.get("definition") == definition]
        if twins:
            rename = f"RENAME CONSTRAINT {quoted(twins[0])} TO {quoted(name)}"
            over, words = (_key(table), "constraint", twins[0]), f"name of constraint {name} of {table} as it was"
            yield Mend(sql=f"ALTER TABLE {table} {rename}", over=over, words=words)
            continue
        yield Mend(
            sql=f"ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} {definition}",
            words=f"constraint {name} of {table} made again",
        )
        if item.get("comment") is not None:
            what = f"CONSTRAINT {quoted(name)} ON {table}"
            yield _comment(what, item["comment"], f"comment of constraint {name} of {table}")


def _defined(word: str, table: str, here: Parts, there: Parts, scripts: str | None) -> Iterator[Mend]:
    """Indexes and triggers, whose definitions are statements."""
    for name, item in here.items():
        definition = item.get("definition")
        if definition is None:
            continue  # the index of a constraint
        schema = "" if word == "trigger" else table.rpartition(".")[0]
        full = f"{schema}.{quoted(name)}" if schema else quoted(name)
        what = f"TRIGGER {quoted(name)} ON {table}" if word == "trigger" else f"INDEX {full}"
        if name in there:
            # An index over a column that is converted is another one without being named.
            if there[name].get("definition") not in (definition, None) and (word == "index" or _is_said(name, scripts)):
                drop = f"DROP {what}"
                over = (_key(table), word, name)
                yield Mend(sql=definition, first=drop, over=over, words=f"{word} {name} of {table} as it was")
            if item.get("comment") != there[name].get("comment"):
                yield _comment(what, item.get("comment"), f"comment of {word} {name} of {table}")
            continue
        like = masked(definition)
        twins = [other for other, each in there.items() if other not in here and masked(each.get("definition")) == like]
        if word == "index" and twins:
            twin = ".".join(filter(None, (schema, quoted(twins[0]))))
            rename = f"ALTER INDEX {twin} RENAME TO {quoted(name)}"
            over = (_key(table), "index", twins[0])
            yield Mend(sql=rename, over=over, words=f"name of index {name} of {table} as it was")
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
                yield Mend(sql=f"DROP FUNCTION {name}", over=(key, "", ""), words=f"function {name} taken away")
        if kind == "extension" and old is None and ("extension", name.strip('"')) in made:
            yield Mend(sql=f"DROP EXTENSION {name}", first=_without_tables(name), words=f"extension {name} taken away")
        if kind == "table" and old is None and new.get("partial"):
            # Before, nothing had one of the names for which was looked.
            indexes = {item: told for item, told in new.get("indexes", {}).items() if told.get("named")}
            new, old = {"indexes": indexes}, {}
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
                over = (key, word, item)
                yield Mend(sql=drop.format(quoted(item)), over=over, words=f"{word} {item} of {name} taken away")


def _without_tables(extension: str) -> str:
    """Fails where the extension has tables, which may hold rows by now."""
    text = "'" + extension.strip('"').replace("'", "''") + "'"
    return (
        "DO $bascule$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c "
        "ON c.oid = d.objid AND c.relkind IN ('r', 'p') JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid "
        "WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e' "
        f"AND e.extname = {text}) THEN RAISE EXCEPTION 'it has tables of its own'; END IF; END $bascule$"
    )


def _comment(what: str, text: str | None, words: str, over: Part | None = None) -> Mend:
    return Mend(sql=comment_on(what, text), over=over, words=f"{words} as it was")


def _key(table: str) -> str:
    return f"table {table}"


# SQLite


def _sqlite(table: str, old: Parts, new: Parts) -> Iterator[Mend]:
    """Definitions are kept as they were written; nothing of a column can be changed by itself."""
    for part, word in (("indexes", "index"), ("triggers", "trigger")):
        there = {name.lower() for name in new.get(part, {})}
        for name, sql in old.get(part, {}).items():
            if name.lower() not in there and isinstance(sql, str):
                yield Mend(sql=sql, words=f"{word} {name} of {table} made again")
