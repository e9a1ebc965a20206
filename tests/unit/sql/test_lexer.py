from __future__ import annotations

import time
from contextlib import suppress

import postgast
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bascule.domain.statement import Dialect
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, scan
from tests.unit.sql.corpus import HARD

FRAGMENTS = (
    "select case end E e' ' '' \\ -- /* */ / * $$ $a$ $1 $ a$b _x é \" \"\" U&' u&\" b'01' x'1f' 1 1.5 1e5 1_0 0x1F .5 "
    ".. 1..2 :: := : => <= >= <> != + - @- =- <-> ->> #>> || ~* !~ ? && ^ % ( ) [ ] , ; . #- *- -* +-+ |/ /- <-- ` [x]"
)
sql_like = st.lists(st.sampled_from([*FRAGMENTS.split(), "\n", " ", "\t", "\r\n", "'a'\n'b'"]), max_size=14).map(
    "".join
)


def kinds(text: str, dialect: Dialect = "postgresql") -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end in scan(text, dialect) if kind != "space"]


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
@given(text=sql_like | st.text(max_size=30))
def test_no_character_is_lost(text: str, dialect: Dialect) -> None:
    tokens = []
    try:
        tokens = list(scan(text, dialect))
    except SqlSyntaxProblem:
        assume(False)
    assert "".join(text[start:end] for _, start, end in tokens) == text
    assert all(start < end for _, start, end in tokens)


def postgres_scan(text: str) -> list[str] | None:
    """The tokens of PostgreSQL's own scanner: none for what is never closed, None for what it refuses otherwise."""
    try:
        found = postgast.scan(text).tokens
    except postgast.PgQueryError as error:
        return [] if "unterminated" in str(error) else None
    data = text.encode()
    return [data[token.start : token.end].decode() for token in found]


@given(text=sql_like)
def test_tokens_are_those_of_postgresql(text: str) -> None:
    # libpg_query's scanner, unlike the server's, ends a literal before a comment; psql's commands it does not know.
    assume("\\" not in text and "'--" not in text and "' --" not in text and "'\t--" not in text)
    try:
        ours = kinds(text)
    except SqlSyntaxProblem:
        return
    theirs = postgres_scan(text)
    assume(theirs is not None)
    assert [token for _, token in ours] == theirs


@pytest.mark.parametrize("text", HARD)
def test_hard_statements_have_the_tokens_of_postgresql(text: str) -> None:
    assert [token for _, token in kinds(text)] == postgres_scan(text)


def test_kinds_of_postgresql() -> None:
    assert kinds("a \"b\" 'c' $$d$$ 1 + ; -- e\n$1 \\f g") == [
        ("word", "a"),
        ("quoted", '"b"'),
        ("string", "'c'"),
        ("dollar", "$$d$$"),
        ("number", "1"),
        ("operator", "+"),
        ("symbol", ";"),
        ("comment", "-- e"),
        ("parameter", "$1"),
        ("meta", "\\f g"),
    ]


def test_kinds_of_sqlite() -> None:
    assert kinds("a \"b\" `c` [d] 'e' x'f0' $g :h ?1 || -- i\r\n/* j /* k */", "sqlite") == [
        ("word", "a"),
        ("quoted", '"b"'),
        ("quoted", "`c`"),
        ("quoted", "[d]"),
        ("string", "'e'"),
        ("string", "x'f0'"),
        ("parameter", "$g"),
        ("parameter", ":h"),
        ("parameter", "?1"),
        ("operator", "||"),
        ("comment", "-- i\r"),
        ("comment", "/* j /* k */"),
    ]


def test_a_backslash_escapes_a_quote_only_after_e() -> None:
    assert kinds(r"'\' E'\''") == [("string", r"'\'"), ("string", r"E'\''")]


def test_a_literal_goes_on_after_a_line_end_in_its_own_manner() -> None:
    assert kinds("E'a' -- why\n\t'b\\''") == [("string", "E'a' -- why\n\t'b\\''")]
    assert kinds("'a' 'b'") == [("string", "'a'"), ("string", "'b'")]


def test_a_dollar_quote_ends_at_its_own_tag_only() -> None:
    assert kinds("$a$ $$ $b$ $a$ x") == [("dollar", "$a$ $$ $b$ $a$"), ("word", "x")]


def test_dollars_inside_a_word_open_nothing() -> None:
    assert kinds("a$$b$$c") == [("word", "a$$b$$c")]


def test_a_byte_order_mark_counts_as_white_space_at_the_start_only() -> None:
    assert kinds("\ufeffselect") == [("word", "select")]


def test_folding_leaves_letters_beyond_ascii_alone() -> None:
    assert fold("CAFÉ") == "cafÉ"


@pytest.mark.parametrize(
    ("text", "dialect", "line", "what"),
    [
        ("a\n'b", "postgresql", 2, "string"),
        ("E'b\\'", "postgresql", 1, "string"),
        ("\n\n$x$ $y$", "postgresql", 3, "dollar quote $x$"),
        ("/* /* */", "postgresql", 1, "comment"),
        ('U&"x', "postgresql", 1, "quoted identifier"),
        ("1\n/* x", "sqlite", 2, "comment"),
        ("[x", "sqlite", 1, "quoted identifier"),
        ("`x", "sqlite", 1, "quoted identifier"),
        ("x'00", "sqlite", 1, "string"),
    ],
)
def test_what_is_never_closed_is_named_with_its_line(text: str, dialect: Dialect, line: int, what: str) -> None:
    with pytest.raises(SqlSyntaxProblem, match="never closed") as caught:
        list(scan(text, dialect))
    assert caught.value.line == line
    assert what in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["'" + "x''" * 400_000, "E'" + "\\'" * 500_000, "/*" * 300_000, "$a" * 300_000, "+" * 100_000, "'a'\n" * 100_000],
    ids=["string", "escapes", "comments", "dollars", "operators", "parts"],
)
def test_time_is_linear_in_the_text(text: str) -> None:
    started = time.process_time()
    with suppress(SqlSyntaxProblem):
        list(scan(text, "postgresql"))
    # Tens of milliseconds; anything quadratic would take minutes.
    assert time.process_time() - started < 5
