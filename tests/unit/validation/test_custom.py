"""Rules that a project brings, in every form."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from bascule.ports.validation import Declaration, Inspection, Rule
from bascule.validation.custom import CustomRule, answer, as_rule, rules_in
from bascule.validation.declared import read_rule
from tests.unit.validation.declared_rules import days

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Lunch:
    id = "lunch"
    name = "No Free Lunch"
    description = "Somebody pays."
    category = "business_logic"
    severity = "error"

    def validate(self, reader: Any, context: Any = None) -> list[dict[str, int]]:
        return [{"id": 1}]


def even(reader: Any) -> bool:
    """Ids are even.

    More words.
    """
    return False


def test_a_class_and_an_object_are_rules() -> None:
    for given in (Lunch, Lunch()):
        rule = as_rule(given)
        assert (rule.id, rule.name, rule.severity) == ("lunch", "No Free Lunch", "error")


def test_a_function_is_a_rule_by_its_name_and_docstring() -> None:
    rule = as_rule(even)
    assert (rule.id, rule.description, rule.severity, rule.category) == (
        "even",
        "Ids are even.",
        "warning",
        "business_logic",
    )
    assert isinstance(rule, CustomRule)
    assert rule.validate(None, {}) is False  # type: ignore[arg-type]


def test_a_mapping_of_the_originals_fields_is_a_rule() -> None:
    rule = as_rule({"id": "x", "severity": "info", "category": "performance", "validate": lambda runner, context: True})
    assert (rule.id, rule.severity, rule.category) == ("x", "info", "performance")


def test_a_rule_with_inspect_is_read_with_the_others() -> None:
    rule = as_rule({"id": "x", "inspect": lambda asked: Inspection(looked="x")})
    assert isinstance(rule, Rule)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"validate": even}, "no id"),
        ({"id": "x"}, "neither a method"),
        ({"id": "x", "severity": "fatal", "validate": even}, "severity 'fatal'"),
        ({"id": "x", "category": "other", "validate": even}, "category 'other'"),
        (object(), "no id"),
    ],
)
def test_what_is_no_rule_is_refused_in_words(given: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_rule(given)


def test_a_modules_rules_are_its_own_classes_and_marked_functions() -> None:
    module = ModuleType("shop_rules")
    exec(
        "class One:\n id = 'one'\n def validate(self, reader): return True\n"
        "def helper(): pass\n"
        "def two(reader): return True\ntwo.severity = 'error'\n",
        vars(module),
    )
    assert [rule.id for rule in rules_in(module)] == ["one", "two"]
    module.rules = [Lunch]  # type: ignore[attr-defined]
    assert [rule.id for rule in rules_in(module)] == ["lunch"]
    with pytest.raises(ValueError, match="no rules in it"):
        rules_in(ModuleType("empty"))


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (True, "pass", "nothing found"),
        (False, "fail", "Somebody pays."),
        ([], "pass", "nothing found"),
        ([{"id": 1}, (2, None)], "fail", "Somebody pays.: 2 rows"),
        ({"status": "pass", "message": "fine"}, "pass", "fine"),
        ({"status": "warning", "message": "hm"}, "fail", "hm"),
        ({"status": "skipped", "ruleId": "other"}, "skipped", "nothing found"),
    ],
)
def test_every_answer_becomes_a_result(given: Any, status: str, message: str) -> None:
    result = answer(as_rule(Lunch), given, at=AT, ms=2)
    assert (result.rule_id, result.status, result.message) == ("lunch", status, message)


@pytest.mark.parametrize("given", [None, 5, "text", {"status": "fine"}])
def test_another_answer_is_none(given: Any) -> None:
    with pytest.raises(ValueError, match="it answered"):
        answer(as_rule(Lunch), given, at=AT, ms=2)


def test_a_declaration_is_read() -> None:
    read = read_rule({"rule": "data_range_validation", "table": "t", "column": "n", "min": 0, "max": 5}, duration=days)
    assert isinstance(read, Declaration)
    assert (read.minimum, read.maximum) == ("0", "5")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"rule": "fk_integrity", "table": "t"}, "rule is one of"),
        ({"rule": "business_constraints", "table": "t"}, "it needs check or sql"),
        ({"rule": "business_constraints", "check": "x"}, "names no table"),
        ({"rule": "business_constraints", "table": "t", "chek": "x"}, "no key 'chek'"),
        ({"rule": "business_constraints", "sql": "select 1", "table": "t"}, "sql stands alone"),
        ({"rule": "data_retention", "table": "t", "column": "at", "keep": "soon"}, "keep is a number of days"),
        ({"rule": "audit_trail", "table": "t", "columns": []}, "not a list of names"),
        ({"rule": "business_constraints", "table": True, "check": "x"}, "table is not a text"),
        ({"sql": "select 1"}, "no id"),
        ({"id": "x", "sql": "select 1", "severity": "bad"}, "severity is"),
        ({"id": "x", "sql": "select 1", "category": "bad"}, "category is"),
    ],
)
def test_a_wrong_declaration_is_refused_in_words(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_rule(said, duration=days)
