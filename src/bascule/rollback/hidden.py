"""What a script may have changed by code that it only calls: routines, DO blocks, triggers of tables it wrote to.

Looks at the whole schema see what such code did to the schema. They do not see what it did beyond it (roles,
databases…), and a look at named objects does not see what a trigger did to others. Whether it did is told by its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from bascule.domain.schema import Snapshot
from bascule.domain.statement import ObjectName, Touch
from bascule.sql.postgres.bodies import beyond_the_schema, called_names, changes_the_schema, made_name, untold_calls

_FIRES = re.compile(r"EXECUTE (?:FUNCTION|PROCEDURE) (.+?)\(", re.IGNORECASE)

Texts = Mapping[str, tuple[str, ...]]
"""Routines' definitions, by name without schema, in lower case: two that differ in case alone are both read."""


def tables_written(touch: Touch) -> Touch:
    """Tables of which triggers may have run, as a touch to look at."""
    return Touch(objects=frozenset(each for each in touch.runs if each.kind == "relation"))


def have_triggers(tables: Snapshot) -> bool:
    """Whether any trigger of those tables may have run."""
    return any(True for parts in tables.objects.values() for _ in _fired(parts))


def hidden(touch: Touch, looks: Iterable[Snapshot], tables: Snapshot, *, whole: bool) -> tuple[str, ...]:
    """What may have been changed unseen, in words; empty where no text says so.

    `looks`: in which the routines are; `tables`: those written to, as they are now; `whole`: the schema was compared
    as a whole.
    """
    texts = _texts(looks, touch.code)
    words: dict[str, None] = {}
    for name in sorted({each.name.lower() for each in touch.runs if each.kind == "routine"}):
        words.update(dict.fromkeys(_called(name, texts)))
    for text in touch.code:
        made = made_name(text)
        if made is not None and touch.runs and not whole and changes_the_schema(text):
            words[f"{made}() changes the schema, and a default, a check or a view may have called it"] = None
        if made is None:
            words.update(dict.fromkeys(_untold(text, texts)))
            words.update(dict.fromkeys(_reached("a DO block", called_names(text), texts)))
    for key, parts in tables.objects.items():
        for default in _defaults(parts):
            words.update(dict.fromkeys(_reached(f"a default of {key}", called_names(default), texts)))
        for name in _fired(parts):
            words.update(dict.fromkeys(_fires(key, _routine(name).name.lower(), texts, whole=whole)))
    return tuple(words)


def _called(name: str, texts: Texts) -> Iterator[str]:
    if name not in texts:
        yield f"{name}() is called, and nothing tells what it changes outside of the schema"
    yield from _reached(f"{name}()", (name,), texts)


def _fires(table: str, name: str, texts: Texts, *, whole: bool) -> Iterator[str]:
    """What is told of a trigger's function."""
    names = _closure((name,), texts)
    yield from _reached(f"a trigger of {table}", (name,), texts)
    if not whole and any(changes_the_schema(text) for each in names for text in texts[each]):
        yield f"a trigger of {table} runs {name}(), which may change objects that were not looked at"


def _reached(who: str, names: Iterable[str], texts: Texts) -> Iterator[str]:
    for name in _closure(names, texts):
        for text in texts[name]:
            yield from _untold(text, texts)
            if (why := beyond_the_schema(text)) is not None:
                by = "" if who == f"{name}()" else f"{who} calls "
                yield f"{by}{name}(), which {why}: looks at the schema may not show what it changes"


def _untold(text: str, texts: Texts) -> Iterator[str]:
    for name in sorted(untold_calls(text) - texts.keys()):
        yield from _called(name, texts)


def _closure(names: Iterable[str], texts: Texts) -> list[str]:
    """The routines of these names whose texts are known, and those that they call in turn."""
    found: list[str] = []
    waiting = [name for name in names if name in texts]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += (each for text in texts[name] for each in called_names(text) if each in texts)
    return sorted(found)


def _texts(looks: Iterable[Snapshot], code: Iterable[str]) -> Texts:
    found: dict[str, dict[str, None]] = {}
    for look in looks:
        for key, parts in look.objects.items():
            if key.startswith(("function ", "procedure ")) and isinstance(text := parts.get("definition"), str):
                found.setdefault(_routine(key.partition(" ")[2]).name.lower(), {})[text] = None
    for text in code:
        if (name := made_name(text)) is not None:
            found.setdefault(name, {})[text] = None
    return {name: tuple(texts) for name, texts in found.items()}


def _fired(parts: Mapping[str, object]) -> Iterator[str]:
    triggers = parts.get("triggers")
    for trigger in triggers.values() if isinstance(triggers, Mapping) else ():
        definition = trigger.get("definition") if isinstance(trigger, Mapping) else trigger
        if isinstance(definition, str) and (found := _FIRES.search(definition)):
            yield found[1]


def _defaults(parts: Mapping[str, object]) -> Iterator[str]:
    """Expressions that are worked out when a row is written: each may call a function."""
    constraints = parts.get("constraints")
    for constraint in constraints.values() if isinstance(constraints, Mapping) else ():
        definition = constraint.get("definition") if isinstance(constraint, Mapping) else None
        if isinstance(definition, str) and definition.startswith("CHECK"):
            yield definition[len("CHECK") :]
    columns = parts.get("columns")
    for column in columns if isinstance(columns, list) else ():
        for part in ("default", "generated"):
            if isinstance(column, Mapping) and isinstance(text := column.get(part), str) and "(" in text:
                yield text


def _routine(name: str) -> ObjectName:
    """From ``public.f(text)`` or ``f``."""
    schema, _, last = name.partition("(")[0].rpartition(".")
    return ObjectName(kind="routine", name=last.strip('"'), schema=schema.strip('"') or None)
