"""Many small tables share the streams of a backup, and each can still be had by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from bascule.backups.encryption import Encryption, new_key
from bascule.backups.manifest import from_bytes, to_bytes
from bascule.backups.stores.local import LocalStore
from bascule.databases.postgres import dump as dump_module
from bascule.databases.postgres import load
from bascule.databases.postgres.dumper import PostgresDumper
from bascule.domain.backup import Manifest, TableDigest
from bascule.errors import MigrationFailed, Refused
from bascule.ports.dump import Stored
from bascule.testing.postgres import PostgresServer
from tests.integration.dumps import store_in, taken

COUNT = 250
"""More than one message holds."""


@pytest.fixture
def url(bascule_postgres_url: str) -> str:
    """A database of small tables: most hold three rows, every tenth none, one has no columns."""
    run(
        bascule_postgres_url,
        *(
            f"CREATE TABLE t{number} (id serial PRIMARY KEY, note text DEFAULT 'tab\t' UNIQUE)"
            for number in range(COUNT)
        ),
        *(
            f"INSERT INTO t{number} (note) VALUES ('{number}'), (E'a\\nb\\\\.'), (NULL)"
            for number in range(COUNT)
            if number % 10
        ),
        "CREATE TABLE bare ()",
        "INSERT INTO bare DEFAULT VALUES",
        "ANALYZE",
    )
    return bascule_postgres_url


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return store_in(tmp_path)


@pytest.fixture
def other(bascule_postgres_server: PostgresServer, url: str) -> Iterator[tuple[str, str]]:
    """Name and address of a database that is not there yet."""
    name = f"other_{urlsplit(url).path[1:]}"
    yield name, url.replace(urlsplit(url).path, f"/{name}")
    bascule_postgres_server.drop_database(name)


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """All in one transaction; the rows of the last."""
    rows: list[tuple[Any, ...]] = []
    with psycopg.connect(url) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


def key() -> Encryption:
    secret, recipient = new_key()
    return Encryption(recipients=(recipient,), identities=(secret,))


@pytest.mark.parametrize("encrypted", [False, True])
def test_they_take_a_few_files_and_come_back_as_they_were(
    url: str, store: LocalStore, other: tuple[str, str], encrypted: bool
) -> None:
    keys = key() if encrypted else None
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store, encryption=keys)
    name, address = other

    assert len(store.list(manifest.id)) < 12
    assert dumper.verify(Stored(manifest, store, keys)).is_good
    restored = dumper.restore_to(Stored(manifest, store, keys), name)
    assert sum(restored.rows.values()) == 1 + 3 * COUNT * 9 // 10
    assert dict(PostgresDumper(address).digests()) == dict(manifest.digests) == dict(dumper.digests())


def test_workers_share_them(url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_module, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(dump_module, "_SMALLEST_BUNDLE", 1)
    dumper = PostgresDumper(url, workers=2)

    manifest = taken(dumper, store, digests=False)

    assert [stream.kind for stream in manifest.streams].count("bundle") > 4
    assert dumper.verify(Stored(manifest, store)).is_good


def test_one_of_them_comes_back_and_the_others_keep_what_was_written_since(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    before = run(url, "TABLE t7")
    run(url, "DELETE FROM t7", "DELETE FROM t8")

    assert dumper.restore(Stored(manifest, store), tables=["t7"]).rows == {"public.t7": 3}

    assert run(url, "TABLE t7") == before
    assert run(url, "TABLE t8") == []


def test_all_of_them_come_back_in_one_transaction(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    run(url, "UPDATE t11 SET note = id::text", "DROP TABLE t12", "DELETE FROM bare", "SELECT nextval('t13_id_seq')")

    dumper.restore(Stored(manifest, store))

    assert dict(dumper.digests()) == dict(manifest.digests)
    assert run(url, "SELECT nextval('t13_id_seq')") == [(4,)]


def test_a_difference_in_one_of_them_is_told_with_its_column(
    url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store, digests=False)
    real = load.set_sequences

    def spoil(connection: Any, *rest: Any, **named: Any) -> None:
        connection.execute("UPDATE public.t21 SET note = 'else' WHERE note IS NULL")
        real(connection, *rest, **named)

    monkeypatch.setattr("bascule.databases.postgres.scratch.set_sequences", spoil)
    verified = dumper.verify(Stored(manifest, store))

    assert [(each.table, each.column) for each in verified.differences] == [("public.t21", "note")]


def test_rows_are_proved_without_the_right_to_make_a_database(url: str, store: LocalStore) -> None:
    role = f"reader_{urlsplit(url).path[1:]}"
    run(url, f"CREATE ROLE {role} LOGIN", f"GRANT pg_read_all_data TO {role}")
    try:
        dumper = PostgresDumper(url.replace("postgres@", f"{role}@"))
        verified = dumper.verify(Stored(taken(dumper, store, digests=False), store, None))
        assert verified.is_good
        assert not verified.schema_proved
        assert verified.rows == 1 + 3 * COUNT * 9 // 10
    finally:
        run(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_an_owner_who_is_not_there_is_said_and_everything_else_is_made(
    url: str, store: LocalStore, other: tuple[str, str]
) -> None:
    role = f"owner_{urlsplit(url).path[1:]}"
    run(url, f"CREATE ROLE {role}", f"ALTER TABLE t5 OWNER TO {role}")
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    run(url, f"REASSIGN OWNED BY {role} TO postgres", f"DROP ROLE {role}")

    restored = dumper.restore_to(Stored(manifest, store), other[0])

    assert any(role in note for note in restored.notes)
    assert dict(PostgresDumper(other[1]).digests()) == dict(manifest.digests)


def test_a_table_that_cannot_be_read_stops_the_dump_and_is_named(url: str, store: LocalStore) -> None:
    role = f"reader_{urlsplit(url).path[1:]}"
    run(
        url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT pg_read_all_data TO {role}",
        "ALTER TABLE t30 ENABLE ROW LEVEL SECURITY",
    )
    try:
        with pytest.raises(MigrationFailed, match=r'row-level security.*"t30"'):
            taken(PostgresDumper(url.replace("postgres@", f"{role}@")), store)
    finally:
        run(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_damaged_bundle_touches_nothing(url: str, store: LocalStore, tmp_path: Path) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    name = next(each.name for each in manifest.streams if "public.t7" in [member.table for member in each.members])
    file = tmp_path / "store" / manifest.id / f"{name}.zst"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    run(url, "DELETE FROM t7")

    for tables in (None, ["t7"]):
        with pytest.raises(Refused) as refused:
            dumper.restore(Stored(manifest, store), tables=tables)
        assert refused.value.code == "backup_damaged"
    assert run(url, "TABLE t7") == []


def test_backups_with_a_stream_for_each_table_are_restored(
    url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the first format had them."""
    monkeypatch.setattr(dump_module, "_SMALL", 0)
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    assert {stream.kind for stream in manifest.streams} == {"schema", "rows", "sequences"}
    read: Manifest = from_bytes(to_bytes(manifest, encryption=None))
    run(url, "DELETE FROM t7")

    assert dumper.verify(Stored(read, store)).is_good
    dumper.restore(Stored(read, store))

    assert dict(dumper.digests()) == dict(manifest.digests)


def test_what_a_backup_holds_is_digested_later_but_of_a_table_whose_type_is_gone(url: str, store: LocalStore) -> None:
    run(url, "CREATE TYPE mood AS ENUM ('good')", "CREATE TABLE felt (id int, m mood)", "INSERT INTO felt VALUES (1)")
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store, digests=False)
    assert dumper.digests_of(Stored(manifest, store)) == dict(dumper.digests())

    run(url, "DROP TABLE felt", "DROP TYPE mood")
    found = dumper.digests_of(Stored(manifest, store), tables=["t7", "felt"])

    assert found["public.felt"] == TableDigest(rows=1, columns={"id": "", "m": ""})
    assert found["public.t7"] == dumper.digests(["t7"])["public.t7"]
