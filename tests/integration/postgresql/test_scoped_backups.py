"""A backup of any one table, whatever hangs on it, is proved by restoring it and put back in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bascule.databases.postgres.dumper import PostgresDumper
from bascule.ports.dump import Stored
from tests.integration.dumps import store_in, taken
from tests.integration.postgresql.linked_schema import EXTENSIONS, SCHEMA
from tests.integration.postgresql.test_postgres_dump import changes, run, script

DAMAGE = {
    "emptied": "SET session_replication_role = replica; DELETE FROM {table}",
    "dropped": "DROP TABLE {table} CASCADE",
}


@pytest.fixture
def url(bascule_postgres_url: str) -> str:
    """A database in which everything hangs on something."""
    run(bascule_postgres_url, SCHEMA)
    there = {row[0] for row in run(bascule_postgres_url, "SELECT name FROM pg_available_extensions")}
    for name, made in EXTENSIONS.items():
        if name in there:
            run(bascule_postgres_url, f"CREATE EXTENSION {name}", made)
    return bascule_postgres_url


def tables_of(url: str) -> list[str]:
    rows = run(
        url,
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'Far away') ORDER BY 1",
    )
    return [row[0] for row in rows]


def test_a_backup_of_each_table_alone_is_proved_and_put_back_in_its_place(url: str, tmp_path: Path) -> None:
    """A third of them in each run, another one on each version of the server; all where EVERY says so."""
    store, dumper = store_in(tmp_path), PostgresDumper(url)
    before = script(url)
    wrong = {}
    tables = tables_of(url)
    (turn,) = run(url, "SELECT current_setting('server_version_num')::int / 10000 % 3")[0]
    for table in tables if os.environ.get("EVERY") else tables[turn::3]:
        manifest = taken(dumper, store, tables=[table], digests=False)
        verified = dumper.verify(Stored(manifest, store))
        if not verified.is_good or not verified.schema_proved:
            wrong[table] = [each.words for each in verified.differences]
        run(url, DAMAGE["emptied"].format(table=table))
        dumper.restore(Stored(manifest, store))
        if differences := changes(before, script(url)):
            wrong[table] = differences
    assert wrong == {}


def test_a_backup_of_all_of_it_is_proved_and_put_back(url: str, tmp_path: Path) -> None:
    store, dumper = store_in(tmp_path), PostgresDumper(url)
    before = script(url)
    manifest = taken(dumper, store, digests=False)
    verified = dumper.verify(Stored(manifest, store))
    assert (verified.differences, verified.schema_proved, verified.digests_compared) == ((), True, True)
    run(url, "DROP TABLE authors, books, days, round_one CASCADE", "DROP FUNCTION twice CASCADE")
    dumper.restore(Stored(manifest, store))
    assert changes(before, script(url)) == []


@pytest.mark.parametrize("table", ["public.default_books", "public.days", '"Far away"."Odd ""table""; --"'])
def test_a_table_that_is_gone_is_made_again_with_what_was_its_own(url: str, tmp_path: Path, table: str) -> None:
    store, dumper = store_in(tmp_path), PostgresDumper(url)
    rows = run(url, f"SELECT t::text FROM {table} t ORDER BY 1")
    before = script(url, "--table", table)
    manifest = taken(dumper, store, tables=[table], digests=False)
    run(url, DAMAGE["dropped"].format(table=table))
    dumper.restore(Stored(manifest, store))
    assert changes(before, script(url, "--table", table)) == []
    assert run(url, f"SELECT t::text FROM {table} t ORDER BY 1") == rows


def test_constraints_that_changed_since_do_not_stand_in_the_way(url: str, tmp_path: Path) -> None:
    store, dumper = store_in(tmp_path), PostgresDumper(url)
    before = script(url)
    manifest = taken(dumper, store, tables=["default_books", "books"], digests=False)
    run(
        url,
        "ALTER TABLE default_books DROP CONSTRAINT default_books_author_id_fkey, "
        "ADD CONSTRAINT other_fk FOREIGN KEY (author_id) REFERENCES authors ON DELETE CASCADE",
        "ALTER TABLE books DROP CONSTRAINT books_pages, DROP CONSTRAINT books_author_fk",
        "DROP INDEX books_folded",
    )
    assert dumper.verify(Stored(manifest, store)).is_good
    dumper.restore(Stored(manifest, store))
    assert changes(before, script(url)) == []
