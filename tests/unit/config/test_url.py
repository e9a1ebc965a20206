from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.config.url import HIDDEN, DatabaseUrl, mask, parse_url
from bascule.errors import ConfigError

HERE = Path("/work/folder")
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def parse(text: str) -> DatabaseUrl:
    return parse_url(text, folder=HERE)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg", "POSTGRES"])
def test_every_way_to_write_postgresql_means_the_same_server(scheme: str) -> None:
    assert parse(f"{scheme}://app@db:5432/shop").text() == "postgresql://app@db:5432/shop"


def test_a_password_with_every_awkward_character_reaches_the_driver_encoded() -> None:
    url = parse("postgresql://app:p%40ss%2Fw%3Ard%25@db/shop")
    assert url.password == "p@ss/w:rd%"
    assert url.text() == "postgresql://app:p%40ss%2Fw%3Ard%25@db/shop"


@given(user=TEXT, password=TEXT, name=TEXT)
def test_what_goes_in_percent_encoded_comes_out_percent_encoded(user: str, password: str, name: str) -> None:
    text = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@db:5432/{quote(name, safe='')}"
    url = parse(text)
    assert (url.user, url.password, url.database) == (user, password, name)
    assert parse(url.text()) == url


@given(password=st.text(string.ascii_letters + string.digits, min_size=12, max_size=20))
def test_masking_leaves_nothing_of_a_password(password: str) -> None:
    for text in (
        f"postgresql://app:{password}@db/shop",
        f"postgresql://app@db/shop?password={password}",
        f"postgresql://app@db/shop?sslmode=require&sslpassword={password}",
        f"postgresql://app:{password}@x@db/shop",
        f"postgresql://app:x@{password}@db/shop",
        f"postgresql://app:a/{password}@db/shop",
        f"postgresql://app:a?{password}@db/shop",
        f"postgresql://app:@{password}/a@db/shop",
        f"postgresql://app:#{password}@db/shop",
        f"connection to postgresql://app:{password}@db/shop failed",
    ):
        assert password not in mask(text)
        assert HIDDEN in mask(text)


def test_masking_keeps_what_a_person_needs_to_recognise_the_database() -> None:
    text = "postgresql://app:secret@db:5432/shop?sslmode=require&application_name=x"
    assert mask(text) == f"postgresql://app:{HIDDEN}@db:5432/shop?sslmode=require&application_name=x"
    assert parse(text).masked() == mask(text)
    assert "secret" not in repr(parse(text))


def test_the_parameters_of_libpq_are_handed_on_as_written() -> None:
    text = "postgresql://app@h1:5432,h2:5433/shop?target_session_attrs=read-write&options=-c%20a%3Db"
    assert parse(text).text() == text


def test_an_address_without_anything_leaves_all_to_libpq() -> None:
    assert parse("postgresql://").text() == "postgresql://"
    assert parse("postgresql:///shop").text() == "postgresql:///shop"


def test_asyncpgs_word_for_tls_is_translated() -> None:
    assert parse("postgresql+asyncpg://db/shop?ssl=require").text() == "postgresql://db/shop?sslmode=require"


def test_an_ipv6_host_keeps_its_brackets_and_its_port() -> None:
    assert parse("postgresql://app@[::1]:5433/shop").text() == "postgresql://app@[::1]:5433/shop"


def test_a_password_fills_in_where_the_address_has_none() -> None:
    assert parse("postgresql://app@db/shop").text(password="p@ss") == "postgresql://app:p%40ss@db/shop"
    assert parse("postgresql://db/shop").text(password="x") == "postgresql://:x@db/shop"
    assert parse("postgresql://app:own@db/shop").text(password="x") == "postgresql://app:own@db/shop"


def test_relative_and_absolute_sqlite_files() -> None:
    assert parse("sqlite:///data/app.db").database == "/work/folder/data/app.db"
    assert parse("sqlite:////var/app.db").text() == "sqlite:////var/app.db"
    assert parse("sqlite+pysqlite:///app.db").database == "/work/folder/app.db"


def test_a_file_name_with_awkward_characters_survives_the_way_to_the_driver() -> None:
    url = parse("sqlite:////data/a%3Fb%25%20c.db")
    assert url.database == "/data/a?b% c.db"
    assert parse(url.text()) == url


@pytest.mark.parametrize("text", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x", "sqlite://x.db"])
def test_an_sqlite_address_without_a_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


@pytest.mark.parametrize("text", ["mysql://root:secret@db/shop", "oracle+x://secret@h", "sqlite3:///x.db"])
def test_an_unknown_scheme_is_refused_naming_the_allowed_ones_and_nothing_else(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert "secret" not in caught.value.message
    for allowed in ("postgresql://", "postgres://", "sqlite:///"):
        assert allowed in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "host=db password=secret",
        "secret",
        "postgresql://app:sec@ret@db/shop",
        "postgresql://app:sec/ret@db/shop",
        "postgresql://app:sec?ret@db/shop",
        "postgresql://app:sec#ret@db/shop",
        "postgresql://db:port/shop",
        "postgresql://db:123456/shop",
    ],
)
def test_an_address_that_cannot_be_read_safely_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert "sec" not in caught.value.message
    assert caught.value.hint
