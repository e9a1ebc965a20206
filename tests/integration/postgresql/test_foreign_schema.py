"""A schema of Bascule's name that belongs to another role: whoever owns it could put anything in Bascule's place."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from bascule.errors import Refused
from tests.integration.postgresql.target_builders import opened


@pytest.fixture
def stranger(bascule_postgres_url: str) -> Iterator[str]:
    name = f"stranger_{bascule_postgres_url.rsplit('_', 1)[-1]}"
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        connection.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def run(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)


def test_an_administrator_does_not_move_into_another_roles_schema(bascule_postgres_url: str, stranger: str) -> None:
    run(bascule_postgres_url, f"CREATE SCHEMA bascule AUTHORIZATION {stranger}")
    with opened(bascule_postgres_url) as target, pytest.raises(Refused, match=stranger) as caught:
        target.prepare()
    assert caught.value.code == "foreign_schema"
    assert "OWNER TO" in caught.value.hint


def test_an_administrator_neither_reads_nor_writes_what_another_role_has_taken(
    bascule_postgres_url: str, stranger: str
) -> None:
    with opened(bascule_postgres_url) as target:
        target.prepare()
    run(bascule_postgres_url, f"ALTER SCHEMA bascule OWNER TO {stranger}")
    with opened(bascule_postgres_url) as target:
        with pytest.raises(Refused, match=stranger):
            target.ledger()
        with pytest.raises(Refused, match=stranger):
            target.prepare()


def test_a_role_works_in_a_schema_of_a_role_it_is_a_member_of(bascule_postgres_url: str, stranger: str) -> None:
    run(bascule_postgres_url, f"CREATE ROLE {stranger}_team; GRANT {stranger}_team TO {stranger}")
    try:
        run(bascule_postgres_url, f"CREATE SCHEMA bascule AUTHORIZATION {stranger}_team")
        with opened(bascule_postgres_url.replace("postgres@", f"{stranger}@")) as target:
            target.prepare()
            assert list(target.ledger()) == []
    finally:
        run(bascule_postgres_url, f"DROP OWNED BY {stranger}_team CASCADE; DROP ROLE {stranger}_team")
