"""What stored data planned migrations can destroy, as far as their statements tell: the scope of the backup before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect, Insight, ObjectName, Statement
from bascule.sql.declined import declined_in

_ROW_CHANGES = ("UPDATE", "DELETE", "MERGE", "INSERT", "COPY", "TRUNCATE", "EXPLAIN ANALYZE", "SELECT")
_RENAMES = re.compile(r"\brename\b|\bset\s+schema\b", re.IGNORECASE)
_CASCADES = re.compile(r"\bcascade\b", re.IGNORECASE)
_VERBS = ("insert", "replace", "update", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A statement of which the author says ``-- bascule: no-preimage``."""

    migration: str
    reason: str
    line: int
    names: frozenset[ObjectName]
    """Empty where nobody can tell what it reaches."""

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.migration}, line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endangered:
    """Tables as the statements name them; which there are, only the database can tell."""

    names: frozenset[ObjectName]
    """Kinds ``relation`` and ``schema`` (all tables of it)."""
    everything: tuple[str, ...] = ()
    """Why it may be any table, in words; empty where it is those named."""
    cascades: bool = False
    """A statement says CASCADE: tables that refer to the named ones may lose rows too."""
    rows: bool = False
    """Rows are changed one by one, so triggers may fire."""
    migrations: tuple[str, ...] = ()
    """Those that destroy what a backup may hold."""
    erased: tuple[Erasure, ...] = ()
    """What must not live on in a backup. Its tables are in `names` only where something else is destroyed in them."""


def endangered(planned: Iterable[PlannedMigration], dialect: Dialect) -> Endangered:
    """Read all of the plan. Without any destroying statement `migrations` is empty."""
    names: dict[ObjectName, None] = {}
    renamed: dict[ObjectName, None] = {}
    why: dict[str, None] = {}
    migrations: dict[str, None] = {}
    erased: list[Erasure] = []
    cascades = rows = False
    for each in planned:
        declined = _declined(each)
        for statement, insight in _statements(each):
            if _RENAMES.search(statement.text):
                renamed |= dict.fromkeys(_relations(insight))
            unknown = unforeseeable(statement, insight)
            if insight.destroys is None and unknown is None:
                continue
            if (reason := declined.get(statement.index)) is not None:
                gone = frozenset(_named(statement, insight, dialect)) if unknown is None else frozenset()
                erased.append(Erasure(migration=each.name, reason=reason, line=statement.line, names=gone))
                continue
            migrations[each.name] = None
            found = tuple(_named(statement, insight, dialect)) if unknown is None else ()
            if not found:
                why[unknown or f"line {statement.line} {insight.destroys}"] = None
            names |= dict.fromkeys(found)
            cascades = cascades or bool(_CASCADES.search(statement.text))
            rows = rows or insight.kind in _ROW_CHANGES
        if python_unknown(each):
            migrations[each.name] = None
            why[f"what {each.name} does cannot be known beforehand"] = None
    # The name in the statement may be one that a statement before it gives to a table of today.
    return Endangered(
        names=frozenset(names | renamed) if migrations else frozenset(),
        everything=tuple(why),
        cascades=cascades,
        rows=rows,
        migrations=tuple(migrations),
        erased=tuple(erased),
    )


def unforeseeable(statement: Statement, insight: Insight) -> str | None:
    """Why nobody can tell what the statement does to rows, in words; None where it can be told, or does nothing."""
    if not insight.touch.everything or insight.kind.startswith(("CREATE", "PRAGMA", "COMMENT", "GRANT", "REVOKE")):
        return None
    if insight.kind == "DO" and not _may_destroy(statement.text):
        return None
    return next(iter(insight.touch.reasons), f"line {statement.line}: {insight.kind} may change any table")


def python_unknown(planned: PlannedMigration) -> bool:
    """A Python migration of which the recorder saw a part only."""
    return any(step.kind == "python" for step in planned.steps) and planned.touch.everything


def _may_destroy(text: str) -> bool:
    """Whether a DO block holds any word that changes rows or runs what is put together while it runs."""
    from bascule.sql.postgres.bodies import untold_calls

    return destroying_words(text) or bool(untold_calls(text))


def destroying_words(text: str) -> bool:
    """Whether the text of a routine may change rows that are there, by its words alone."""
    return _WORDS.search(text) is not None


_WORDS = re.compile(
    r"\b(?:update|delete|truncate|merge|drop|alter|execute|perform|call|copy|on\s+conflict)\b", re.IGNORECASE
)


def _declined(planned: PlannedMigration) -> Mapping[int, str]:
    """By a statement's index why nothing of what it destroys may be kept."""
    script = planned.migration.up if planned.direction == "up" else planned.migration.down
    if script is None or script.language != "sql":
        return {}
    return declined_in(script.text, planned.statements)


def _statements(planned: PlannedMigration) -> Iterator[tuple[Statement, Insight]]:
    for step in planned.steps:
        yield from zip(step.statements, step.insights, strict=True)


def _relations(insight: Insight) -> Iterator[ObjectName]:
    for name in (*insight.touch.objects, *insight.touch.runs):
        if name.kind in ("relation", "schema"):
            yield ObjectName(kind=name.kind, name=name.name, schema=name.schema)


def _named(statement: Statement, insight: Insight, dialect: Dialect) -> Iterator[ObjectName]:
    yield from _relations(insight)
    if dialect == "sqlite" and insight.kind in ("INSERT", "UPDATE", "DELETE"):
        from bascule.sql.sqlite.words import Words

        words = Words(statement.text)
        words.skip_to(*_VERBS)
        words.take_any(*_VERBS)
        if words.take("or"):
            words.take_any("abort", "fail", "ignore", "replace", "rollback")
        words.take_any("into", "from")
        yield ObjectName(kind="relation", name=words.relation().name)
