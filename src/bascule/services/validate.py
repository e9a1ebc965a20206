"""Ask the data rules: `bascule validate`, and the validation service of the API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from bascule import __version__
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
from bascule.validation.passes import Passes
from bascule.validation.rules import BUILT_IN
from bascule.validation.scans import Pass, pass_words, plan_passes
from bascule.validation.verdict import failed, judge

_MOST_PASSES = 200
"""Passes that a report lists."""
_MOST_OF_ONE = 20
"""Passes that one rule's answer lists."""


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
    passes: Callable[[], Passes] | None = None
    """Where rules that have passed are kept, asked only for a look that may use them."""
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
    cached: bool = False
    """Rules that have passed are not asked again while the database has provably not changed. For people who look
    again and again: nothing that decides whether something runs may be asked so.
    """
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
    kept = _Kept.open(validation, wanted)
    catalog = validation.reader.catalog(validation.options)
    scope = _scope(catalog, wanted.tables)
    touched = _touched(catalog, wanted.touched) if wanted.touched else None
    results: dict[str, RuleResult] = {}
    inspected = []
    for rule in rules:
        if rule.id in kept.known and _keeps(validation, rule, catalog):
            results[rule.id] = kept.known[rule.id]
            continue
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
    passes = plan_passes(catalog, tests, validation.options)
    words = _words(catalog, passes, tests)
    results |= {each.rule.id: _judged(validation, each, outcomes, catalog, words) for each in inspected}
    kept.close(validation, [results[rule.id] for rule in rules if _keeps(validation, rule, catalog)])
    return ValidationReport(
        results=(*(results[rule.id] for rule in rules), *_unloaded(validation, wanted)),
        execution_ms=round((validation.clock.monotonic() - begun) * 1000),
        strict=validation.strict or wanted.context.get("strict") is True,
        migration=wanted.migration,
        after=wanted.after,
        plan=tuple(dict.fromkeys(words.values()))[:_MOST_PASSES],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is known of an earlier look at the same things, and the state the database was in before this one."""

    look: tuple[str, ...] = ()
    state: tuple[str, str] | None = None
    known: Mapping[str, RuleResult] = field(default_factory=dict)

    @classmethod
    def open(cls, validation: Validation, wanted: Wanted) -> _Kept:
        if not wanted.cached or validation.passes is None or (state := validation.reader.state()) is None:
            return cls()
        look = (state[0], __version__, repr(validation.options), *wanted.tables)
        return cls(look=look, state=state, known=validation.passes().known(look, state[1]))

    def close(self, validation: Validation, results: Sequence[RuleResult]) -> None:
        """Keep what has passed, if nothing has changed while it was looked at."""
        if self.state is None or validation.passes is None or validation.reader.state() != self.state:
            return
        fresh = {result.rule_id: result for result in results if not result.sampled}
        if any(rule not in self.known for rule in fresh):
            validation.passes().keep(self.look, self.state[1], [*({**self.known, **fresh}).values()])


def _keeps(validation: Validation, rule: ValidationRule, catalog: Catalog) -> bool:
    """Whether its answer depends on rows and structure alone: not on the clock, on counters, or on code and statements
    that nobody here has written. PostgreSQL's sequences move without a trace in its log.
    """
    return (
        rule in BUILT_IN
        and rule.category == "data_integrity"
        and not validation.declared.get(rule.id)
        and not (catalog.dialect == "postgresql" and rule.id == "data_range_validation")
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


def _words(catalog: Catalog, passes: Sequence[Pass], tests: Sequence[Test]) -> dict[Test, str]:
    """For each test the pass that answers it, for people, in the order of the passes."""
    found: dict[Test, str] = {}
    for each in passes:
        words = pass_words(catalog, each, tests)
        found |= dict.fromkeys((tests[number] for number in each.tests), words)
    return found


def _judged(
    validation: Validation,
    each: _Inspected,
    outcomes: Mapping[Test, Outcome],
    catalog: Catalog,
    words: Mapping[Test, str],
) -> RuleResult:
    own = [outcomes[test] for test in each.inspection.tests]
    result = judge(each.rule, each.inspection, own, catalog=catalog, at=validation.clock.now(), ms=each.ms)
    plan = list(dict.fromkeys(words[test] for test in each.inspection.tests))
    if not plan:
        return result
    shown = plan[:_MOST_OF_ONE] + ([f"and {len(plan) - _MOST_OF_ONE} more"] if len(plan) > _MOST_OF_ONE else [])
    return replace(result, details={**result.details, "plan": shown})


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
