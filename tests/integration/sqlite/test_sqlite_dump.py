# ruff: noqa: E501 - rows and definitions are easier to compare in one line
"""Dumps of SQLite come back as they were, and a restore is whole or has not been."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bascule.backups.encryption import Encryption, new_key
from bascule.backups.naming import new_backup_id
from bascule.databases.sqlite import copies
from bascule.databases.sqlite import restore as restoring
from bascule.databases.sqlite.dumper import SqliteDumper
from bascule.databases.sqlite.layout import create_tables
from bascule.errors import LockNotAvailable, Refused
from bascule.ports.dump import DumpRequest, Guard, Stored, words_of
from tests.integration.dumps import manifest_of, store_in, taken

SCHEMA = """
PRAGMA user_version = 7;
CREATE TABLE plain (id INTEGER PRIMARY KEY, t TEXT, n NUMERIC, b BLOB, r REAL);
INSERT INTO plain VALUES (1, 'it''s "x"' || char(10), 1, x'00ff', 1.0), (2, NULL, 1.0, x'', 9e999), (9, '', -0.0, NULL, 0.1);
CREATE TABLE "hostile""; drop table plain; --" ("select" TEXT, 'a''b' INT, [c d], "rowid" TEXT, PRIMARY KEY ("select", 'a''b')) WITHOUT ROWID;
INSERT INTO "hostile""; drop table plain; --" VALUES ('a', 1, 2, 'x'), ('a', 2, x'', 'y');
CREATE TABLE keyless (a, rowid, v TEXT GENERATED ALWAYS AS (a || '!') VIRTUAL, s TEXT GENERATED ALWAYS AS (a || '?') STORED);
INSERT INTO keyless (_rowid_, a, rowid) VALUES (7, 'seven', 1), (100, 'hundred', 2);
CREATE TABLE tree (id INTEGER PRIMARY KEY AUTOINCREMENT, up INT REFERENCES tree (id), label TEXT UNIQUE COLLATE NOCASE);
INSERT INTO tree (id, up, label) VALUES (1, NULL, 'root'), (2, 1, 'leaf'), (50, NULL, 'gone');
DELETE FROM tree WHERE id = 50;
CREATE INDEX tree_up ON tree (up) WHERE up IS NOT NULL;
CREATE TABLE outside (id INTEGER PRIMARY KEY, tree_id INT REFERENCES tree (id));
INSERT INTO outside VALUES (1, 2);
CREATE TRIGGER tree_tells BEFORE INSERT ON tree BEGIN SELECT raise(ABORT, 'no triggers while restoring'); END;
CREATE VIEW labels AS SELECT id, label FROM tree;
CREATE TRIGGER labels_are_written INSTEAD OF INSERT ON labels BEGIN SELECT 1; END;
CREATE TABLE hollow (x);
CREATE VIRTUAL TABLE words USING fts5(body);
INSERT INTO words VALUES ('quick brown fox');
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with everything in it, Bascule's own tables too."""
    path = tmp_path / "it's [a] database?.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA)
        create_tables(connection, identity="it")
    connection.close()
    return path


def script(path: Path) -> str:
    """What the sqlite3 program says is in the file but Bascule's own, and the numbers of rows that have them."""
    dump = subprocess.run(["sqlite3", path, ".dump"], capture_output=True, text=True, check=True).stdout
    numbers = execute(path, "SELECT group_concat(_rowid_) FROM keyless")
    attributes = execute(path, "PRAGMA user_version")
    lines = [line for line in dump.splitlines() if "bascule_" not in line and not line.startswith(("  ", ")"))]
    return "\n".join([*sorted(lines), str(numbers), str(attributes)])


def execute(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        rows: list[tuple[object, ...]] = []
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        return rows
    finally:
        connection.close()


def leftovers(path: Path) -> Sequence[Path]:
    """Copies beside it."""
    return [each for each in path.parent.iterdir() if "bascule-copy" in each.name]


@pytest.mark.parametrize("mode", ["delete", "wal", "persist"])
def test_a_whole_backup_is_verified_and_restored_to_another_file(tmp_path: Path, database: Path, mode: str) -> None:
    execute(database, f"PRAGMA journal_mode = {mode}")
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    verified = dumper.verify(Stored(manifest, store))
    assert verified.is_good
    assert verified.digests_compared
    assert verified.schema_proved
    dumper.restore_to(Stored(manifest, store), str(tmp_path / "other.db"))
    assert script(tmp_path / "other.db") == script(database)
    assert execute(tmp_path / "other.db", "PRAGMA journal_mode") == [("wal",) if mode == "wal" else ("delete",)]
    assert execute(tmp_path / "other.db", "SELECT count(*) FROM sqlite_master WHERE name LIKE 'bascule%'") == [(0,)]
    assert (tmp_path / "other.db").stat().st_mode & 0o077 == 0
    assert not leftovers(database)


def test_what_is_in_the_wal_only_is_in_the_backup(tmp_path: Path, database: Path) -> None:
    execute(database, "PRAGMA journal_mode = wal")
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("INSERT INTO plain VALUES (77, 'in the wal', 1, NULL, 2)")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO plain VALUES (78, 'not committed', 1, NULL, 2)")
    store = store_in(tmp_path)
    manifest = taken(SqliteDumper(str(database)), store)
    writer.close()
    SqliteDumper(str(database)).restore_to(Stored(manifest, store), str(tmp_path / "other.db"))
    assert execute(tmp_path / "other.db", "SELECT id FROM plain WHERE id > 70") == [(77,)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_whole_restore_keeps_bascules_state_and_what_was_made_since(
    tmp_path: Path, database: Path, mode: str
) -> None:
    execute(database, f"PRAGMA journal_mode = {mode}")
    before = script(database)
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    execute(
        database,
        "DELETE FROM plain",
        "DROP TABLE keyless",
        "ALTER TABLE tree ADD COLUMN more",
        "DROP VIEW labels",
        "CREATE TABLE newer (id INTEGER PRIMARY KEY, t)",
        "CREATE INDEX newer_t ON newer (t)",
        "INSERT INTO newer VALUES (5, 'since')",
        "UPDATE bascule_meta SET value = '12' WHERE key = 'token'",
    )
    restored = dumper.restore(Stored(manifest, store))
    assert restored.rows["plain"] == 3
    assert "newer was made since then, and was kept" in restored.notes
    assert execute(database, "SELECT * FROM newer") == [(5, "since")]
    assert execute(database, "SELECT value FROM bascule_meta WHERE key = 'token'") == [("12",)]
    execute(database, "DROP TABLE newer")
    assert script(database) == before
    assert execute(database, "PRAGMA integrity_check") == [("ok",)]


def test_single_tables_come_back_and_the_others_keep_what_was_written_since(tmp_path: Path, database: Path) -> None:
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    whole, some = taken(dumper, store), taken(dumper, store, tables=["tree", '"hostile""; drop table plain; --"'])
    before = script(database)
    assert dumper.verify(Stored(some, store)).is_good
    for manifest, tables in ((some, None), (whole, ["Tree", 'hostile"; drop table plain; --'])):
        execute(
            database,
            "DROP TABLE tree",
            "CREATE TABLE tree (other)",
            'DELETE FROM "hostile""; drop table plain; --"',
            "INSERT INTO hollow VALUES (1)",
        )
        dumper.restore(Stored(manifest, store), tables=tables)
        assert execute(database, "SELECT count(*) FROM hollow") == [(1,)]
        execute(database, "DELETE FROM hollow")
        assert script(database) == before
    execute(database, "INSERT INTO outside VALUES (2, 99)")
    execute(database, "DELETE FROM outside WHERE id = 2", "UPDATE outside SET tree_id = 1")
    with pytest.raises(Refused, match="no table"):
        dumper.restore(Stored(whole, store), tables=["unknown"])


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("scope", [None, ["keyed"]])
def test_what_others_have_made_since_stays_and_who_writes_meanwhile_stops_the_restore(
    tmp_path: Path, mode: str, scope: list[str] | None
) -> None:
    database = tmp_path / "app.db"
    execute(database, f"PRAGMA journal_mode = {mode}")
    execute(database, "CREATE TABLE keyed (id INTEGER PRIMARY KEY, t TEXT)", "INSERT INTO keyed VALUES (1, 'a')")
    execute(database, "CREATE TABLE log (x)")
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store, tables=scope)
    execute(database, "CREATE INDEX theirs ON keyed (t)", "CREATE INDEX ours ON keyed (id, t)")
    seen, words = dumper.digests(), words_of("create index ours on keyed (id, t)")
    execute(database, "INSERT INTO keyed VALUES (2, 'b')")
    guard = Guard(rows=seen, words=words, then=("INSERT INTO log VALUES (1)",))
    with pytest.raises(Refused, match="Somebody wrote to keyed"):
        dumper.restore(Stored(manifest, store), guard=guard)
    execute(database, "DELETE FROM keyed WHERE id = 2")
    dumper.restore(Stored(manifest, store), guard=guard)
    indexes = execute(database, "SELECT name FROM sqlite_master WHERE type = 'index'")
    assert (indexes, execute(database, "SELECT x FROM log")) == ([("theirs",)], [(1,)])
    execute(database, "ALTER TABLE keyed ADD more TEXT")
    told = ("keyed: its column more, which is not in the backup",)
    assert dumper.made_since(Stored(manifest, store), words=words) == told
    with pytest.raises(Refused, match="column more"):
        dumper.restore(Stored(manifest, store), guard=guard)
    assert dumper.made_since(Stored(manifest, store))[0] == "index theirs on keyed, not in the backup"


def test_a_write_between_look_and_lock_makes_a_whole_restore_begin_anew(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    execute(database, "CREATE TABLE newer (x)")
    carry, times = restoring._carry_over, []

    def written(*arguments: Any) -> Any:
        notes = carry(*arguments)
        times.append(1)
        if len(times) == 1:
            execute(database, "INSERT INTO newer VALUES (1)")
        return notes

    monkeypatch.setattr(restoring, "_carry_over", written)
    dumper.restore(Stored(manifest, store))
    assert (len(times), execute(database, "SELECT x FROM newer")) == (2, [(1,)])


def test_the_export_is_read_by_the_sqlite3_program(tmp_path: Path, database: Path) -> None:
    execute(database, "INSERT INTO plain VALUES (20, 'a' || char(0) || 'b', 3, NULL, -9e999)")
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    with (tmp_path / "script.sql").open("wb") as file:
        dumper.export(Stored(manifest, store), write=file.write)
    with (tmp_path / "script.sql").open("rb") as file:
        subprocess.run(["sqlite3", "-bail", tmp_path / "exported.db"], stdin=file, check=True, capture_output=True)
    assert script(tmp_path / "exported.db") == script(database)
    assert execute(tmp_path / "exported.db", "SELECT * FROM words WHERE words MATCH 'brown'")
    exported = SqliteDumper(str(tmp_path / "exported.db")).digests()
    assert exported == dumper.digests()


def test_an_encrypted_backup_needs_its_key(tmp_path: Path, database: Path) -> None:
    secret, recipient = new_key()
    keys = Encryption(recipients=(recipient,), identities=(secret,))
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store, encryption=keys)
    assert dumper.verify(Stored(manifest, store, keys)).is_good
    before = script(database)
    with pytest.raises(Refused) as refused:
        dumper.restore(Stored(manifest, store))
    assert refused.value.code == "backup_key_missing"
    assert script(database) == before


def test_a_damaged_stream_touches_nothing(tmp_path: Path, database: Path) -> None:
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    [stored] = (tmp_path / "store").rglob("*.zst")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    before = script(database)
    with pytest.raises(Refused) as refused:
        dumper.restore(Stored(manifest, store))
    assert refused.value.code == "backup_damaged"
    assert script(database) == before


def test_a_difference_is_told_with_its_column(tmp_path: Path, database: Path) -> None:
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    digests = dict(manifest.digests)
    digests["plain"] = replace(digests["plain"], columns={**digests["plain"].columns, "t": "0" * 16})
    [difference] = dumper.verify(Stored(replace(manifest, digests=digests), store, None)).differences
    assert (difference.table, difference.column) == ("plain", "t")


def test_without_digests_rows_are_counted_and_bytes_prove_the_values(tmp_path: Path, database: Path) -> None:
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    backup_id = new_backup_id(datetime.now(UTC))
    dumped = dumper.dump(DumpRequest(backup_id=backup_id, digests=False), store=store, encryption=None)
    manifest = manifest_of(dumped, backup_id, dialect="sqlite")
    now = dumper.digests()
    assert {name: digest.rows for name, digest in manifest.digests.items()} == {n: d.rows for n, d in now.items()}
    assert not any(digest.columns for digest in manifest.digests.values())
    verified = dumper.verify(Stored(manifest, store))
    assert (verified.is_good, verified.digests_compared) == (True, True)
    execute(database, "DELETE FROM plain")
    assert dumper.digests_of(Stored(manifest, store)) == now


def test_digests_tell_values_apart_that_compare_equal(database: Path) -> None:
    dumper = SqliteDumper(str(database))
    before = dumper.digests(["plain"])["plain"]
    for change in ("SET b = 'x' WHERE id = 1", "SET r = 2 WHERE id = 1", "SET t = x'' WHERE id = 9"):
        execute(database, f"UPDATE plain {change}")
        after = dumper.digests(["plain"])["plain"]
        column = change.split()[1]
        assert {name for name in after.columns if after.columns[name] != before.columns[name]} == {column}
        before = after


def test_text_that_is_no_utf8_is_kept_and_digested(tmp_path: Path, database: Path) -> None:
    execute(database, "UPDATE plain SET t = CAST(x'ff4e' AS TEXT)")
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    assert dumper.verify(Stored(manifest, store)).is_good
    execute(database, "UPDATE plain SET t = CAST(x'fe4e' AS TEXT)")
    assert dumper.digests(["plain"])["plain"] != manifest.digests["plain"]


def test_a_reader_that_does_not_let_go_ends_in_an_error_and_no_change(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("dump", "restore", "dumper"):
        monkeypatch.setattr(f"bascule.databases.sqlite.{module}._PATIENCE", 0.2)
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store)
    execute(database, "INSERT INTO hollow VALUES (1)")
    reader = sqlite3.connect(database, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM plain").fetchall()
    for tables in (None, ["plain"]):
        with pytest.raises(LockNotAvailable):
            dumper.restore(Stored(manifest, store), tables=tables)
    reader.close()
    assert execute(database, "SELECT * FROM hollow") == [(1,)]


_KILLED = """
import sys
from pathlib import Path
from tests.integration.dumps import manifest_of, store_in, taken
from bascule.backups.naming import new_backup_id
from bascule.databases.sqlite import copies
from bascule.databases.sqlite.dumper import SqliteDumper
import pickle
dumper = SqliteDumper(sys.argv[1])
store = store_in(Path(sys.argv[2]))
manifest = pickle.loads(Path(sys.argv[3]).read_bytes())
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[4] == "dump":
    taken(dumper, store)
else:
    dumper.restore(Stored(manifest, store), tables=sys.argv[5].split() or None)
"""


@pytest.mark.parametrize("what", ["dump ", "restore ", "restore big"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_killed_at_any_moment_the_database_is_as_before_or_restored(tmp_path: Path, what: str, mode: str) -> None:
    import pickle

    database = tmp_path / "app.db"
    execute(
        database,
        f"PRAGMA journal_mode = {mode}",
        "CREATE TABLE big (id INTEGER PRIMARY KEY, t TEXT)",
        "INSERT INTO big SELECT value, hex(randomblob(60)) FROM "
        "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 40000) SELECT * FROM n)",
        "CREATE INDEX big_t ON big (t)",
    )
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    old = dumper.digests()
    manifest = taken(dumper, store)
    (tmp_path / "manifest").write_bytes(pickle.dumps(manifest))
    execute(database, "UPDATE big SET t = t || 'x'")
    new = dumper.digests()
    doing, _, tables = what.partition(" ")
    command = [sys.executable, "-c", _KILLED, *map(str, (database, tmp_path, tmp_path / "manifest", doing, tables))]
    seen = set()
    for pause in (0.03, 0.08, 0.13, 0.2):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        now = dumper.digests()
        assert now in (old, new)
        seen.add(now == old)
        assert execute(database, "PRAGMA integrity_check") == [("ok",)]
        if now == old:
            execute(database, "UPDATE big SET t = t || 'x'")
        dumper.sweep()
        assert not leftovers(database)
    assert doing == "restore" or seen == {False}


def test_of_an_encrypted_backup_nothing_readable_comes_to_lie_beside_the_database(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database, "PRAGMA journal_mode = WAL")
    seen: list[Path] = []
    make = copies._made

    def made(path: Path, place: Path) -> tuple[Path, int]:
        folder, handle = make(path, place)
        seen.append(folder)
        return folder, handle

    monkeypatch.setattr(copies, "_made", made)
    identity, recipient = new_key()
    keys = Encryption(recipients=(recipient,), identities=(identity,))
    dumper, store = SqliteDumper(str(database)), store_in(tmp_path)
    manifest = taken(dumper, store, encryption=keys)
    assert dumper.verify(Stored(manifest, store, keys)).is_good
    before = dumper.digests()
    execute(database, "DELETE FROM plain")
    dumper.restore(Stored(manifest, store, keys))
    assert dumper.digests() == before
    assert len(seen) == 3
    assert all(copies.is_in_memory(folder) and not folder.exists() for folder in seen)
    # What a process that died has left there is found by the next one.
    folder, handle = make(database, copies._place(database, 0))
    os.close(handle)
    assert list(dumper.sweep()) == [folder.name]
    # Without room there it is refused; but what is put back comes to lie on the disk anyway.
    monkeypatch.setattr(copies, "_SPARE", 1 << 60)
    del seen[:]
    for work in (
        lambda: taken(dumper, store, encryption=keys),
        lambda: dumper.verify(Stored(manifest, store, keys)),
    ):
        with pytest.raises(Refused, match="no room") as refused:
            work()
        assert refused.value.code == "no_room_in_memory"
    assert seen == []
    dumper.restore(Stored(manifest, store, keys))
    assert seen.pop().parent == database.parent
