"""SQLite's definitions, read from their texts."""

from __future__ import annotations

from typing import Any

import pytest

from bascule.rollback.reading import read


def table(body: str, options: str = "") -> Any:
    return read({"sql": f"CREATE TABLE t ({body}) {options}"})


def only(found: Any) -> Any:
    (column,) = found["columns"]
    return {name: value for name, value in column.items() if name != "name"}


def constraints(body: str) -> dict[str, str]:
    return {name: value["definition"] for name, value in table(body)["constraints"].items()}


def test_what_is_not_kept_as_text_is_left_as_it_is() -> None:
    parts = {"owner": "me", "columns": [], "indexes": {"i": {"definition": "…"}}}

    assert read(parts) is parts


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (a INT, b TEXT)",
        'CREATE TABLE "t" ("a" INT, "b" TEXT)',
        "create table if not exists main.t([a] int,`b` text)",
        "CREATE /* , */ TABLE t (a INT -- ,\n, 'b' TEXT)",
        "CREATE TEMP TABLE t (A INT, B Text)",
    ],
)
def test_spelling_does_not_count(text: str) -> None:
    assert read({"sql": text}) == read({"sql": "CREATE TABLE t (a INT, b TEXT)"})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("a", {"type": "", "not_null": False}),
        ("a VARCHAR ( 10 , 2 )", {"type": "varchar(10, 2)", "not_null": False}),
        ("a UNSIGNED BIG INT NOT NULL", {"type": "unsigned big int", "not_null": True}),
        ("a NULL", {"type": "", "not_null": False}),
        (
            "a INT NOT NULL ON CONFLICT IGNORE",
            {"type": "int", "not_null": True, "not_null_conflict": "on conflict ignore"},
        ),
        ("a DEFAULT NULL", {"type": "", "not_null": False, "default": "null"}),
        ("a DEFAULT -1 NOT NULL", {"type": "", "not_null": True, "default": "- 1"}),
        ("a DEFAULT (1 + 2)", {"type": "", "not_null": False, "default": "(1 + 2)"}),
        ("a DEFAULT 'It''s  so'", {"type": "", "not_null": False, "default": "'It''s  so'"}),
        (
            "a DEFAULT CURRENT_TIMESTAMP COLLATE RTRIM",
            {"type": "", "not_null": False, "default": "current_timestamp", "collation": "rtrim"},
        ),
        ("a INT AS (b + 1)", {"type": "int", "not_null": False, "generated": "as(b + 1)"}),
        (
            "a INT GENERATED ALWAYS AS (b + 1) STORED",
            {"type": "int", "not_null": False, "generated": "as(b + 1) stored"},
        ),
    ],
)
def test_the_properties_of_a_column(column: str, expected: dict[str, Any]) -> None:
    assert only(table(column)) == expected


@pytest.mark.parametrize(
    ("beside", "at_the_end"),
    [
        ("a INT PRIMARY KEY", "a INT, PRIMARY KEY (a)"),
        ("a INT PRIMARY KEY ASC", "a INT, PRIMARY KEY (a)"),
        ("a INT UNIQUE ON CONFLICT REPLACE", "a INT, UNIQUE (a) ON CONFLICT REPLACE"),
        ("a INT CHECK (a IN (1, 2))", "a INT, CHECK (a IN (1, 2))"),
        ("a INT CONSTRAINT c CHECK (a > 0)", "a INT, CONSTRAINT c CHECK (a > 0)"),
        (
            "a INT CONSTRAINT k REFERENCES b (id) ON DELETE SET NULL ON UPDATE SET DEFAULT NOT DEFERRABLE",
            (
                "a INT, CONSTRAINT k FOREIGN KEY (a) REFERENCES b(id) ON DELETE SET NULL ON UPDATE SET DEFAULT NOT"
                " DEFERRABLE"
            ),
        ),
    ],
)
def test_a_constraint_means_the_same_beside_its_column_and_at_the_end(beside: str, at_the_end: str) -> None:
    assert table(beside) == table(at_the_end)


def test_constraints_go_by_their_name_or_else_by_what_they_say() -> None:
    assert constraints('a INT CONSTRAINT "Over" CHECK (a > 0) CHECK (a < 9), UNIQUE (a, b)') == {
        "over": "check(a > 0)",
        "check(a < 9)": "check(a < 9)",
        "unique(a, b)": "unique(a, b)",
    }


def test_keywords_in_quotes_are_names() -> None:
    found = table('"check" INT, "primary" TEXT, a REFERENCES "not" NOT NULL')

    assert [column["name"] for column in found["columns"]] == ["check", "primary", "a"]
    assert constraints('a REFERENCES "not" NOT NULL') == {
        "foreign key(a) references not": "foreign key(a) references not"
    }


def test_options_have_no_order() -> None:
    assert table("a", "STRICT, WITHOUT ROWID") == table("a", "without rowid,strict")
    assert "options" not in table("a")


def test_an_index_and_a_trigger_are_told_without_their_names() -> None:
    found = read(
        {
            "partial": True,
            "named": ["i"],
            "indexes": {"i": "CREATE UNIQUE INDEX main.i ON t (a DESC) WHERE a > 0"},
            "triggers": {"g": "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 'X'; END"},
        }
    )

    assert found == {
        "partial": True,
        "indexes": {"i": {"definition": "create unique index on t(a desc) where a > 0", "named": True}},
        "triggers": {"g": {"definition": "create trigger after insert on t begin select 'X' ; end"}},
    }


@pytest.mark.parametrize(
    "text",
    [
        "CREATE VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE v USING fts5(a, b)",
        "CREATE TABLE",
        "CREATE TABLE t",
        "CREATE TABLE t (a, b",
        "CREATE TABLE t (a 'unclosed)",
        "nothing like SQL",
        "",
        "CREATE TABLE t (CONSTRAINT)",
        "CREATE TABLE t (a CONSTRAINT)",
        "CREATE TABLE t (a CONSTRAINT c)",
        "CREATE TABLE t (a COLLATE, b DEFAULT, c REFERENCES)",
    ],
)
def test_whatever_the_catalog_holds_is_read_without_fail(text: str) -> None:
    assert read({"sql": text}) == read({"sql": text})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('a DEFAULT "Xy"', 'a DEFAULT "xy"'),
        ("a DEFAULT Xy", "a DEFAULT xy"),
        ("a DEFAULT [Xy]", "a DEFAULT [xy]"),
        ('a CHECK (a <> "Foo")', 'a CHECK (a <> "foo")'),
        ('a, CHECK (a <> "Foo")', 'a, CHECK (a <> "foo")'),
        ('a, b AS (a || "Foo")', 'a, b AS (a || "foo")'),
    ],
)
def test_what_sqlite_takes_for_a_string_keeps_its_letters(one: str, other: str) -> None:
    assert table(one) != table(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('a DEFAULT "Xy"', "a DEFAULT 'Xy'"),
        ("a DEFAULT True", "a DEFAULT TRUE"),
        ('"A" CHECK ("A" > 0)', "a CHECK (a > 0)"),
        ('a CHECK ("T"."A" > 0)', "a CHECK (t.a > 0)"),
        ('a CHECK ("Abs"(a) > 0)', "a CHECK (abs(a) > 0)"),
        ('a CHECK (a = 1 COLLATE "NoCase")', "a CHECK (a = 1 COLLATE nocase)"),
        ('a, b AS ("A" + 1)', "a, b AS (a + 1)"),
    ],
)
def test_names_in_quotes_keep_nothing_but_what_they_name(one: str, other: str) -> None:
    assert table(one) == table(other)


def test_a_string_in_a_trigger_keeps_its_letters_and_a_known_name_does_not() -> None:
    def trigger(value: str) -> Any:
        text = f"CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES ({value}); END"
        return read({"triggers": {"g": text}}, {"userid"})

    assert trigger('"Xy"') != trigger('"xy"')
    assert trigger('"userId"') == trigger("userId")
