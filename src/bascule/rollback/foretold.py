"""What a down script will leave different from how its up found things: told before the up runs.

Both scripts are followed, statement by statement, on a picture of the schema: one that a look at the catalog has drawn,
or an empty one, in which things appear as they are named. Nothing is run. Where a statement cannot be followed (DO,
functions, dynamic SQL) the answer says so: then the way back may differ, and nobody can tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from bascule.domain.migration import Script
from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect, Insight, Statement
from bascule.domain.way_back import Foretold
from bascule.rollback.pictures.picture import ANY, OF_TABLE, Failing, Key, Picture, shown
from bascule.rollback.rows_foretold import rows_foretold

Pair = tuple[Statement, Insight]


EXACT = Foretold()

_MIRRORED = re.compile(
    r"\s*(?:create\s+table\s+(?!if\b)(?P<table>[\w.\"]+)\s*\([^;]*"
    r"|alter\s+table\s+(?!if\b|only\b)(?P<of>[\w.\"]+)\s+add\s+(?:column\s+)?"
    r"(?!if\b|constraint\b|check\b|unique\b|primary\b|foreign\b|exclude\b)(?P<column>[\w\"]+)\s[^;,]*"
    r"|create\s+(?:unique\s+)?index\s+(?!if\b|concurrently\b|on\b)(?P<index>[\w\"]+)\s+on\s[^;]*)\Z",
    re.IGNORECASE,
)
_MIRROR = re.compile(
    r"\s*(?:drop\s+table\s+(?:if\s+exists\s+)?(?P<table>[\w.\"]+)"
    r"|alter\s+table\s+(?P<of>[\w.\"]+)\s+drop\s+(?:column\s+)?(?!if\b|constraint\b)(?P<column>[\w\"]+)"
    r"|drop\s+index\s+(?:if\s+exists\s+)?(?P<index>[\w\"]+))\s*;?\s*\Z",
    re.IGNORECASE,
)


def mirrored(planned: PlannedMigration) -> bool:
    """One statement makes something, and one takes the same away: that needs no reading, and most are like that."""
    down = planned.migration.down
    if down is None or planned.migration.irreversible is not None:
        return False
    if len(planned.steps) != 1 or len(planned.steps[0].statements) != 1:
        return False
    there = _MIRRORED.match(planned.steps[0].statements[0].text)
    return there is not None and (back := _MIRROR.match(down.text)) is not None and there.groups() == back.groups()


def is_foreseeable(planned: PlannedMigration) -> bool:
    """There are two scripts to compare: without a down, or with an empty one, there is nothing more to tell."""
    migration = planned.migration
    return (
        planned.direction == "up"
        and bool(planned.steps)
        and not migration.ref.repeatable
        and migration.irreversible is None
        and migration.down is not None
        and not migration.down.empty
    )


def foretell(
    planned: PlannedMigration, dialect: Dialect, picture: Picture, read: Callable[[Script], Sequence[Pair]]
) -> Foretold:
    """`picture` becomes that of after the up. `read` takes the down script apart."""
    pairs = [pair for step in planned.steps for pair in zip(step.statements, step.insights, strict=True)]
    start = picture.begun()
    if planned.migration.up.language != "sql":
        picture.unsure.append("what Python does is known only when it runs")
        return Foretold(unsure=("what Python does is known only when it runs",))
    follow(pairs, dialect, start, failing=False)
    picture.parts, picture.open, picture.seen = dict(start.parts), set(start.open), set(start.seen)
    down = planned.migration.down
    if down is None or not is_foreseeable(planned):
        return EXACT
    if down.language != "sql":
        return Foretold(unsure=("what the down script does in Python is known only when it runs",))
    back = read(down)
    told = _back(back, dialect, start)
    tables = [key[1] for key in start.before if key[0] == "table"]
    more = tuple(rows_foretold([each for each, _ in pairs], [each for each, _ in back], tables))
    return replace(told, rows=(*told.rows, *more)) if more else told


def follow(pairs: Sequence[Pair], dialect: Dialect, picture: Picture, *, failing: bool = True) -> str | None:
    """Answers why a statement would fail, where one does and that matters (`failing`)."""
    from bascule.sql.errors import SqlSyntaxProblem

    for statement, insight in pairs:
        try:
            _reading(dialect)(picture, statement, insight)
        except Failing as failure:
            if failing and not picture.unsure:
                return f"line {statement.line}: {failure}"
        except SqlSyntaxProblem as wrong:
            if failing and dialect == "postgresql":
                return f"line {statement.line}: {wrong.message}"
            picture.unsure.append(f"line {statement.line}: it cannot be read")
        except (RecursionError, OSError, KeyError, IndexError, StopIteration):
            picture.unsure.append(f"line {statement.line}: {insight.kind} could not be followed")
    return None


def _reading(dialect: Dialect) -> Callable[[Picture, Statement, Insight], None]:
    if dialect == "sqlite":
        from bascule.rollback.pictures import sqlite

        return sqlite.applied
    from bascule.rollback.pictures import postgres

    return postgres.applied


def _back(pairs: Sequence[Pair], dialect: Dialect, picture: Picture) -> Foretold:
    dropped = {key for key in picture.before if key[0] == "column" and key not in picture.parts}
    stayed = {key[1] for key in picture.before if key[0] == "table" and key in picture.parts}
    picture.filled.clear()
    added = dict(picture.added)
    problem = follow(pairs, dialect, picture)
    unsure = tuple(dict.fromkeys(picture.unsure))
    if problem is not None:
        return Foretold(differences=(f"the down script fails: {problem}",), unsure=unsure, fails=problem)
    told = list(_compared(picture, dialect))
    differences = tuple(words for words, weight in told if weight == "lossy")
    if unsure:
        unsure = (*unsure, *(f"as far as it can be followed, {words}" for words in differences))
    return Foretold(
        differences=() if unsure else differences,
        mended=tuple(words for words, weight in told if weight == "mended"),
        unsure=unsure,
        rows=tuple(_rows(picture, added)),
        missing=frozenset() if unsure else frozenset(_missing(picture, dialect)),
        required=tuple(sorted(_required(picture, {key for key in dropped if key[1] in stayed}))),
        guessed=bool(picture.lost) or any(map(_is_guess, *_changed(picture))),
    )


def _rows(picture: Picture, added: Mapping[str, int]) -> Iterator[str]:
    for table, line in picture.added.items():
        if table in added and ("table", table) in picture.parts and ("table", table) in picture.before:
            yield f"rows that line {line} writes into {table} stay"


def _missing(picture: Picture, dialect: Dialect) -> Iterator[tuple[str, str]]:
    for key, value in picture.before.items():
        if key not in picture.parts and not _is_made_again(key, value, picture, dialect):
            if key[0] == "table":
                yield key[1], ""
            elif key[0] == "column" and ("table", key[1]) in picture.parts:
                yield key[1], key[2]


def _required(picture: Picture, dropped: set[Key]) -> Iterator[tuple[str, str]]:
    for key in dropped:
        value = picture.parts.get(key)
        if (
            isinstance(value, dict)
            and value.get("not_null") is True
            and not (value.get("default") or value.get("generated") or value.get("identity"))
            and (key[1], key[2]) not in picture.filled
        ):
            yield key[1], key[2]


def _changed(picture: Picture) -> tuple[list[Any], list[Any]]:
    """Values of before and of now, of all that is not the very same: most of a schema is not touched at all."""
    pairs = [(value, now) for key, value in picture.before.items() if (now := picture.parts.get(key)) is not value]
    return [before for before, _ in pairs], [now for _, now in pairs]


def _is_guess(before: Any, after: Any) -> bool:
    """What it was counts, and nobody has told it."""
    if before is ANY:
        return after is not ANY
    return isinstance(before, dict) and any(each is ANY for each in before.values()) and before != after


# What is compared


_TAKEN_AWAY = ("index", "constraint", "trigger", "function", "extension", "comment")
"""Mending takes these away where the scripts made them."""
Weight = Literal["lossy", "mended"]


def _compared(picture: Picture, dialect: Dialect) -> Iterator[tuple[str, Weight]]:
    """Words, and what they weigh."""
    before, after = picture.before, picture.parts
    gone = {key for key in before if key not in after}
    come = {key for key in after if key not in before}
    twins = _twins(before, after, gone, come)
    for key in sorted(gone - {one for one, _ in twins}, key=str):
        if not _goes_with_its_table(key, gone) and not _is_elsewhere(key, before):
            yield f"{shown(key)} is missing", _weight(_is_made_again(key, before[key], picture, dialect))
    for key in sorted(come - {other for _, other in twins}, key=str):
        if not _goes_with_its_table(key, come) and not _is_restored(key, after[key], picture):
            yield f"{shown(key)} is left behind", _weight(dialect == "postgresql" and key[0] in _TAKEN_AWAY)
    for key, value in before.items():
        now = after.get(key, value)
        if now is not value and not _same(value, now):
            yield from _changes(key, value, now, dialect)


def _weight(mended: bool) -> Weight:
    return "mended" if mended else "lossy"


def _goes_with_its_table(key: Key, found: set[Key]) -> bool:
    return (key[0] in OF_TABLE and ("table", key[1]) in found) or (
        key[0] == "comment" and (("table", key[2]) in found or ("column", *key[2:]) in found)
    )


def _is_elsewhere(key: Key, before: Mapping[Key, Any]) -> bool:
    """First told of while its table had another name."""
    return key[0] in OF_TABLE and before[key] is ANY and ("table", key[1]) not in before


def _twins(before: Mapping[Key, Any], after: Mapping[Key, Any], gone: set[Key], come: set[Key]) -> set[tuple[Key, Key]]:
    """The same things under other names, which nobody has chosen."""
    found: set[tuple[Key, Key]] = set()
    for key in gone:
        if key[0] not in ("index", "constraint"):
            continue
        for other in come:
            of_same = key[0] == other[0] and (key[0] == "index" or key[1] == other[1])
            if (
                of_same
                and before[key] is not ANY
                and _same(before[key], after[other])
                and other not in dict(found).values()
            ):
                found.add((key, other))
                break
    return found


def _is_restored(key: Key, value: Any, picture: Picture) -> bool:
    """It hung on something that went, of which not everything was known."""
    if value is ANY:
        return True
    table = key[1] if key[0] in OF_TABLE else value.get("table") if isinstance(value, dict) else None
    if (table, "") in picture.lost:
        return True
    columns = value.get("columns", ()) if isinstance(value, dict) else ()
    return any((table, column) in picture.lost for column in (columns if isinstance(columns, tuple) else ()))


def _is_made_again(key: Key, value: Any, picture: Picture, dialect: Dialect) -> bool:
    """Whether mending has it on its list."""
    if key[0] in ("index", "trigger", "view"):
        return True
    if dialect == "sqlite":
        return False
    if key[0] == "column":
        plain = isinstance(value, dict) and not (value.get("generated") or value.get("identity"))
        return plain and ("table", key[1]) in picture.parts
    return key[0] in ("constraint", "comment") or (key[0] == "function" and isinstance(value, dict))


_PROPERTIES = {"not_null": "NOT NULL", "text": "definition", "default": "default", "type": "type"}
_PLAIN = {"varchar", "text"}


def _changes(key: Key, old: Any, new: Any, dialect: Dialect) -> Iterator[tuple[str, Weight]]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield f"{shown(key)} is another one", _weight(key[0] == "comment" and dialect == "postgresql")
        return
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        if _same(one, other):
            continue
        if name == "labels":
            more = [each for each in other or () if each not in (one or ())]
            words = (
                f"value {more[0]!r} of {shown(key)} is left behind" if more else f"the values of {shown(key)} differ"
            )
            yield words, "lossy"
            continue
        if name == "layout":
            if _same(old.get("text"), new.get("text")):
                yield f"layout of {shown(key)} differs", _weight(dialect == "postgresql")
            continue
        words = f"{_PROPERTIES.get(name, name)} of {shown(key)} differs{_said(name, one, other)}"
        yield words, _weight(dialect == "postgresql" and _is_put_right(key, name, one, other, old))


def _said(name: str, one: Any, other: Any) -> str:
    if name == "type" and one is not None and other is not None:
        return f": {_type(one)} before, {_type(other)} after"
    if name == "not_null":
        return f": {'yes' if one else 'no'} before, {'yes' if other else 'no'} after"
    return ""


def _type(value: Any) -> str:
    name, lengths, array = value
    inside = f"({', '.join(number for _, number in lengths)})" if lengths else ""
    return f"{name}{inside}{'[]' if array else ''}"


def _is_put_right(key: Key, name: str, one: Any, other: Any, old: Mapping[str, Any]) -> bool:
    if key[0] in ("function", "index", "constraint", "trigger"):
        return True
    if key[0] != "column" or old.get("generated") or old.get("identity"):
        return False
    if name == "default":
        return one is None or ("function", "nextval") not in one
    if name == "type":
        return bool(one and other) and {one[0], other[0]} == _PLAIN and not (one[1] or other[1] or one[2] or other[2])
    return name == "not_null"


def _same(one: Any, other: Any) -> bool:
    if one is ANY or other is ANY:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_same(one.get(name), other.get(name)) for name in {*one, *other})
    return bool(one == other)
