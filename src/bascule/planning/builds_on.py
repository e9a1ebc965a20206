"""Which migrations of a plan build on which, as their statements tell: one names what an earlier one changes.

What a migration *needs* is declared, or else the one before it (`bascule.planning.graph`), and that decides what runs.
This is told to people besides: which of the pending changes hang together, and which only wait behind each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect, Statement
from bascule.sql.lexer import fold, significant

_NAME = re.compile(r"[^\W\d][\w$]*")


def builds_on(plan: Sequence[PlannedMigration], dialect: Dialect) -> Mapping[str, tuple[str, ...]]:
    """For each migration the earlier ones of the plan that it builds on directly, in their order.

    Of a script whose code parsing cannot follow (DO, Python) the answer is the careful one: it builds on all before it,
    and all after it build on it. Names are compared without their schemas, and a column may be called like a table: one
    too many may be told.
    """
    answer: dict[str, tuple[str, ...]] = {}
    last: dict[str, int] = {}
    opaque: int | None = None
    ends: set[int] = set()
    below: list[int] = []  # of each the set of all that are beneath it, as bits
    for place, each in enumerate(plan):
        if _is_opaque(each):
            found = set(ends)
            last, opaque = {}, place
        else:
            named, changed = _read(each, dialect)
            found = {last[name] for name in named if name in last} | ({opaque} if opaque is not None else set())
            last |= dict.fromkeys(changed, place)
        deeper = _all_of(below[one] for one in found)
        below.append(deeper | _all_of(1 << one for one in found))
        ends = (ends - found) | {place}
        answer[each.name] = tuple(plan[one].name for one in sorted(found) if not deeper >> one & 1)
    return answer


def _is_opaque(planned: PlannedMigration) -> bool:
    return any(
        step.kind == "python" or any(insight.touch.everything for insight in step.insights) for step in planned.steps
    )


def _all_of(sets: Iterator[int]) -> int:
    together = 0
    for one in sets:
        together |= one
    return together


def _read(planned: PlannedMigration, dialect: Dialect) -> tuple[set[str], set[str]]:
    """What its statements name, and what of that they make, change, remove, or write rows of."""
    named: set[str] = set()
    changed: set[str] = set()
    for step in planned.steps:
        for statement, insight in zip(step.statements, step.insights, strict=True):
            names = list(_names_in(statement, dialect))
            named |= {name for name, _ in names}
            # A foreign key touches the table that it refers to, but what comes later does not build on that.
            only_referred = {name for name, is_referred in names if is_referred} - {
                name for name, is_referred in names if not is_referred
            }
            changed |= {each.name for each in insight.touch.objects | insight.touch.runs} - only_referred
    return named, changed


def _names_in(statement: Statement, dialect: Dialect) -> Iterator[tuple[str, bool]]:
    """Each name, and whether it is the table behind REFERENCES."""
    referred = False
    for kind, begin, end in significant(statement.text, dialect):
        word = statement.text[begin:end]
        if kind == "word":
            yield fold(word), referred
            referred = fold(word) == "references" or (referred and statement.text[end : end + 1] == ".")
        elif kind == "quoted":
            name = word[1:-1].replace(word[-1] * 2, word[-1])
            # To SQLite a quoted name is no other name.
            yield fold(name) if dialect == "sqlite" else name, referred
            referred = referred and statement.text[end : end + 1] == "."
        elif kind == "dollar":
            yield from ((fold(name), False) for name in _NAME.findall(word))
