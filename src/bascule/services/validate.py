"""Ask the data rules: `bascule validate`, and the validation service of the API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from bascule.domain.validation import CATEGORIES, RuleResult, ValidationReport
from bascule.errors import BasculeError, UsageError
from bascule.ports.clock import Clock
from bascule.ports.validation import (
    Asked,
    Catalog,
    DataReader,
    Declaration,
    Inspection,
    Key,
    Outcome,
    QueryTest,
    ReferenceTest,
    Rule,
    Test,
    ValidationOptions,
    ValidationRule,
)
from bascule.validation.custom import CustomRule, answer
from bascule.validation.rules import BUILT_IN
from bascule.validation.scans import pass_words, plan_passes
from bascule.validation.verdict import failed, judge

_MOST_PASSES = 200
"""Passes that a report lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What the rules are asked with."""

    reader: DataReader
    clock: Clock
    rules: Sequence[ValidationRule] = BUILT_IN
    declared: Mapping[str, tuple[Declaration, ...]] = field(default_factory=dict)
    options: ValidationOptions = field(default_factory=ValidationOptions)
    strict: bool = False
    """Warnings refuse too."""
    broken: tuple[str, ...] = ()
    """Modules of rules that could not be loaded, in words: each is a failed result of its own."""
    progress: Callable[[int, int], None] = lambda done, of: None
    stopping: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rules are asked about which tables, and for whom."""

    tables: tuple[str, ...] = ()
    """As a person writes them; none: all."""
    touched: tuple[str, ...] = ()
    """Only what is about these tables, or refers to them, is looked at; those that are not there are passed over."""
    rules: tuple[str, ...] = ()
    """Ids or categories; none: all."""
    category: str | None = None
    migration: str | None = None
    after: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    """Handed to the rules. ``strict`` and ``environment`` in it may only tighten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspected:
    rule: ValidationRule
    inspection: Inspection
    ms: float


def validate(validation: Validation, wanted: Wanted | None = None) -> ValidationReport:
    """Ask the rules that are wanted. A rule that raises, or takes too long, is a failed result of that rule.

    Raises:
        UsageError: there is no such rule, category or table.
        TargetUnreachable, Refused: the database cannot be looked at at all.
        Interrupted: stopped on request. Nothing has been changed.
    """
    wanted = wanted or Wanted()
    begun = validation.clock.monotonic()
    rules = chosen_rules(validation.rules, wanted)
    catalog = validation.reader.catalog(validation.options)
    scope = _scope(catalog, wanted.tables)
    touched = _touched(catalog, wanted.touched) if wanted.touched else None
    results: dict[str, RuleResult] = {}
    inspected = []
    for rule in rules:
        if isinstance(rule, CustomRule):
            results[rule.id] = _ask_custom(validation, rule, wanted)
            continue
        found = _inspect(validation, rule, catalog, scope, wanted)
        if isinstance(found, RuleResult):
            results[rule.id] = found
        else:
            inspected.append(found if touched is None else _about(found, touched))
    tests = list(dict.fromkeys(test for each in inspected for test in each.inspection.tests))
    outcomes = dict(zip(tests, _run(validation, catalog, tests), strict=True))
    results |= {each.rule.id: _judged(validation, each, outcomes, catalog) for each in inspected}
    passes = plan_passes(catalog, tests, validation.options)
    return ValidationReport(
        results=(*(results[rule.id] for rule in rules), *_unloaded(validation, wanted)),
        execution_ms=round((validation.clock.monotonic() - begun) * 1000),
        strict=validation.strict or wanted.context.get("strict") is True,
        migration=wanted.migration,
        after=wanted.after,
        plan=tuple(pass_words(catalog, each, tests) for each in passes[:_MOST_PASSES]),
    )


def chosen_rules(rules: Sequence[ValidationRule], wanted: Wanted) -> list[ValidationRule]:
    """Raises `UsageError` for an id or a category that is not there."""
    known = {rule.id for rule in rules}
    for name in (*wanted.rules, *([wanted.category] if wanted.category else [])):
        if name not in known and name not in CATEGORIES:
            raise UsageError(
                f"There is no rule and no category {name!r}.",
                hint=f"Categories: {', '.join(CATEGORIES)}. Rules: {', '.join(sorted(known))}.",
            )
    chosen = [rule for rule in rules if not wanted.rules or rule.id in wanted.rules or rule.category in wanted.rules]
    return [rule for rule in chosen if wanted.category is None or wanted.category in (rule.category, rule.id)]


def _scope(catalog: Catalog, names: Sequence[str]) -> frozenset[Key] | None:
    if not names:
        return None
    found: set[Key] = set()
    for name in names:
        tables = catalog.find(name)
        if not tables:
            shown = sorted(table.shown for table in catalog.tables.values())
            listed = f"{', '.join(shown[:20])}{' …' if len(shown) > 20 else ''}"
            raise UsageError(
                f"There is no table {name!r}.", code="no_such_table", hint=f"Tables: {listed}." if shown else ""
            )
        found |= {table.key for table in tables}
    return frozenset(found)


def _inspect(
    validation: Validation, rule: ValidationRule, catalog: Catalog, scope: frozenset[Key] | None, wanted: Wanted
) -> _Inspected | RuleResult:
    inspect = rule.inspect if isinstance(rule, Rule) else None
    assert inspect is not None, "custom rules have become one of the two forms"
    asked = Asked(
        catalog=catalog,
        options=validation.options,
        declared=validation.declared.get(rule.id, ()),
        scope=scope,
        context=wanted.context,
    )
    if rule in BUILT_IN:
        begun = validation.clock.monotonic()
        found = inspect(asked)
        return _Inspected(rule=rule, inspection=found, ms=(validation.clock.monotonic() - begun) * 1000)
    given, problem, ms = _bounded(validation, lambda: inspect(asked))
    if not problem and not isinstance(given, Inspection):
        problem = f"it answered {type(given).__name__}, not an Inspection"
    if problem:
        return failed(rule, problem, at=validation.clock.now(), ms=ms)
    return _Inspected(rule=rule, inspection=given, ms=ms)


def _touched(catalog: Catalog, names: Sequence[str]) -> set[Key]:
    """These tables, and those that they are parts of: references lead to the whole."""
    waiting = [table for name in names for table in catalog.find(name)]
    found: set[Key] = set()
    while waiting:
        table = waiting.pop()
        found.add(table.key)
        above = [key for key in (table.partition_of, *table.ancestors) if key is not None and key not in found]
        waiting += filter(None, map(catalog.table, above))
    return found


def _about(each: _Inspected, touched: Set[Key]) -> _Inspected:
    """The same, with what is about these tables alone. Queries may be about any."""
    found = each.inspection
    tests = tuple(
        test
        for test in found.tests
        if isinstance(test, QueryTest)
        or test.table in touched
        or (isinstance(test, ReferenceTest) and test.parent in touched)
    )
    findings = tuple(finding for finding in found.findings if finding.table in touched)
    return replace(each, inspection=replace(found, tests=tests, findings=findings))


def _ask_custom(validation: Validation, rule: CustomRule, wanted: Wanted) -> RuleResult:
    context = {"migration": wanted.migration, "after": wanted.after, "tables": wanted.tables, **wanted.context}
    given, problem, ms = _bounded(validation, lambda: rule.validate(validation.reader, context))
    at = validation.clock.now()
    if problem:
        return failed(rule, problem, at=at, ms=ms)
    try:
        return answer(rule, given, at=at, ms=ms)
    except ValueError as wrong:
        return failed(rule, str(wrong), at=at, ms=ms)


def _bounded(validation: Validation, act: Callable[[], Any]) -> tuple[Any, str, float]:
    """What somebody else's code answers, what is wrong with it, and its milliseconds.

    It works in a thread of its own, which is left alone when its time is over: Python cannot end one. What it reads is
    ended by the database after the same time, and the process does not wait for it.
    """
    answered: list[Any] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            answered.append(act())
        except BaseException as exc:  # noqa: BLE001 - whatever a rule raises is its own result
            raised.append(exc)

    begun = validation.clock.monotonic()
    thread = threading.Thread(target=work, name="bascule rule", daemon=True)
    thread.start()
    thread.join(validation.options.seconds)
    ms = (validation.clock.monotonic() - begun) * 1000
    if raised:
        words = raised[0].message if isinstance(raised[0], BasculeError) else str(raised[0])
        return None, f"it raised {type(raised[0]).__name__}: {words}", ms
    if not answered:
        return None, f"it took longer than {validation.options.seconds:g} s", ms
    return answered[0], "", ms


def _run(validation: Validation, catalog: Catalog, tests: Sequence[Test]) -> list[Outcome]:
    if not tests:
        return []
    return validation.reader.run(
        catalog, tests, validation.options, progress=validation.progress, stopping=validation.stopping
    )


def _judged(validation: Validation, each: _Inspected, outcomes: Mapping[Test, Outcome], catalog: Catalog) -> RuleResult:
    own = [outcomes[test] for test in each.inspection.tests]
    return judge(each.rule, each.inspection, own, catalog=catalog, at=validation.clock.now(), ms=each.ms)


def _unloaded(validation: Validation, wanted: Wanted) -> list[RuleResult]:
    """A module of rules that is not there might have refused: silence about it would be a hollow pass."""
    if wanted.rules or wanted.category:
        return []
    return [
        RuleResult(
            rule_id=f"rules_not_loaded_{number}",
            rule_name="Rules of the Project",
            category="business_logic",
            severity="error",
            status="error",
            message=words,
            timestamp=validation.clock.now(),
        )
        for number, words in enumerate(validation.broken, 1)
    ]


def with_rules(validation: Validation, added: Sequence[ValidationRule]) -> Validation:
    """The same with more rules; one with the id of another takes its place."""
    ids = {rule.id for rule in added}
    kept = [rule for rule in validation.rules if rule.id not in ids]
    return replace(validation, rules=(*kept, *added))
