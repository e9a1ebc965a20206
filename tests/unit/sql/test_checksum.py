from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.statement import Dialect
from bascule.sql import SEMANTIC_VERSION, exact_hash, semantic_hash, split
from bascule.sql.lexer import scan
from bascule.sql.normal import normal_form
from tests.unit.sql.corpus import HARD, one

LAYOUT = (" ", "\n", "\t", "\r\n", "  -- why; 'not'\n", " /* a /* b */ ; */ ")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def same(one_text: str, other: str, dialect: Dialect = "postgresql") -> bool:
    return semantic_hash(one_text, dialect) == semantic_hash(other, dialect)


def test_the_exact_hash_is_that_of_the_bytes() -> None:
    assert exact_hash(b"select 1;\r\n") == hashlib.sha256(b"select 1;\r\n").hexdigest()


def test_this_reading_has_a_name() -> None:
    # Other hashes below need another name here, or every applied file would count as edited.
    assert SEMANTIC_VERSION == "bascule-lexer 1"
    assert semantic_hash("SELECT 'A' , \"B\";", "postgresql") == sha("select 'A' , \"B\";\n")
    assert semantic_hash("copy t from stdin;\n1\n\\.\n", "postgresql") == sha("copy t from stdin;\n1\n\\.\n;\n")


@st.composite
def laid_out_anew(draw: st.DrawFn) -> tuple[str, str]:
    """A script, and the same with other comments, white space, letter case of words, and empty statements."""
    script = ";\n".join(draw(st.lists(st.sampled_from(HARD), min_size=1, max_size=3)))
    parts = []
    for kind, start, end in scan(script, "postgresql"):
        token = script[start:end]
        if kind in ("space", "comment"):
            continue
        parts.append(draw(st.sampled_from(LAYOUT)))
        parts.append(token.upper() if kind == "word" and token.isascii() and draw(st.booleans()) else token)
        if token == ";" and draw(st.booleans()) and "ATOMIC" not in script and "RULE" not in script:
            parts.append(";")
    return script, "".join(parts) + draw(st.sampled_from(["", ";", "\n;;\n", "-- end"]))


@given(laid_out_anew())
def test_comments_layout_case_and_empty_statements_do_not_count(pair: tuple[str, str]) -> None:
    assert same(*pair)


@st.composite
def with_one_change(draw: st.DrawFn) -> tuple[str, str]:
    """A script, and the same with one character more inside a literal, quoted name, body or number."""
    script = draw(st.sampled_from(HARD))
    counting = {"string": 1, "quoted": 1, "dollar": 1, "number": 0}
    places = [(s, e, counting[kind]) for kind, s, e in scan(script, "postgresql") if kind in counting]
    if not places:
        return script, script + " x"
    start, end, closer = draw(st.sampled_from(places))
    at = script.rindex("$", start, end - 1) if script[end - 1] == "$" else end - closer
    extra = "1" if closer == 0 or script[start] in "bBxX" else draw(st.sampled_from(["x", " ", "Z"]))
    return script, script[:at] + extra + script[at:]


@given(with_one_change())
def test_a_change_inside_any_literal_counts(pair: tuple[str, str]) -> None:
    assert not same(*pair)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("select 'a'", "select 'A'"),
        ("select 'a b'", "select 'a  b'"),
        ('select "a"', 'select "A"'),
        ("select a", 'select "a"'),
        ("select $$a$$", "select $x$a$x$"),
        ("select 1", "select 1.0"),
        ("select a - -1", "select a @- 1"),
        ("select a @ -1", "select a @-1"),
        ("select e'x'", "select e 'x'"),
        ("select 1; select 2", "select 2; select 1"),
        ("select 1; select 2", "select 1 select 2"),
        ("copy t from stdin;\n1\n\\.\n", "copy t from stdin;\n1 \n\\.\n"),
        ("select É", "select é"),
        ("select ''''", "select ''"),
        ("select 'a' 'b'", "select 'a'\n'b'"),
    ],
)
def test_what_means_something_else_has_another_hash(old: str, new: str) -> None:
    assert not same(old, new)


def test_layout_between_the_parts_of_a_literal_does_not_count() -> None:
    assert same("select 'a'\n'b'", "select 'a' -- it's\n\n    'b'")
    assert same("select E'a\\''\n'\\'b'", "select E'a\\''\r\n\t'\\'b'")
    assert not same("select 'a\n\n b'", "select 'a\n b'")


def test_operators_end_where_postgresql_ends_them() -> None:
    assert same("select a < -1", "select a <- 1")
    assert same("select a =-1", "select a = - 1")


def test_layout_of_sqlite_scripts_does_not_count() -> None:
    assert same("create table T (a)", "CREATE TABLE t /* x */ ( a );;", "sqlite")
    assert not same("create table [T] (a)", "create table [t] (a)", "sqlite")


@pytest.mark.parametrize("text", [*HARD, "copy t from stdin;\n1\t'\n\\.\n"])
def test_the_normal_form_reads_as_the_same_statement(text: str) -> None:
    form = normal_form(one(text), "postgresql")
    (again,) = split(form, "postgresql")
    assert normal_form(again, "postgresql") == form
