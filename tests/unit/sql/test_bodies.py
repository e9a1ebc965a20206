"""What the text of a routine or a DO block tells of changes that nobody sees from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.sql.postgres.bodies import (
    beyond_the_schema,
    called_names,
    changes_the_schema,
    made_name,
    speaks_beyond_the_schema,
)


@pytest.mark.parametrize(
    "body",
    [
        "CREATE TABLE role (a int); INSERT INTO role VALUES (1);",
        "EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE ON %s EXECUTE FUNCTION f()', a, b);",
        "EXECUTE 'INSERT INTO ' || t || ' VALUES (1)';",
        "EXECUTE $q$UPDATE t SET a = 1$q$;",
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE PROCEDURE f();",
        "GRANT EXECUTE ON FUNCTION f() TO somebody; GRANT SELECT ON t TO somebody;",
        "-- ALTER ROLE of somebody\nPERFORM 1;",
        "PERFORM to_char(now(), 'YYYY'); RAISE NOTICE 'done';",
    ],
)
def test_a_body_that_keeps_to_the_schema_is_believed(body: str) -> None:
    assert beyond_the_schema(f"DO $$ BEGIN {body} END $$") is None
    assert beyond_the_schema(f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $x$ BEGIN {body} END $x$") is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("CREATE ROLE x;", "says CREATE ROLE"),
        ("EXECUTE 'alter  /* so */ user x';", "says ALTER USER"),
        ("GRANT admin, other TO x;", "says GRANT ADMIN , OTHER TO"),
        ("COPY t TO PROGRAM 'rm x';", "says TO PROGRAM"),
        ("PERFORM dblink_exec('x');", "says DBLINK_EXEC"),
        ("PERFORM pg_catalog.pg_reload_conf();", "says PG_RELOAD_CONF"),
        ("EXECUTE command;", "executes a text"),
        ("EXECUTE 'ALTER ' || what;", "executes a text"),
        ("EXECUTE format('%s', command);", "executes a text"),
    ],
)
def test_a_body_that_may_reach_further_says_so(body: str, why: str) -> None:
    assert (beyond_the_schema(f"DO $$ BEGIN {body} END $$") or "").startswith(why)


@pytest.mark.parametrize("language", ["c", "plpython3u", "'plperlu'"])
def test_what_cannot_be_read_is_not_believed(language: str) -> None:
    text = f"CREATE FUNCTION f() RETURNS void LANGUAGE {language} AS $x$ x $x$"
    assert beyond_the_schema(text) == "is not written in a language that can be read"
    assert beyond_the_schema("DO LANGUAGE plpython3u 'x'") == "is not written in a language that can be read"


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ("INSERT INTO audit VALUES (1); RETURN new;", False),
        ("CREATE TEMP TABLE x (a int);", False),
        ("ALTER TABLE t ADD a int;", True),
        ("EXECUTE format('CREATE TABLE %I ()', x);", True),
        ("EXECUTE command;", True),
        ("EXECUTE format('INSERT INTO %I VALUES (1)', x);", False),
    ],
)
def test_a_triggers_function_that_defines_something_is_told_from_one_that_writes_rows(body: str, changes: bool) -> None:
    text = f"CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $x$ BEGIN {body} END $x$"
    assert changes_the_schema(text) is changes


def test_names_are_found_without_their_schemas() -> None:
    text = 'CREATE OR REPLACE PROCEDURE app."my_f"(a int) LANGUAGE sql AS $$ SELECT public.g(1), h (2) $$'
    assert made_name(text) == "my_f"
    assert called_names(text) >= {"g", "h"}
    assert made_name("DO $$ BEGIN END $$") is None


def test_a_python_file_is_read_for_the_same_words() -> None:
    assert speaks_beyond_the_schema('op.execute("CREATE  role x")') == "CREATE ROLE"
    assert speaks_beyond_the_schema('op.create_table("roles")') is None


@given(st.text(alphabet="$'\"(); executformat\n-", max_size=40))
def test_no_text_is_too_strange(text: str) -> None:
    beyond_the_schema(text)
    changes_the_schema(text)
    made_name(text)
