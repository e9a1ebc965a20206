"""Getting to a PostgreSQL server, being refused, and being cut off."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bascule.databases.postgres import wire
from bascule.databases.postgres.door import Door
from bascule.domain.statement import Effect
from bascule.errors import BasculeError, ConfigError, Refused, TargetUnreachable
from bascule.ports.database import Limits, WorkFailed
from bascule.testing import PostgresServer
from tests.integration.postgresql.target_builders import job, leased, names_of, opened, rows, statement, touch, wait_for


@pytest.fixture(scope="module")
def guarded(bascule_postgres_bin: Path) -> Iterator[PostgresServer]:
    """A server with a password and few connections."""
    settings = {"max_connections": "8", "superuser_reserved_connections": "0"}
    with PostgresServer(bascule_postgres_bin, password="s3cret!", settings=settings) as server:
        yield server


def refusal(url: str) -> TargetUnreachable:
    with opened(url) as target, pytest.raises(TargetUnreachable) as refused:
        target.describe()
    return refused.value


def test_each_way_of_not_getting_in_has_its_words(guarded: PostgresServer) -> None:
    url = guarded.url()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
    expected = {
        url.replace("s3cret", "wr0ng"): "wrong_password",
        guarded.url("nowhere"): "unknown_database",
        url.replace(str(guarded.port), str(closed)): "unreachable",
        url.replace("127.0.0.1", "no-such-host.invalid"): "unknown_host",
        "mysql://u:s3cret@h/d": "bad_address",
        url.replace("s3cret", "s3c@ret"): "bad_address",
        url + "?schema=public": "bad_address",
        url.replace("s3cret", "s3cret%zz"): "bad_address",
    }
    for address, code in expected.items():
        refused = refusal(address)
        assert refused.code == code, refused.message
        assert refused.hint
        told = f"{refused.message} {refused.hint} {refused.__cause__!r} {refused.details}"
        assert "s3c" not in told
        assert "wr0ng" not in told


def test_a_role_that_is_not_there_is_named(bascule_postgres_url: str) -> None:
    refused = refusal(bascule_postgres_url.replace("postgres@", "nobody_here@"))
    assert refused.code == "unknown_user"
    assert "nobody_here" in refused.message


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(TargetUnreachable) as refused, opened("postgresql://h/d") as target:
        target.describe()
    assert refused.value.code == "missing_driver"
    assert "pip install 'bascule[postgres]'" in refused.value.hint


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_usual_scheme_is_taken(bascule_postgres_url: str, scheme: str) -> None:
    with opened(bascule_postgres_url.replace("postgresql", scheme)) as target:
        info = target.describe()
    assert info.server.startswith("PostgreSQL 1")
    assert info.location in bascule_postgres_url
    assert not info.pooled


def test_words_of_libpq_and_the_environment_are_taken(
    bascule_postgres_server: PostgresServer, bascule_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = bascule_postgres_url.rsplit("/", 1)[1]
    with opened(f"host=127.0.0.1 port={bascule_postgres_server.port} user=postgres dbname={name}") as target:
        assert target.describe().database == name
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(bascule_postgres_server.port))
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGDATABASE", name)
    with opened("") as target:
        assert target.describe().database == name
        assert target.describe().location == f"127.0.0.1:{bascule_postgres_server.port}/{name}"


def test_an_address_that_is_a_function_is_asked_for_each_connection(bascule_postgres_url: str) -> None:
    asked: list[int] = []

    def address() -> str:
        asked.append(1)
        return bascule_postgres_url

    with leased(address) as (target, _):
        before = len(asked)
        assert before >= 2
        target.reconnect()
        assert len(asked) > before


def all_connections(server: PostgresServer) -> Iterator[psycopg.Connection]:
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            yield psycopg.connect(server.url())


def test_when_every_connection_is_taken_it_waits_for_one(guarded: PostgresServer) -> None:
    taken = list(all_connections(guarded))
    timer = threading.Timer(0.5, taken.pop().close)
    timer.start()
    with opened(guarded.url()) as target:
        assert target.describe().database == "postgres"
        timer.join()
        begun = time.monotonic()
        with pytest.raises(TargetUnreachable) as refused:
            Door(guarded.url(), application="test", tag="t").open(patience=0.3)
        assert refused.value.code == "too_many_connections"
        assert time.monotonic() - begun < 5
    for connection in taken:
        connection.close()


def test_looking_takes_one_message_and_reading_the_ledger_another(
    bascule_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        target.perform(job("SELECT 1"), lease=lease)
    sent: list[bytes] = []
    send = wire.send

    def noted(connection: psycopg.Connection, message: bytes) -> None:
        sent.append(message)
        send(connection, message)

    monkeypatch.setattr(wire, "send", noted)
    with opened(bascule_postgres_url) as target:
        assert target.describe().prepared
        assert len(sent) == 1
        assert names_of(target) == ["m"]
        assert len(sent) == 1  # and one by the driver's cursor


def test_a_role_that_may_not_create_is_told_what_it_needs(bascule_postgres_url: str) -> None:
    weak = f"weak_{os.getpid()}"
    rows(bascule_postgres_url, f"CREATE ROLE {weak} LOGIN")
    try:
        with opened(bascule_postgres_url.replace("postgres@", f"{weak}@")) as target:
            assert target.ledger() == []
            with pytest.raises(Refused) as refused:
                target.prepare()
            assert refused.value.code == "no_rights"
            assert f'GRANT CREATE ON DATABASE "{target.describe().database}" TO "{weak}"' in refused.value.hint
            with opened(bascule_postgres_url) as owner:
                owner.prepare()
            with pytest.raises(Refused) as refused:
                target.ledger()
            assert refused.value.code == "no_rights"
            assert "USAGE ON SCHEMA" in refused.value.hint
        with opened(bascule_postgres_url.replace("postgres@", f"{weak}@")) as target:
            with pytest.raises(Refused) as refused:
                target.ledger()  # which fails as soon as it connects
            assert f'GRANT USAGE ON SCHEMA "bascule" TO "{weak}"' in refused.value.hint
            assert '""' not in refused.value.hint
    finally:
        rows(bascule_postgres_url, f"DROP ROLE {weak}")


def test_a_role_that_may_only_read_is_refused_in_words(bascule_postgres_url: str) -> None:
    reader = f"reader_{os.getpid()}"
    rows(
        bascule_postgres_url,
        f"CREATE ROLE {reader} LOGIN SUPERUSER; ALTER ROLE {reader} SET default_transaction_read_only = on",
    )
    try:
        with opened(bascule_postgres_url.replace("postgres@", f"{reader}@")) as target:
            assert target.ledger() == []
            with pytest.raises(Refused) as refused:
                target.prepare()
            assert refused.value.code == "read_only"
    finally:
        rows(bascule_postgres_url, f"DROP ROLE {reader}")
    with opened(bascule_postgres_url, read_only=True) as target:
        with pytest.raises(Refused):
            target.prepare()
        with pytest.raises(Refused):
            target.acquire(owner="me@here:1", run="run_1")
        assert rows(bascule_postgres_url, "SELECT 1 FROM pg_namespace WHERE nspname = 'bascule'") == []


def test_what_a_newer_version_made_is_not_touched(bascule_postgres_url: str) -> None:
    with opened(bascule_postgres_url) as target:
        target.prepare()
    rows(bascule_postgres_url, "UPDATE bascule.meta SET layout = 999")
    with opened(bascule_postgres_url) as target:
        assert target.describe().prepared
        for call in (target.ledger, target.prepare, lambda: target.acquire(owner="me@here:1", run="run_1")):
            with pytest.raises(Refused) as refused:
                call()
            assert refused.value.code == "newer_ledger"
    assert rows(bascule_postgres_url, "SELECT layout FROM bascule.meta") == [(999,)]


def test_twenty_may_prepare_at_once(bascule_postgres_url: str) -> None:
    together = threading.Barrier(20)
    failures: list[BaseException] = []

    def prepare() -> None:
        try:
            with opened(bascule_postgres_url) as target:
                target.describe()
                together.wait()
                target.prepare()
        except (BasculeError, WorkFailed, psycopg.Error) as failed:
            failures.append(failed)

    threads = [threading.Thread(target=prepare) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows(bascule_postgres_url, "SELECT count(*) FROM bascule.meta") == [(1,)]


def test_only_the_owner_has_rights_on_what_it_keeps(bascule_postgres_url: str) -> None:
    other = f"other_{os.getpid()}"
    rows(bascule_postgres_url, f"CREATE ROLE {other}")
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        rows(bascule_postgres_url, f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO {other}")
    try:
        with opened(bascule_postgres_url) as target:
            target.prepare()
        strangers = (
            "SELECT grantee::regrole::text, privilege_type FROM ("
            "SELECT relacl AS acl, relowner AS owner FROM pg_class "
            "WHERE relnamespace = 'bascule'::regnamespace UNION ALL "
            "SELECT coalesce(proacl, acldefault('f', proowner)), proowner FROM pg_proc "
            "WHERE pronamespace = 'bascule'::regnamespace UNION ALL "
            "SELECT nspacl, nspowner FROM pg_namespace WHERE nspname = 'bascule') AS made, aclexplode(acl) "
            "WHERE grantee <> owner"
        )
        assert rows(bascule_postgres_url, strangers) == []
    finally:
        rows(bascule_postgres_url, f"DROP OWNED BY {other}")
        rows(bascule_postgres_url, f"DROP ROLE {other}")


def test_any_name_will_do_for_the_schema(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, schema="Odd \"Name's") as (target, lease):
        target.perform(job("CREATE TABLE t (i int)", before=touch("t")), lease=lease)
        assert names_of(target) == ["m"]
        assert [fact.kind for fact in target.journal()] == ["run_completed"]
    with opened(bascule_postgres_url) as target:
        assert not target.describe().prepared


def test_functions_of_another_build_are_replaced(bascule_postgres_url: str) -> None:
    with opened(bascule_postgres_url) as target:
        target.prepare()
    rows(
        bascule_postgres_url, "UPDATE bascule.meta SET code = 'another'; DROP FUNCTION bascule.leave(jsonb, text, text)"
    )
    with leased(bascule_postgres_url) as (target, lease):
        target.perform(job("SELECT 1"), lease=lease)
    assert rows(bascule_postgres_url, "SELECT code <> 'another' FROM bascule.meta") == [(True,)]


@pytest.mark.parametrize("knows_bascule", [True, False])
def test_a_way_past_the_pooler_to_another_database_is_named(
    bascule_postgres_server: PostgresServer, bascule_postgres_url: str, knows_bascule: bool
) -> None:
    name = f"not_this_{os.getpid()}"
    another = bascule_postgres_server.create_database(name)
    try:
        if knows_bascule:
            with opened(another) as target:
                target.prepare()
        with opened(bascule_postgres_url, direct_url=another) as target:
            with pytest.raises(ConfigError) as refused:
                target.acquire(owner="me@here:1", run="run_1")
            assert target.holder() is None
        assert refused.value.code == "two_databases"
        for words in ("MIGRATION_DIRECT_URL", name, "another database", "Nothing was started"):
            assert words in refused.value.message
        with leased(bascule_postgres_url, direct_url=bascule_postgres_url) as (target, lease):
            target.perform(job("CREATE TABLE t (i int)"), lease=lease)
    finally:
        bascule_postgres_server.drop_database(name)


def test_the_journal_may_be_kept_elsewhere(bascule_postgres_server: PostgresServer, bascule_postgres_url: str) -> None:
    elsewhere = bascule_postgres_server.create_database("elsewhere")
    try:
        with leased(bascule_postgres_url, state_url=elsewhere) as (target, lease):
            target.perform(job("CREATE TABLE t (i int)"), lease=lease)
            assert [fact.kind for fact in target.journal(migration="m")] == ["run_completed"]
            assert names_of(target) == ["m"]
        assert rows(bascule_postgres_url, "SELECT count(*) FROM bascule.journal") == [(0,)]
        assert rows(elsewhere, "SELECT count(*), count(target) FROM bascule.journal") == [(1, 1)]
        assert rows(elsewhere, "SELECT count(*) FROM bascule.ledger") == [(0,)]
    finally:
        bascule_postgres_server.drop_database("elsewhere")


def test_after_its_session_was_ended_a_job_is_lost_and_can_be_tried_again(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        kill = f"SELECT pg_terminate_backend({target._connections.main().pid})"
        timer = threading.Timer(0.3, rows, (bascule_postgres_url, kill))
        timer.start()
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE t (i int)", "SELECT pg_sleep(30)"), lease=lease)
        timer.join()
        assert failure.value.kind == "lost"
        target.reconnect()
        assert lease.held()
        assert names_of(target) == []
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)
        assert names_of(target) == ["m"]


def test_reading_goes_on_by_itself_on_a_new_connection(bascule_postgres_url: str) -> None:
    with opened(bascule_postgres_url) as target:
        target.prepare()
        rows(bascule_postgres_url, f"SELECT pg_terminate_backend({target._connections.main().pid})")
        assert target.ledger() == []
        rows(bascule_postgres_url, f"SELECT pg_terminate_backend({target._connections.main().pid})")
        assert target.observe(Effect(action="drop_index", name="x")).state == "complete"


def test_nobody_reconnects_before_the_old_server_process_is_gone(bascule_postgres_url: str) -> None:
    """Its connection breaks in a way that the server does not notice; what it is at work on commits a second later."""
    with leased(bascule_postgres_url) as (target, lease):
        session = target._connections.main()
        unnoticed = "SELECT set_config('client_connection_check_interval', '0', true), pg_sleep(1)"
        hang_up = threading.Timer(0.4, wire.hang_up, (session.connection,))
        hang_up.start()
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE t (i int)", unnoticed), lease=lease)
        hang_up.join()
        assert failure.value.kind == "lost"
        target.reconnect()
        assert rows(bascule_postgres_url, f"SELECT 1 FROM pg_stat_activity WHERE pid = {session.pid}") == []
        assert names_of(target) == ["m"]


def test_a_crash_of_the_server_is_survived(bascule_postgres_bin: Path) -> None:
    with PostgresServer(bascule_postgres_bin) as server:
        url = server.create_database("crashing")
        with leased(url) as (target, lease):
            target.perform(job("CREATE TABLE a (i int)", name="first"), lease=lease)

            def crash() -> None:
                wait_for(lambda: rows(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
                server.crash()
                time.sleep(0.3)
                server.start()

            crashing = threading.Thread(target=crash)
            crashing.start()
            with pytest.raises(WorkFailed) as failure:
                target.perform(job("CREATE TABLE b (i int)", "SELECT pg_sleep(30)", name="second"), lease=lease)
            assert failure.value.kind == "lost"
            target.reconnect()
            crashing.join()
            assert lease.held()
            assert names_of(target) == ["first"]
            target.perform(job("CREATE TABLE b (i int)", name="second"), lease=lease)
            target.perform_bare(statement("CREATE INDEX CONCURRENTLY ix ON b (i)"), lease=lease, run_id="r")
            assert names_of(target) == ["first", "second"]


def test_a_server_that_stays_away_is_unreachable_in_the_end(bascule_postgres_bin: Path) -> None:
    limits = Limits(reconnect=0.5, lease_ttl=1)
    with PostgresServer(bascule_postgres_bin) as server, leased(server.url(), limits=limits) as (target, lease):
        server.stop("immediate")
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("SELECT 1"), lease=lease)
        assert failure.value.kind == "lost"
        begun = time.monotonic()
        with pytest.raises(TargetUnreachable):
            target.reconnect()
        assert 0.2 < time.monotonic() - begun < 5
        server.start()
        target.reconnect()
        assert lease.held()
        target.perform(job("SELECT 1"), lease=lease)
