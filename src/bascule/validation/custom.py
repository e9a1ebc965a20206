"""Rules that a project or a plugin brings: what a module may hold, and what a rule may answer.

A rule has the fields ``id``, ``name``, ``description``, ``category`` and ``severity``, and one of two methods:
``inspect(asked)``, which reads nothing itself and is read together with the built-in rules; or
``validate(reader, context)``, which reads by ``reader.query(sql)``. A function is a rule too: its name is the id, its
docstring the description, and attributes of these names change the rest.
"""

from __future__ import annotations

import inspect as looking
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import ModuleType
from typing import Any

from bascule.domain.validation import CATEGORIES, Category, RuleResult, Severity
from bascule.ports.validation import Query, Rule, ValidationRule

Validate = Callable[[Query, Mapping[str, Any]], Any]

_STATUSES = ("pass", "fail", "warning", "skipped", "error")
_SEVERITIES = ("error", "warning", "info")
_TOLD = 5
_FIELDS = ("id", "name", "category", "severity")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRule:
    """A rule that reads for itself."""

    id: str
    name: str
    description: str
    category: Category
    severity: Severity
    validate: Validate


def as_rule(given: Any) -> ValidationRule:
    """A rule of whatever was given: a rule, a class of one, a function, a mapping of the original's fields.

    Raises ValueError, in words for people.
    """
    if isinstance(given, Rule | CustomRule):
        return given
    if isinstance(given, type):
        return as_rule(given())
    if isinstance(given, Mapping):
        return _made(given.get, given.get("validate"), given.get("inspect"), str(given.get("id", "")))
    read = _reader(given)
    if looking.isroutine(given):
        return _made(read, given, None, given.__name__)
    return _made(read, getattr(given, "validate", None), getattr(given, "inspect", None), "")


def _reader(given: Any) -> Callable[[str], Any]:
    return lambda name: getattr(given, name, None)


def _made(read: Callable[[str], Any], validate: Any, inspect: Any, fallback: str) -> ValidationRule:
    id_ = str(read("id") or fallback)
    if not id_:
        raise ValueError("it has no id")
    category: Any = read("category") or "business_logic"
    severity: Any = read("severity") or "warning"
    if category not in CATEGORIES:
        raise ValueError(f"{id_}: the category {category!r} is none of {', '.join(CATEGORIES)}")
    if severity not in _SEVERITIES:
        raise ValueError(f"{id_}: the severity {severity!r} is none of {', '.join(_SEVERITIES)}")
    name = str(read("name") or id_.replace("_", " "))
    described = str(read("description") or read("__doc__") or name).strip().partition("\n")[0]
    if callable(inspect):
        return Rule(id=id_, name=name, description=described, category=category, severity=severity, inspect=inspect)
    if not callable(validate):
        raise ValueError(f"{id_}: it has neither a method validate nor inspect")
    return CustomRule(
        id=id_, name=name, description=described, category=category, severity=severity, validate=_called(validate)
    )


def _called(validate: Callable[..., Any]) -> Validate:
    """With the context only where it is wanted."""
    try:
        count = sum(
            each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.VAR_POSITIONAL)
            for each in looking.signature(validate).parameters.values()
        )
        several = any(each.kind == each.VAR_POSITIONAL for each in looking.signature(validate).parameters.values())
    except (TypeError, ValueError):
        return validate
    if count >= 2 or several:
        return validate
    return lambda reader, _context: validate(reader)


def rules_in(module: ModuleType) -> list[ValidationRule]:
    """A module's rules: those in its list ``rules``, or all of its own classes and functions that look like one.

    Raises ValueError.
    """
    listed = getattr(module, "rules", None)
    if isinstance(listed, Iterable) and not isinstance(listed, str | bytes):
        return [as_rule(each) for each in listed]
    own = [each for each in vars(module).values() if getattr(each, "__module__", None) == module.__name__]
    found = [each for each in own if _looks_like_one(each)]
    found += [each for each in vars(module).values() if isinstance(each, Rule | CustomRule) and each not in found]
    if not found:
        raise ValueError("there are no rules in it: no list named rules, and no class or function with an id")
    return [as_rule(each) for each in found]


def _looks_like_one(each: Any) -> bool:
    if isinstance(each, type):
        return hasattr(each, "id") and (hasattr(each, "validate") or hasattr(each, "inspect"))
    return looking.isroutine(each) and any(hasattr(each, name) for name in _FIELDS)


def answer(rule: ValidationRule, given: Any, *, at: datetime, ms: float) -> RuleResult:
    """What a rule's own ``validate`` answered: a `RuleResult`, a mapping of its JSON (camelCase or snake_case), whether
    all is well, or the rows that offend. Raises ValueError for anything else.
    """
    if isinstance(given, RuleResult):
        return replace(given, execution_ms=given.execution_ms or round(ms))
    base = RuleResult(
        rule_id=rule.id,
        rule_name=rule.name,
        category=rule.category,
        severity=rule.severity,
        status="pass",
        message="nothing found",
        timestamp=at,
        execution_ms=round(ms),
    )
    broken: Any = "fail" if rule.severity == "error" else "warning"
    if isinstance(given, bool):
        return base if given else replace(base, status=broken, message=rule.description)
    if isinstance(given, Mapping):
        return _from_mapping(base, given, broken)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        if not given:
            return base
        words = f"{rule.description}: {len(given):,} {'row' if len(given) == 1 else 'rows'}"
        return replace(base, status=broken, message=words, sample=tuple(_row(each) for each in given[:_TOLD]))
    raise ValueError(f"it answered {type(given).__name__}, not a result, a mapping, a list of rows or a bool")


def _from_mapping(base: RuleResult, given: Mapping[str, Any], broken: Any) -> RuleResult:
    status = given.get("status", "pass")
    if status not in _STATUSES:
        raise ValueError(f"it answered the status {status!r}, which is none of {', '.join(_STATUSES)}")
    details = given.get("details") or {}
    return replace(
        base,
        # A rule cannot refuse by a word that its severity does not allow, nor pass as less than it is.
        status=broken if status in ("fail", "warning") else status,
        message=str(given.get("message") or base.message),
        details=details if isinstance(details, Mapping) else {"details": details},
        sample=tuple(_row(each) for each in list(given.get("sample") or ())[:_TOLD]),
    )


def _row(given: Any) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return {str(name): _shown(value) for name, value in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return {str(number): _shown(value) for number, value in enumerate(given, 1)}
    return {"row": _shown(given)}


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)[:80]
