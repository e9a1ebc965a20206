"""Views that are gone, made again: they hold nothing of their own, and their definitions are known.

DROP TABLE … CASCADE and DROP COLUMN … CASCADE take views along, and views of these views. A down script can hardly know
them: somebody may have made them since it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bascule.domain.schema import Snapshot
from bascule.rollback.mend import Mend, comment_on, literal, quoted

Parts = Mapping[str, Any]

_PLAIN = "view "
_MATERIALIZED = "materialized view "
_UNREADABLE = "(granted by "
"""Rights that somebody gave who had them from the owner: only that one can give them again."""


def views_again(before: Snapshot, after: Snapshot, scripts: str | None) -> Iterator[Mend]:
    """PostgreSQL's, those first on which others rest. `scripts`: the text of both scripts; a view that neither of them
    names, and no CASCADE reaches, somebody else has dropped. None: not to be asked.
    """
    gone = {}
    for key, parts in before.objects.items():
        name = _name(key)
        if name is None or key in after.objects or parts.get("partial") or not parts.get("definition"):
            continue
        if scripts is None or "cascade" in scripts.lower() or _is_named(_bare(name), scripts):
            gone[key] = parts
    for key in _in_order(gone):
        yield _again(key, gone[key])


def sqlite_views_again(before: Snapshot, after: Snapshot) -> Iterator[Mend]:
    """SQLite's, with their triggers. It takes no view along by itself: a script has dropped it."""
    there = {key.lower() for key in after.objects}
    for key, parts in before.objects.items():
        if not key.startswith(_PLAIN) or key.lower() in there or parts.get("mentions") or not parts.get("sql"):
            continue
        name = key.removeprefix(_PLAIN)
        triggers = tuple(sql for sql in parts.get("triggers", {}).values() if isinstance(sql, str))
        yield Mend(sql=parts["sql"], then=triggers, words=f"view {name} made again")


def sqlite_triggers_again(before: Snapshot, after: Snapshot) -> Iterator[Mend]:
    """SQLite's INSTEAD OF triggers of views that were made anew: a trigger goes with its view."""
    there = {key.lower(): parts for key, parts in after.objects.items()}
    for key, parts in before.objects.items():
        now = there.get(key.lower())
        if not key.startswith(_PLAIN) or parts.get("mentions") or now is None:
            continue
        has = {name.lower() for name in now.get("triggers", {})}
        for name, sql in parts.get("triggers", {}).items():
            if name.lower() not in has and isinstance(sql, str):
                yield Mend(sql=sql, words=f"trigger {name} of {key.removeprefix(_PLAIN)} made again")


def _in_order(gone: Mapping[str, Parts]) -> list[str]:
    """A view whose definition names another comes behind it. Views cannot refer to each other in a circle; where names
    make it look so, what is tried too early is tried once more.
    """
    ordered: list[str] = []
    waiting = sorted(gone)
    while waiting:
        ready = [key for key in waiting if not any(_names(gone[key], other) for other in waiting if other != key)]
        for key in ready or waiting[:1]:
            ordered.append(key)
            waiting.remove(key)
    return ordered


def _names(parts: Parts, other: str) -> bool:
    return _is_named(_bare(_name(other) or ""), str(parts["definition"]))


def _is_named(bare: str, text: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(bare)}(?![\w$])", text.lower()) is not None


def _again(key: str, parts: Parts) -> Mend:
    name = _name(key) or ""
    kind = "MATERIALIZED VIEW" if key.startswith(_MATERIALIZED) else "VIEW"
    method = f" USING {quoted(parts['access_method'])}" if parts.get("access_method") else ""
    options = f" WITH ({', '.join(map(_option, parts['options']))})" if parts.get("options") else ""
    query = str(parts["definition"]).strip().rstrip(";")
    filled = kind == "MATERIALIZED VIEW" and parts.get("populated") is not False
    ending = "" if kind == "VIEW" or filled else "\nWITH NO DATA"
    return Mend(
        sql=f"CREATE {kind} {name}{method}{options} AS\n{query}{ending}",
        then=tuple(_belongings(kind, name, parts)),
        refreshes=name if filled else "",
        words=f"{kind.lower()} {name} made again",
    )


def _belongings(kind: str, name: str, parts: Parts) -> Iterator[str]:
    """What belongs to the view, behind it in the same transaction."""
    for column in parts.get("columns", ()):
        if column.get("default") is not None:
            yield f"ALTER VIEW {name} ALTER COLUMN {quoted(column['name'])} SET DEFAULT {column['default']}"
    yield from _defined("INDEX", "index", name, parts.get("indexes", {}))
    yield from _defined("RULE", "rule", name, parts.get("rules", {}))
    yield from _defined("TRIGGER", "trigger", name, parts.get("triggers", {}))
    if parts.get("comment") is not None:
        yield comment_on(f"{kind} {name}", parts["comment"])
    for column in parts.get("columns", ()):
        if column.get("comment") is not None:
            yield comment_on(f"COLUMN {name}.{quoted(column['name'])}", column["comment"])
    yield from _grants(name, parts.get("grants") or (), "", parts.get("owner"))
    for column in parts.get("columns", ()):
        yield from _grants(name, column.get("grants") or (), f" ({quoted(column['name'])})", parts.get("owner"))
    if parts.get("owner"):
        yield f"ALTER {kind} {name} OWNER TO {quoted(parts['owner'])}"


def _defined(kind: str, part: str, view: str, items: Mapping[str, Parts]) -> Iterator[str]:
    schema = view.rpartition(".")[0] if '"' not in view else ""
    for name, item in items.items():
        if not item.get("definition"):
            continue
        yield str(item["definition"]).rstrip(";")
        where = f" ON {view}" if part != "index" else ""
        what = f"{schema}.{quoted(name)}" if part == "index" and schema else quoted(name)
        if item.get("comment") is not None:
            yield comment_on(f"{kind} {what}{where}", item["comment"])


def _grants(view: str, lines: Any, columns: str, owner: str | None) -> Iterator[str]:
    """From the look's words (``reader: INSERT, SELECT with grant option``); of a line it is the last colon that counts,
    for a role may have one in its name.
    """
    for line in lines:
        role, _, rights = str(line).rpartition(": ")
        whom = "PUBLIC" if role == "PUBLIC" else quoted(role)
        if role == owner and not columns:
            yield f"REVOKE ALL ON {view} FROM {whom}"
        if rights == "nothing":
            continue
        rights = rights.removesuffix(f" {_UNREADABLE}{owner})") if owner else rights
        if _UNREADABLE in rights:
            continue
        for right in rights.split(", "):
            word = right.removesuffix(" with grant option")
            option = " WITH GRANT OPTION" if word != right else ""
            yield f"GRANT {word}{columns} ON {view} TO {whom}{option}"


def _option(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{name}={literal(value)}"


def _name(key: str) -> str | None:
    for kind in (_PLAIN, _MATERIALIZED):
        if key.startswith(kind):
            return key.removeprefix(kind)
    return None


def _bare(name: str) -> str:
    """Without schema and quotes, in lower case."""
    found = re.search(r'"((?:[^"]|"")*)"$', name)
    return (found[1].replace('""', '"') if found else name.rpartition(".")[2]).lower()
