"""Rules that a project declares in its configuration: read, and made into tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from bascule.domain.validation import CATEGORIES, Category, Severity
from bascule.ports.validation import (
    Asked,
    ColumnFacts,
    Declaration,
    Finding,
    Inspection,
    QueryTest,
    RowTest,
    Rule,
    TableFacts,
    Test,
)

_TEXTS = frozenset({"name", "message", "sql", "table", "check", "column", "references", "min", "max"})
_FIELDS = {"min": "minimum", "max": "maximum"}
_FLAGS = frozenset({"encoding", "ignore_case"})
_ALLOWED: Mapping[str, frozenset[str]] = {
    "data_range_validation": frozenset({"column", "min", "max", "check"}),
    "orphaned_records": frozenset({"column", "references"}),
    "duplicate_data": frozenset({"column", "columns", "ignore_case"}),
    "data_consistency": frozenset({"check", "sql", "column", "encoding"}),
    "business_constraints": frozenset({"check", "sql"}),
    "data_retention": frozenset({"column", "keep", "sql"}),
    "audit_trail": frozenset({"columns", "check", "sql"}),
}
"""Rules that take declarations, and what they may say beside name, message and table."""
_ONE_OF: Mapping[str, tuple[frozenset[str], ...]] = {
    "data_range_validation": (frozenset({"column", "min"}), frozenset({"column", "max"}), frozenset({"check"})),
    "orphaned_records": (frozenset({"column", "references"}),),
    "duplicate_data": (frozenset({"column"}), frozenset({"columns"})),
    "data_consistency": (frozenset({"check"}), frozenset({"sql"}), frozenset({"column", "encoding"})),
    "business_constraints": (frozenset({"check"}), frozenset({"sql"})),
    "data_retention": (frozenset({"column", "keep"}), frozenset({"sql"})),
    "audit_trail": (frozenset({"columns"}), frozenset({"check"}), frozenset({"sql"})),
}
DECLARABLE = tuple(_ALLOWED)
Condition = Callable[[Declaration, ColumnFacts], tuple[str, str]]
"""SQL and words, of a column."""


def read_rule(said: Mapping[str, Any], *, duration: Callable[[Any], float]) -> Declaration | Rule:
    """One table of the configuration: with ``rule`` something for that one, otherwise a rule of its own.

    Raises ValueError, in words for people.
    """
    rest = dict(said)
    name = rest.pop("rule", None)
    if name is None:
        return read_query_rule(said)
    if name not in _ALLOWED:
        raise ValueError(f"rule is one of {', '.join(DECLARABLE)}, not {name!r}; a rule of its own has id and sql")
    return read_declaration(name, rest, duration=duration)


def read_declaration(rule: str, said: Mapping[str, Any], *, duration: Callable[[Any], float]) -> Declaration:
    """One table of the configuration. Raises ValueError, in words for people."""
    allowed = _ALLOWED[rule] | {"name", "message", "table"}
    for key in said:
        if key not in allowed:
            raise ValueError(f"there is no key {key!r}; allowed are {', '.join(sorted(allowed))}")
    if not any(keys <= said.keys() for keys in _ONE_OF[rule]):
        forms = " or ".join(" with ".join(sorted(keys)) for keys in _ONE_OF[rule])
        raise ValueError(f"it needs {forms}")
    if "sql" not in said and "table" not in said:
        raise ValueError("it names no table")
    if "sql" in said and said.keys() - {"sql", "name", "message"}:
        raise ValueError("sql stands alone, beside name and message")
    values: dict[str, Any] = {_FIELDS.get(key, key): _text(key, value) for key, value in said.items() if key in _TEXTS}
    values |= {key: value is True for key, value in said.items() if key in _FLAGS}
    if "columns" in said:
        values["columns"] = _names(said["columns"])
    if "keep" in said:
        try:
            values["keep_seconds"] = duration(said["keep"])
        except ValueError:
            raise ValueError('keep is a number of days, or a time with its unit as in "90d"') from None
    return Declaration(rule=rule, **values)


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise ValueError(f"{key} is not a text")
    return str(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(each, str) and each for each in value):
        raise ValueError("columns is not a list of names")
    return tuple(value)


def read_query_rule(said: Mapping[str, Any]) -> Rule:
    """A rule of its own, written as SQL: id, sql, name, description, severity, category, message. Raises ValueError."""
    allowed = {"id", "sql", "name", "description", "severity", "category", "message"}
    for key in said:
        if key not in allowed:
            raise ValueError(f"there is no key {key!r}; allowed are {', '.join(sorted(allowed))}")
    words = {key: _text(key, value) for key, value in said.items()}
    if missing := {"id", "sql"} - words.keys():
        raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
    if words.get("severity", "warning") not in ("error", "warning", "info"):
        raise ValueError("severity is error, warning or info")
    if words.get("category", "business_logic") not in CATEGORIES:
        raise ValueError(f"category is {', '.join(CATEGORIES)}")
    name = words.get("name", words["id"])
    inspection = Inspection(
        tests=(QueryTest(sql=words["sql"], words=words.get("message", name)),), looked="no row offends"
    )
    return Rule(
        id=words["id"],
        name=name,
        description=words.get("description", name),
        category=cast("Category", words.get("category", "business_logic")),
        severity=cast("Severity", words.get("severity", "warning")),
        inspect=lambda asked: inspection,
    )


def declared_tests(asked: Asked, condition: Condition | None = None) -> Inspection:
    """The tests of all declarations of a rule; `condition` makes one of a column where neither check nor sql is given.
    What is not there is a finding. Nothing declared: an empty answer.
    """
    tests: list[Test] = []
    findings: list[Finding] = []
    for each in asked.declared:
        if each.sql:
            if asked.scope is None:
                tests.append(QueryTest(sql=each.sql, words=each.message or each.name or "a declared query answers"))
            continue
        tables = asked.catalog.find(each.table)
        if not tables:
            findings.append(_missing(each, each.table))
        for table in tables:
            if asked.scope is not None and table.key not in asked.scope:
                continue
            found, missing = _of_table(each, table, condition)
            tests += found
            findings += missing
    return Inspection(findings=tuple(findings), tests=tuple(tests))


def _of_table(each: Declaration, table: TableFacts, condition: Condition | None) -> tuple[list[RowTest], list[Finding]]:
    if each.check:
        words = each.message or f"{table.shown} breaks {each.name or each.check}"
        # As of a CHECK: an answer that is NULL is kept.
        offends, show = f"NOT ({each.check}\n)", _spoken_of(table, each.check)
        return [RowTest(table=table.key, offends=offends, words=words, show=show, may_sample=True)], []
    tests, findings = [], []
    for name in each.columns or (each.column,):
        column = table.column(name)
        if column is None or condition is None:
            findings.append(_missing(each, f"{table.shown}.{name}"))
            continue
        sql, words = condition(each, column)
        words = each.message or f"{table.shown}.{name} {words}"
        tests.append(RowTest(table=table.key, offends=sql, words=words, show=(name,), may_sample=True))
    return tests, findings


def _spoken_of(table: TableFacts, check: str) -> tuple[str, ...]:
    """Columns whose names stand in a check, to be shown of the rows that break it."""
    words = {word.lower() for word in re.findall(r"\w+", check)}
    return tuple(column.name for column in table.columns if column.name.lower() in words)[:_SHOWN]


_SHOWN = 5


def _missing(each: Declaration, what: str) -> Finding:
    return Finding(words=f"declared, but not there: {what}", advice="Correct the declaration in validation.rules.")


def only_declared(asked: Asked, condition: Condition | None, *, advice: str) -> Inspection:
    """For rules that know nothing by themselves."""
    if not asked.declared:
        return Inspection(skipped="nothing declared")
    found = declared_tests(asked, condition)
    count = len(asked.declared)
    return Inspection(
        findings=found.findings,
        tests=found.tests,
        advice=advice,
        looked=f"{count} declared rule{'s' if count > 1 else ''} hold{'s' if count == 1 else ''}",
    )


def value_sql(value: str) -> str:
    """A number as one, everything else as a text that takes the type of what it is compared with."""
    try:
        float(value)
    except ValueError:
        return "'" + value.replace("'", "''") + "'"
    return value if value.strip("+-").lower() not in ("nan", "inf", "infinity") else f"'{value}'"
