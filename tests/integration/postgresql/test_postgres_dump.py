"""Dumps of PostgreSQL come back as they were, and a restore is whole or has not been."""

from __future__ import annotations

import difflib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from bascule.backups.encryption import Encryption, new_key
from bascule.backups.stores.local import LocalStore
from bascule.databases.postgres import dump as dump_module
from bascule.databases.postgres import load, scratch
from bascule.databases.postgres.dumper import PostgresDumper
from bascule.databases.postgres.pg_tools import find_tools
from bascule.databases.postgres.tool_access import Access
from bascule.errors import LockNotAvailable, MigrationFailed, Refused
from bascule.ports.dump import Guard, Stored, words_of
from bascule.rollback.merging import look_sql, merge_sql, parents_first, references_sql, script_of
from bascule.testing.postgres import PostgresServer
from tests.integration.dumps import store_in, taken
from tests.integration.postgresql.hostile_schema import SCHEMA

HOSTILE = '"Odd ""schema""; drop table x"."Ta""ble; -- 😀"'


@pytest.fixture
def url(bascule_postgres_url: str) -> str:
    """A database with everything in it."""
    run(bascule_postgres_url, SCHEMA)
    return bascule_postgres_url


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty one."""
    return store_in(tmp_path)


@pytest.fixture
def other(bascule_postgres_server: PostgresServer, url: str) -> Iterator[tuple[str, str]]:
    """Name and address of a database that is not there yet."""
    name = f"other_{urlsplit(url).path[1:]}"
    yield name, url.replace(urlsplit(url).path, f"/{name}")
    bascule_postgres_server.drop_database(name)


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """The rows of the last."""
    rows: list[tuple[Any, ...]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


def script(url: str, *arguments: str) -> list[str]:
    """What pg_dump says is in the database, Bascule's own left out."""
    with psycopg.connect(url) as connection:
        tools, _ = find_tools(connection.info.server_version // 10000)
    command = [str(tools.pg_dump), "-d", url, "--exclude-schema=bascule", *arguments]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line for line in text.splitlines() if "restrict " not in line]


def changes(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Lines that differ."""
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def test_a_whole_backup_is_restored_to_another_database_as_it_was(
    url: str, store: LocalStore, other: tuple[str, str]
) -> None:
    run(url, "CREATE SCHEMA bascule; CREATE TABLE bascule.ledger (id int)")
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    assert not any("bascule" in table for table in manifest.tables)
    name, address = other
    restored = dumper.restore_to(Stored(manifest, store), name)
    assert restored.rows[HOSTILE] == 50
    assert changes(script(url), script(address)) == []
    with pytest.raises(Refused) as refused:
        dumper.restore_to(Stored(manifest, store), name)
    assert refused.value.code == "database_exists"
    assert dumper.sweep() == []


def test_a_backup_is_verified_by_restoring_it(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    verified = dumper.verify(Stored(taken(dumper, store), store, None))
    assert verified.is_good
    assert verified.schema_proved
    assert verified.digests_compared
    assert verified.rows == 469
    assert run(url, "SELECT datname FROM pg_database WHERE datname LIKE 'bascule%'") == []


def test_without_the_right_to_make_a_database_rows_are_verified_in_temporary_tables(
    url: str, store: LocalStore
) -> None:
    role = f"reader_{urlsplit(url).path[1:]}"
    run(url, f"CREATE ROLE {role} LOGIN; GRANT pg_read_all_data TO {role}; ALTER ROLE {role} BYPASSRLS")
    try:
        dumper = PostgresDumper(url.replace("postgres@", f"{role}@"))
        manifest = taken(dumper, store)
        verified = dumper.verify(Stored(manifest, store))
        assert verified.is_good
        assert not verified.schema_proved
        assert verified.rows == 469
        run(url, f"ALTER ROLE {role} NOBYPASSRLS")
        with pytest.raises(MigrationFailed, match="row-level security"):
            taken(dumper, store)
    finally:
        run(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_restore_in_place_undoes_what_was_done_to_tables_and_what_hangs_on_them(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    before = script(url)
    manifest = taken(dumper, store)
    dumper.restore(Stored(manifest, store))
    assert changes(before, script(url)) == []
    manifest = taken(dumper, store)
    run(
        url,
        "SET session_replication_role = replica; DELETE FROM tree WHERE id < 3; RESET session_replication_role",
        "DROP TABLE every_type CASCADE",
        "DROP VIEW deeper",
        "ALTER TABLE hollow RENAME TO solid",
        "DROP FUNCTION label_of",
        "ALTER TYPE mood ADD VALUE 'new'",
        f'ALTER TABLE {HOSTILE} DROP COLUMN "gen", ADD COLUMN more int',
        "CREATE TABLE newer (id int PRIMARY KEY)",
        "INSERT INTO newer VALUES (1)",
        "SELECT setval('tree_id_seq', 5000)",
    )
    restored = dumper.restore(Stored(manifest, store))
    assert restored.rows["public.tree"] == 3
    assert run(url, "TABLE newer") == [(1,)]
    run(url, "DROP TABLE newer")
    assert changes(before, script(url)) == []


def test_single_tables_come_back_and_the_others_keep_what_was_written_since(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    before = script(url)
    some = taken(dumper, store, tables=["tree", "measured_2026", HOSTILE])
    whole = taken(dumper, store)
    assert set(some.tables) == {
        "public.tree", "public.measured_2026", "public.measured_2026_1", "public.measured_2026_rest", HOSTILE,
    }  # fmt: skip
    assert dumper.verify(Stored(some, store)).is_good
    for manifest, tables in ((some, None), (whole, ["tree", "public.measured_2026", HOSTILE])):
        run(
            url,
            "SET session_replication_role = replica; DELETE FROM tree WHERE id = 1; RESET session_replication_role",
            "ALTER TABLE tree DROP COLUMN n, ADD COLUMN zz int DEFAULT 7",
            "DELETE FROM measured_2026",
            f"DROP TABLE {HOSTILE}",
            "INSERT INTO outside VALUES (7, 2)",
            "SELECT nextval('loose')",
        )
        dumper.restore(Stored(manifest, store), tables=tables)
        told = run(url, "DELETE FROM outside WHERE id = 7 RETURNING tree_id")
        assert told == [(2,)]
        # The sequence is the others' too: it does not go back.
        assert run(url, "SELECT last_value FROM loose")[0][0] > 745
        run(url, "SELECT setval('loose', 745)")
        assert changes(before, script(url)) == []


def test_what_others_have_made_on_a_table_stays_and_what_cannot_be_made_again_stops_the_restore(
    url: str, store: LocalStore
) -> None:
    dumper = PostgresDumper(url)
    run(url, "CREATE TABLE u (id int PRIMARY KEY, t int)", "INSERT INTO u VALUES (1, 1)", "CREATE TABLE log (x int)")
    backup = taken(dumper, store, tables=["u"])
    run(
        url,
        "CREATE INDEX theirs ON u (t)",
        "GRANT SELECT ON u TO public",
        "COMMENT ON TABLE u IS 'theirs'",
        "CREATE STATISTICS counted ON id, t FROM u",
        "ALTER TABLE u ADD UNIQUE (t)",
        "CREATE TABLE ref (id int REFERENCES u (t))",
        "CREATE TRIGGER same BEFORE UPDATE ON u FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE INDEX ours ON u (id)",
    )
    seen = dumper.digests(["u"])
    run(url, "UPDATE u SET t = 2")
    words = words_of("truncate t cascade; create index ours on u (id)")
    guard = Guard(rows=seen, words=words, then=("INSERT INTO log VALUES (1)",))
    with pytest.raises(Refused, match=r"Somebody wrote to public\.u"):
        dumper.restore(Stored(backup, store), guard=guard)
    run(url, "UPDATE u SET t = 1")
    before = script(url, "--table=u")
    dumper.restore(Stored(backup, store), guard=guard)
    assert {line.split()[2] for line in changes(before, script(url, "--table=u")) if "INDEX" in line} == {"ours"}
    assert run(url, "SELECT count(*) FROM log") == [(1,)]
    run(url, "ALTER TABLE u ADD more int DEFAULT 7")
    (told,) = dumper.made_since(Stored(backup, store), words=words)
    assert "more integer" in told
    with pytest.raises(Refused, match="more integer") as refused:
        dumper.restore(Stored(backup, store), guard=guard)
    assert refused.value.code == "newer_objects"
    failing = Guard(words=words, goes=frozenset((told,)), then=("INSERT INTO nowhere VALUES (1)",))
    with pytest.raises(MigrationFailed, match="nowhere"):
        dumper.restore(Stored(backup, store), guard=failing)
    assert run(url, "SELECT more FROM u") == [(7,)]


def test_old_rows_beside_are_merged_by_one_script_that_overwrites_nothing(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    run(
        url,
        "CREATE SCHEMA bascule",
        "CREATE TABLE p (id int PRIMARY KEY, a text, j json)",
        "CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE)",
        "CREATE TABLE lines (t text, j json)",
        "CREATE TABLE others (t text)",
        "INSERT INTO p VALUES (1, 'x', '{}'), (2, 'y', NULL)",
        "INSERT INTO c (p) VALUES (1), (2)",
        "INSERT INTO lines VALUES ('a', '1'), ('a', '1'), (NULL, NULL)",
        "INSERT INTO others VALUES ('0')",
    )
    backup = taken(dumper, store)
    run(url, "DELETE FROM p WHERE id = 1", "UPDATE p SET a = 'theirs'", "INSERT INTO p VALUES (3, 'new')")
    run(url, "DELETE FROM lines", "INSERT INTO lines VALUES ('a', '1')", "UPDATE others SET t = '100'")
    found = dumper.restore_beside(Stored(backup, store))
    pairs = [(str(child), str(parent)) for child, parent in run(url, references_sql("postgresql"))]
    ordered = parents_first(found, pairs)
    merges = [each for beside in ordered for each in merge_sql(beside, "postgresql")]
    statements = script_of(merges, [each.place for each in found], "postgresql")
    run(url, "".join(statements))
    assert run(url, "SELECT id, a FROM p ORDER BY id") == [(1, "x"), (2, "theirs"), (3, "new")]
    assert run(url, "SELECT id, p FROM c ORDER BY id") == [(1, 1), (2, 2)]
    assert run(url, "SELECT count(*) FROM lines") == [(3,)]
    assert run(url, "SELECT t FROM others") == [("100",)]
    assert run(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'bascule'") == [(0,)]
    # What fails takes nothing along.
    run(url, "DELETE FROM p WHERE id = 1", "ALTER TABLE p ADD CHECK (a <> 'x')")
    found = dumper.restore_beside(Stored(backup, store), tables=["p"])
    (beside,) = found
    looks = look_sql(beside, "postgresql", ["a"])
    assert [run(url, each) for each in looks] == [[(2, "y", "theirs")]]
    with pytest.raises(psycopg.errors.CheckViolation):
        run(url, "".join(script_of(merge_sql(beside, "postgresql"), [beside.place], "postgresql")))
    assert run(url, f"SELECT count(*) FROM {beside.place}") == [(2,)]


def test_a_row_elsewhere_that_would_be_left_without_its_parent_stops_the_restore(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store, tables=["tree"])
    run(
        url,
        "ALTER TABLE tree DISABLE TRIGGER tree_tells",
        "INSERT INTO tree (label) VALUES ('since')",
        "INSERT INTO outside SELECT 99, id FROM tree WHERE label = 'since'",
    )
    before = script(url)
    with pytest.raises(MigrationFailed, match="outside_tree_id_fkey") as failed:
        dumper.restore(Stored(manifest, store))
    assert failed.value.state == "unchanged"
    assert changes(before, script(url)) == []


def test_a_table_made_since_that_is_a_part_of_one_stops_the_restore(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store, tables=["measured"])
    run(url, "CREATE TABLE measured_2027 PARTITION OF measured FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")
    with pytest.raises(Refused, match="measured_2027") as refused:
        dumper.restore(Stored(manifest, store))
    assert refused.value.code == "restore_blocked"
    with pytest.raises(Refused, match="no table"):
        dumper.restore(Stored(manifest, store), tables=["unknown"])


def test_the_export_is_read_by_psql(
    bascule_postgres_server: PostgresServer, url: str, store: LocalStore, other: tuple[str, str], tmp_path: Path
) -> None:
    manifest = taken(PostgresDumper(url), store)
    with (tmp_path / "script.sql").open("wb") as file:
        PostgresDumper(url).export(Stored(manifest, store), write=file.write)
    name, address = other
    bascule_postgres_server.create_database(name)
    psql = [str(bascule_postgres_server.bin_dir / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-d", address]
    with (tmp_path / "script.sql").open("rb") as file:
        subprocess.run(psql, stdin=file, check=True, capture_output=True)
    assert changes(script(url), script(address)) == []


def test_large_tables_are_dumped_in_parts_by_processes(
    url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, "CREATE TABLE large (id int PRIMARY KEY, t text)")
    run(url, "INSERT INTO large SELECT g, repeat(md5(g::text), 3) FROM generate_series(1, 30000) g", "ANALYZE large")
    monkeypatch.setattr(dump_module, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(dump_module, "_SMALLEST_PART", 1 << 19)
    monkeypatch.setenv("BASCULE_BACKUP_KEY", "no worker gets to see it")
    secret, recipient = new_key()
    keys = Encryption(recipients=(recipient,), identities=(secret,))
    dumper = PostgresDumper(url, workers=2)
    manifest = taken(dumper, store, encryption=keys)
    parts = [stream for stream in manifest.streams if stream.table == "public.large"]
    assert len(parts) > 2
    assert sum(part.rows or 0 for part in parts) == 30000
    verified = dumper.verify(Stored(manifest, store, keys))
    assert verified.is_good
    assert dict(dumper.digests()) == dict(manifest.digests)
    with pytest.raises(Refused) as refused:
        dumper.restore(Stored(manifest, store))
    assert refused.value.code == "backup_key_missing"


def test_everything_in_a_dump_is_of_one_moment(url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run(url, "CREATE TABLE a (id int PRIMARY KEY, t text); CREATE TABLE b (id int PRIMARY KEY, t text)")
    run(url, *(f"INSERT INTO {table} SELECT g, repeat('x', 200) FROM generate_series(1, 20000) g" for table in "ab"))
    monkeypatch.setattr(dump_module, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(dump_module, "_SMALLEST_PART", 1 << 20)
    stop = threading.Event()

    def write() -> None:
        number = 100_000
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                number += 1
                connection.execute(f"BEGIN; INSERT INTO b VALUES ({number}); INSERT INTO a VALUES ({number}); COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        manifest = taken(PostgresDumper(url, workers=2), store)
    finally:
        stop.set()
        writer.join()
    assert manifest.digests["public.a"].rows == manifest.digests["public.b"].rows
    assert PostgresDumper(url).verify(Stored(manifest, store)).is_good


def test_a_difference_is_told_with_its_column(url: str, store: LocalStore) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    digests = dict(manifest.digests)
    tree = digests["public.tree"]
    digests["public.tree"] = replace(tree, columns={**tree.columns, "label": "0" * 16})
    [difference] = dumper.verify(Stored(replace(manifest, digests=digests), store, None)).differences
    assert (difference.table, difference.column) == ("public.tree", "label")


def test_without_digests_what_comes_out_is_compared_with_what_went_in(
    url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store, digests=False)
    assert not any(digest.columns for digest in manifest.digests.values())
    verified = dumper.verify(Stored(manifest, store))
    assert (verified.is_good, verified.digests_compared, verified.rows) == (True, True, 469)
    assert dumper.digests_of(Stored(manifest, store)) == dict(dumper.digests())
    load = scratch._load_all

    def spoilt(connections: Any, *rest: Any) -> Any:
        rows = load(connections, *rest)
        connections[0].execute("UPDATE public.tree SET label = 'lief' WHERE label = 'leaf'")
        connections[0].execute("UPDATE public.parent_t SET id = 3 - id, note = CASE id WHEN 1 THEN NULL ELSE 'p' END")
        return rows

    monkeypatch.setattr(scratch, "_load_all", spoilt)
    found = dumper.verify(Stored(manifest, store)).differences
    assert {(each.table, each.column) for each in found} == {
        ("public.tree", "label"), ("public.parent_t", "id"), ("public.parent_t", "note"),
        ("public.child_t", "id"), ("public.child_t", "note"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("UPDATE every_type SET n = 1.500 WHERE id = 2", "n"),
        ("UPDATE every_type SET iv = '60 days' WHERE id = 1", "iv"),
        ('UPDATE every_type SET j = \'{"a": 1, "a": 2}\' WHERE id = 1', "j"),
        ("UPDATE every_type SET by = '' WHERE id = 1", "by"),
        ("UPDATE every_type SET m = 'happy' WHERE id = 2", "m"),
        ("UPDATE every_type SET t = NULL WHERE id = 2", "t"),
        (
            "UPDATE ONLY parent_t SET note = CASE note WHEN 'p' THEN NULL ELSE 'p' END WHERE id <> 1 OR ctid = '(0,1)'",
            "",
        ),
    ],
)
def test_digests_see_what_compares_equal_and_what_changed_places(url: str, change: str, column: str) -> None:
    dumper = PostgresDumper(url)
    before = dumper.digests()
    run(url, change)
    after = dumper.digests()
    found = {
        name
        for table in before
        for name, digest in before[table].columns.items()
        if after[table].columns[name] != digest
    }
    assert found == {column}


def test_rights_are_as_they_were_whatever_new_tables_are_given(url: str, store: LocalStore) -> None:
    role = f"someone_{urlsplit(url).path[1:]}"
    run(url, f"CREATE ROLE {role}")
    try:
        run(url, f"GRANT INSERT ON tree TO {role}; ALTER TABLE hollow OWNER TO {role}")
        dumper = PostgresDumper(url)
        manifest = taken(dumper, store, tables=["tree", "hollow"])
        before = script(url)
        run(url, f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}")
        run(url, f"ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {role}")
        dumper.restore(Stored(manifest, store))
        run(url, f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM {role}")
        run(url, f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM {role}")
        assert changes(before, script(url)) == []
    finally:
        run(url, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_a_table_in_use_is_waited_for_and_then_left_alone(
    url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store, tables=["hollow"])
    run(url, "INSERT INTO hollow VALUES (1, 'since')")
    monkeypatch.setitem(load.RESTORE_SETTINGS, "lock_timeout", "200ms")
    with psycopg.connect(url) as reader:
        reader.execute("SELECT * FROM hollow")
        with pytest.raises(LockNotAvailable):
            dumper.restore(Stored(manifest, store))
    assert run(url, "TABLE hollow") == [(1, "since")]


def test_a_damaged_stream_touches_nothing(url: str, store: LocalStore, tmp_path: Path) -> None:
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    name = next(stream.name for stream in manifest.streams if "public.tree" in [each.table for each in stream.members])
    stored = tmp_path / "store" / manifest.id / f"{name}.zst"
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    before = script(url)
    for act in (dumper.restore, dumper.verify):
        with pytest.raises(Refused) as refused:
            act(Stored(manifest, store))
        assert refused.value.code == "backup_damaged"
    assert changes(before, script(url)) == []


def test_no_program_of_that_version_is_said_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        find_tools(16, folders=[tmp_path])
    assert refused.value.code == "backup_tools"
    assert "postgresql-client-16" in refused.value.hint


def test_a_newer_program_is_taken_only_after_a_round_trip(url: str, store: LocalStore) -> None:
    with psycopg.connect(url) as connection:
        major = connection.info.server_version // 10000
    newest, own = find_tools(18)
    assert own
    dumper = PostgresDumper(url)
    dumper._prove(newest)
    if major == 18:
        return
    dumper._tools = newest
    manifest = taken(dumper, store)
    assert dumper.verify(Stored(manifest, store)).is_good


def test_passwords_are_in_no_argument(
    bascule_postgres_bin: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    started = subprocess.Popen.__init__

    def noted(self: subprocess.Popen[Any], arguments: Any, *rest: Any, **named: Any) -> None:
        commands.append([str(each) for each in arguments])
        started(self, arguments, *rest, **named)

    monkeypatch.setattr(dump_module, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr("bascule.databases.postgres.dump_task.WORTH_PSQL", 1)
    with PostgresServer(bascule_postgres_bin, password="s3cr3t/ü") as server:
        url = server.create_database("app")
        run(url, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)")
        monkeypatch.setattr(subprocess.Popen, "__init__", noted)
        dumper = PostgresDumper(url, workers=2)
        manifest = taken(dumper, store)
        assert dumper.verify(Stored(manifest, store)).is_good
        assert any("pg_dump" in command[0] for command in commands)
        assert any("dump_worker" in " ".join(command) for command in commands)
        assert not any("s3cr3t" in part for command in commands for part in command)
        assert "s3cr3t" not in repr(manifest)
        assert "s3cr3t" in Access(url).environment()["PGPASSWORD"]


_DOING = """
import pickle, sys
from pathlib import Path
from bascule.databases.postgres import dump, dump_task
from bascule.databases.postgres.dumper import PostgresDumper
from tests.integration.dumps import store_in, taken
dump._WORTH_PROCESSES = 1
dumper = PostgresDumper(sys.argv[1], workers=2)
store = store_in(Path(sys.argv[2]))
manifest = pickle.loads(Path(sys.argv[3]).read_bytes())
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[4] == "dump":
    taken(dumper, store)
elif sys.argv[4] == "restore":
    dumper.restore(Stored(manifest, store))
elif sys.argv[4] == "verify":
    dumper.verify(Stored(manifest, store))
else:
    dumper.restore_to(Stored(manifest, store), sys.argv[4])
"""


@pytest.mark.parametrize("what", ["dump", "restore", "verify", "restored_elsewhere"])
def test_killed_at_any_moment_the_database_is_as_before_or_restored(
    bascule_postgres_url: str, store: LocalStore, tmp_path: Path, what: str
) -> None:
    url = bascule_postgres_url
    run(url, "CREATE TABLE big (id int PRIMARY KEY, t text); CREATE TABLE small (id int REFERENCES big)")
    run(url, "INSERT INTO big SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 60000) g")
    run(url, "INSERT INTO small VALUES (1); CREATE INDEX big_t ON big (t)")
    dumper = PostgresDumper(url)
    manifest = taken(dumper, store)
    old = dict(dumper.digests())
    (tmp_path / "manifest").write_bytes(pickle.dumps(manifest))
    change = "UPDATE big SET t = 'new' WHERE id < 100; ALTER TABLE small ADD COLUMN IF NOT EXISTS more int"
    run(url, change)
    new = dict(dumper.digests())
    name = f"elsewhere_{urlsplit(url).path[1:]}" if what == "restored_elsewhere" else what
    command = [sys.executable, "-c", _DOING, url, str(tmp_path), str(tmp_path / "manifest"), name]
    for pause in (0.05, 0.2, 0.4, 0.7):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        _wait_for_the_server(url)
        now = dict(dumper.digests())
        assert now == new or (what == "restore" and now == old)
        run(url, change)
        dumper.sweep()
        found = run(url, f"SELECT datname FROM pg_database WHERE datname LIKE 'bascule%' OR datname = '{name}'")
        if found == [(name,)]:
            # It got its name, so it is whole.
            there = PostgresDumper(url.replace(urlsplit(url).path, f"/{name}"))
            assert dict(there.digests()) == old
            run(url, f"DROP DATABASE {name}")
        else:
            assert found == []


def test_a_killed_worker_ends_the_dump_with_an_error(
    url: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, "CREATE TABLE large (id int, t text)")
    run(url, "INSERT INTO large SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 30000) g")
    monkeypatch.setattr(dump_module, "_WORTH_PROCESSES", 1)
    started = subprocess.Popen.__init__

    def shot(self: subprocess.Popen[Any], arguments: Any, *rest: Any, **named: Any) -> None:
        started(self, arguments, *rest, **named)
        if "bascule.databases.postgres.dump_worker" in [str(each) for each in arguments]:
            threading.Timer(0.05, self.kill).start()

    monkeypatch.setattr(subprocess.Popen, "__init__", shot)
    before = script(url, "--schema-only")
    with pytest.raises(MigrationFailed, match="ended by itself") as failed:
        taken(PostgresDumper(url, workers=2), store)
    assert failed.value.code == "dump_failed"
    assert changes(before, script(url, "--schema-only")) == []


def _wait_for_the_server(url: str) -> None:
    """Until it has noticed that its client is gone."""
    for _ in range(200):
        busy = run(url, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'bascule backup%'")
        if len(busy) == 0:
            return
        time.sleep(0.05)
    raise AssertionError("a session of a killed client goes on")
