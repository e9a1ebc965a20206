"""What is composed for PostgreSQL reads there as it was meant; addresses and errors in words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bascule.databases.postgres.address import libpq_address, place, tagged_name, without_secrets
from bascule.databases.postgres.message import (
    Message,
    check_texts,
    identifier,
    leaves_traces,
    literal,
    needs_pieces,
    to_json,
)
from bascule.domain.history import Fact
from bascule.errors import TargetUnreachable
from bascule.ports.database import WorkFailed
from bascule.testing import PostgresServer
from tests.integration.postgresql.target_builders import job, leased, names_of, statement

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.fixture
def connection(bascule_postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        yield connection


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT, conforming=st.booleans())
def test_a_literal_reads_back_whatever_the_server_takes_a_backslash_for(
    connection: psycopg.Connection, text: str, conforming: bool
) -> None:
    connection.execute(f"SET standard_conforming_strings = {conforming}".encode())
    assert connection.execute(f"SELECT {literal(text)}".encode()).fetchone() == (text,)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
)
def test_any_json_is_taken_by_the_server(connection: psycopg.Connection, data: object) -> None:
    text = to_json([data])
    assert connection.execute(f"SELECT {literal(text)}::jsonb::text".encode()).fetchone() is not None
    if "\\u0000" not in json.dumps(data) and "\\ud" not in json.dumps(data):
        assert json.loads(text) == [data]


@given(texts=st.lists(TEXT.filter(bool), min_size=1, max_size=5), data=st.data())
def test_every_place_of_a_message_is_found_again(texts: list[str], data: st.DataObject) -> None:
    message = Message("/* whose */ ")
    message.own("BEGIN;", -1)
    for index, text in enumerate(texts):
        message.add(text, index)
    message.own("COMMIT;", -1)
    whole = message.encode().decode()
    assert len(whole) == message.size
    index = data.draw(st.integers(0, len(texts) - 1))
    offset = data.draw(st.integers(0, len(texts[index]) - 1))
    start = len("/* whose */ BEGIN;") + sum(len(text) + 2 for text in texts[:index])
    assert whole[start + offset] == texts[index][offset]
    assert message.locate(start + offset) == (index, offset)
    assert message.locate(0) is None
    assert message.locate(len(whole) - 1) is None


@pytest.mark.parametrize(
    "text",
    [
        "SET standard_conforming_strings = off",
        "set session backslash_quote to 'safe_encoding'",
        "SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false)",
        "SET NAMES 'latin1'",
        "RESET ALL",
    ],
)
def test_what_changes_how_a_message_is_read_is_sent_by_itself(text: str) -> None:
    assert needs_pieces(job("SELECT 1", text))


@pytest.mark.parametrize(
    "text",
    [
        "SET standard_conforming_strings = on",
        "SET client_encoding = 'UTF8'",
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "UPDATE t SET names = 'x'",
        "ALTER TABLE t ALTER names SET NOT NULL",
    ],
)
def test_what_changes_nothing_of_that_stays_in_its_message(text: str) -> None:
    assert not needs_pieces(job("SELECT 1", text))


def test_looking_through_a_large_statement_takes_no_time() -> None:
    large = statement(" " * 50_000 + "INSERT INTO t VALUES ('" + "set client_encoding -- /* " * 40_000 + "')")
    begun = time.perf_counter()
    check_texts([large])
    assert not needs_pieces(job(large))
    assert not leaves_traces([large])
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    "text", ["ENDURE", "commitment", "ROLLBACK TO s", "rollback work to savepoint s", "SELECT 'COMMIT'"]
)
def test_only_the_end_of_a_transaction_is_taken_for_one(text: str) -> None:
    check_texts([statement(text)])
    with pytest.raises(WorkFailed):
        check_texts([statement("rollback work")])


@given(name=TEXT.filter(bool))
def test_a_quoted_name_is_one_name(name: str) -> None:
    quoted = identifier(name)
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', "").count('"') == 0


@given(password=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=3))
def test_a_password_never_gets_into_a_message(password: str) -> None:
    from urllib.parse import quote

    url = f"postgresql://someone:{quote(password, safe='')}@host/base"
    told = without_secrets(f"could not parse <{url}> with <{password}>", url)
    assert f"<{password}>" not in told
    assert quote(password, safe="") not in told.replace("***", "")
    words = f"host=h password='{password}'" if "'" not in password and "\\" not in password else "host=h"
    if "password" in words:
        assert password not in without_secrets(f"<{password}>", words).replace("***", "")


def test_addresses_are_read_as_people_write_them() -> None:
    assert libpq_address("postgres://u@h/d") == "postgresql://u@h/d"
    assert libpq_address("postgresql+psycopg2://u@h/d?x=a@b") == "postgresql://u@h/d?x=a@b"
    assert libpq_address("host=h dbname=d") == "host=h dbname=d"
    with pytest.raises(TargetUnreachable, match="mysql"):
        libpq_address("mysql://u:p@h/d")
    with pytest.raises(TargetUnreachable, match="%40"):
        libpq_address("postgresql://u:p@q@h/d")
    assert place({"host": "h", "dbname": "d", "password": "p"}) == "h:5432/d"
    assert place({"service": "prod", "password": "p"}) == "service prod"
    assert tagged_name("ü" * 60, "abcdef") == "ü" * 28 + " abcdef"


def test_a_database_whose_encoding_lacks_our_characters_is_no_obstacle(
    bascule_postgres_server: PostgresServer, bascule_postgres_url: str
) -> None:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        admin.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    for name, kept in (("latin", "? ?"), ("bytes", "ü …")):
        with leased(bascule_postgres_server.url(name)) as (target, lease):
            fact = Fact(kind="run_completed", run_id="r", migration="mü", data={"words": "ü …"})
            target.perform(job("CREATE TABLE ü (i int)", name="mü", facts=(fact,)), lease=lease)
            target.append([fact])
            assert names_of(target) == ["mü"]
            assert [each.data["words"] for each in target.journal(migration="mü")] == [kept, kept]
            with pytest.raises(WorkFailed) as failure:
                target.perform(job("SELECT 'üü', nothing", name="bad"), lease=lease)
            assert failure.value.position == 13
        bascule_postgres_server.drop_database(name)
