"""The built-in rules over catalogs that no server is needed for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bascule.domain.validation import CATEGORIES
from bascule.ports.validation import (
    Asked,
    Catalog,
    ColumnFacts,
    ConnectionFacts,
    ConstraintFacts,
    IndexFacts,
    SequenceFacts,
    StatementFacts,
    TableFacts,
)
from bascule.validation.naming import kind_of, plural_forms, reference_words
from bascule.validation.rules import (
    BUILT_IN,
    connection_pool,
    data_range_validation,
    duplicate_data,
    fk_integrity,
    index_efficiency,
    orphaned_records,
    query_performance,
    table_size,
)

KEY = ConstraintFacts(name="", kind="primary", columns=("id",))


def table(name: str, *columns: str, rows: float = 10, **more: object) -> TableFacts:
    facts = tuple(ColumnFacts(name=each.partition(" ")[0], type=each.partition(" ")[2]) for each in columns)
    given = {"constraints": (KEY,), **more}
    return TableFacts(key=("public", name), rows=rows, columns=facts, **given)  # type: ignore[arg-type]


def catalog(*tables: TableFacts, **more: object) -> Catalog:
    return Catalog(dialect="postgresql", tables={each.key: each for each in tables}, **more)  # type: ignore[arg-type]


def test_the_rules_are_the_originals() -> None:
    told = {rule.id: (rule.severity, rule.category) for rule in BUILT_IN}
    assert len(told) == 17
    errors = {rule for rule, (severity, _) in told.items() if severity == "error"}
    assert errors == {
        "fk_integrity",
        "not_null_constraints",
        "unique_constraints",
        "check_constraints",
        "referential_integrity",
    }
    warnings = {rule for rule, (severity, _) in told.items() if severity == "warning"}
    assert warnings == {
        "data_type_validation",
        "data_range_validation",
        "orphaned_records",
        "duplicate_data",
        "data_consistency",
        "business_constraints",
    }
    assert [sum(category == each for _, category in told.values()) for each in CATEGORIES] == [10, 4, 3]


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: rule.id)
def test_every_rule_is_a_file_with_a_bad_and_a_good_example_and_a_page(rule: object) -> None:
    root = Path(__file__).parents[3]
    name = rule.id  # type: ignore[attr-defined]
    text = (root / "src" / "bascule" / "validation" / "rules" / f"{name}.py").read_text()
    assert re.search(r"\nBad[,:]", text)
    assert re.search(r"\bGood\b", text)
    assert f"## {name}" in (root / "docs" / "reference" / "validation-rules.md").read_text()


def test_an_empty_database_has_nothing_wrong() -> None:
    for dialect in ("postgresql", "sqlite"):
        for rule in BUILT_IN:
            found = rule.inspect(Asked(catalog=Catalog(dialect=dialect)))
            assert not found.findings
            assert not found.tests


def test_validated_foreign_keys_are_not_read_again() -> None:
    parent = table("users", "id integer")
    keys = [
        ConstraintFacts(
            name=name,
            kind="foreign",
            columns=("user_id",),
            parent=parent.key,
            parent_columns=("id",),
            validated=validated,
        )
        for name, validated in (("sure", True), ("unsure", False))
    ]
    child = table("orders", "id integer", "user_id integer", constraints=(KEY, *keys))
    found = fk_integrity.inspect(Asked(catalog=catalog(parent, child)))
    assert len(found.tests) == 1
    assert "1 by the catalog, 1 read" in found.looked


@pytest.mark.parametrize(
    ("column", "refers"),
    [
        ("user_id bigint", True),
        ("userId integer", True),
        ("billing_user_id integer", True),
        ("parent_id integer", True),
        ("user_id text", False),
        ("id integer", False),
        ("identity integer", False),
        ("stranger_id integer", False),
    ],
)
def test_a_reference_is_known_by_name_and_type(column: str, refers: bool) -> None:
    child = table("orders", "id integer", column)
    found = orphaned_records.inspect(Asked(catalog=catalog(table("users", "id integer"), child)))
    assert bool(found.tests) == refers


def test_a_reference_to_one_of_several_kinds_is_left_alone() -> None:
    child = table("comments", "id integer", "user_id integer", "user_type text")
    assert not orphaned_records.inspect(Asked(catalog=catalog(table("users", "id integer"), child))).tests


def test_words_of_names() -> None:
    assert reference_words("billingAddressId") == ["billing_address", "address"]
    assert reference_words("valid") == []
    assert {"category", "categories"} <= plural_forms("category")
    assert kind_of("BIGINT") == kind_of("serial") == "integer"
    assert kind_of("varchar(20)") == kind_of("text")
    assert kind_of("interval") != "integer"


def test_an_address_is_a_key_where_rows_are_people_and_nowhere_else() -> None:
    people, letters = table("users", "id integer", "email text"), table("letters", "id integer", "email text")
    found = duplicate_data.inspect(Asked(catalog=catalog(people, letters)))
    assert [test.table[1] for test in found.tests] == ["users"]  # type: ignore[union-attr]


def test_a_table_too_large_to_group_is_passed_over_aloud() -> None:
    people = table("users", "id integer", "email text", rows=1e9)
    found = duplicate_data.inspect(Asked(catalog=catalog(people)))
    assert not found.tests
    assert found.passed_over == ("users (email): too large to be grouped",)


def test_slow_statements_are_told() -> None:
    slow = StatementFacts(text="select 1", calls=100, mean_ms=2000, total_ms=200_000)
    rare = StatementFacts(text="select 2", calls=1, mean_ms=9000, total_ms=9000)
    found = query_performance.inspect(Asked(catalog=catalog(statements=(slow, rare))))
    assert [each.words for each in found.findings] == ["2,000 ms on average, called 100 times: select 1"]
    assert not query_performance.inspect(Asked(catalog=catalog(statements=(rare,)))).findings
    assert query_performance.inspect(Asked(catalog=catalog())).skipped


def test_few_connections_left_and_idle_transactions_are_told() -> None:
    busy = ConnectionFacts(used=90, most=100, idle_in_transaction=2, oldest_seconds=700)
    assert len(connection_pool.inspect(Asked(catalog=catalog(connections=busy))).findings) == 2
    idle = ConnectionFacts(used=9, most=100)
    assert not connection_pool.inspect(Asked(catalog=catalog(connections=idle))).findings


def test_dead_rows_are_told() -> None:
    found = table_size.inspect(Asked(catalog=catalog(table("t", rows=50_000, dead_rows=40_000))))
    assert "40,000 dead rows beside 50,000 living ones" in found.findings[0].words
    assert not table_size.inspect(Asked(catalog=catalog(table("t", rows=500_000, dead_rows=40_000)))).findings


def test_an_index_counts_as_unused_only_where_others_are_used() -> None:
    def indexes(used: int) -> tuple[IndexFacts, ...]:
        return (
            IndexFacts(name="key", columns=("id",), shape="a", unique=True, constraint=True, scans=used),
            IndexFacts(name="idle", columns=("b",), shape="b", scans=0, bytes=2 << 20),
        )

    assert not index_efficiency.inspect(Asked(catalog=catalog(table("t", indexes=indexes(5))))).findings
    found = index_efficiency.inspect(Asked(catalog=catalog(table("t", indexes=indexes(5000)))))
    assert "index idle (2 MiB) was never used" in found.findings[0].words


def test_a_foreign_key_without_an_index_is_told_where_there_are_rows() -> None:
    key = ConstraintFacts(
        name="f", kind="foreign", columns=("a", "b"), parent=("public", "p"), parent_columns=("x", "y")
    )
    covering = (IndexFacts(name="i", columns=("b", "a", "c"), shape="i"),)
    bare = table("t", rows=5000, constraints=(key,))
    covered = table("t", rows=5000, constraints=(key,), indexes=covering)
    assert index_efficiency.inspect(Asked(catalog=catalog(bare))).findings
    assert not index_efficiency.inspect(Asked(catalog=catalog(covered))).findings


def test_a_sequence_near_its_end_is_told_unless_a_table_was_named() -> None:
    worn = catalog(sequences=(SequenceFacts(name="s", used=0.8, feeds="t.id integer"),))
    assert (
        "s has used 80% of its range (t.id integer)"
        in data_range_validation.inspect(Asked(catalog=worn)).findings[0].words
    )
    assert not data_range_validation.inspect(Asked(catalog=worn, scope=frozenset())).findings
