"""Backups by the command line, on SQLite and on PostgreSQL: taken, listed, proved, restored, exported, given up."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from bascule import Bascule
from bascule.backups.encryption import new_key
from bascule.domain.backup import FORMAT
from bascule.errors import Refused
from tests.acceptance.beginnings import begin
from tests.acceptance.commandline import BASCULE, Answer, Project
from tests.conformance.s3_server import CREDENTIALS, new_bucket, s3_server

USERS = "20240101000000_add_users"
MORE = "20240102000000_add_orders"
DROP = "20240103000000_drop_users"


class Place:
    """A project and its database, whichever it is."""

    def __init__(self, project: Project, url: str) -> None:
        self.project, self.url = project, url

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def sql(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run it, and answer its rows."""
        url = url or self.url
        if url.startswith("sqlite"):
            connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            try:
                return connection.execute(statement).fetchall()
            finally:
                connection.close()
        with psycopg.connect(url, autocommit=True) as server:
            cursor = server.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def users(self, url: str | None = None) -> list[tuple[Any, ...]]:
        return self.sql("select id, name from users order by id", url)

    def create(self, *arguments: str) -> Any:
        return self.project.well("backup", "create", "--json", *arguments).json

    def listed(self) -> Any:
        return self.project.well("backup", "list", "--json").json

    def another(self, name: str) -> str:
        """Address of a database that is not there."""
        if self.is_sqlite:
            return f"sqlite:///{self.project.folder}/{name}.db"
        return self.url.rpartition("/")[0] + f"/{urlsplit(self.url).path[1:]}_{name}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        url, server = f"sqlite:///{tmp_path}/app.db", None
    else:
        url, server = (request.getfixturevalue(f"bascule_postgres_{what}") for what in ("url", "server"))
    project = Project(tmp_path, DATABASE_URL=url)
    place = Place(project, url)

    def users_and_orders() -> None:
        project.write(USERS, "create table users (id integer primary key, name text);", "drop table users;")
        project.write(MORE, "create table orders (id integer primary key);", "drop table orders;")
        project.well("up")
        place.sql("insert into users values (1, 'ann'), (2, 'bob')")
        place.sql("insert into orders values (7)")

    begin(project, "users and orders", users_and_orders, server=server)
    yield place
    if not place.is_sqlite:
        with psycopg.connect(url, autocommit=True) as server:
            for (name,) in server.execute(
                "select datname from pg_database where datname like current_database() || '\\_%'"
            ).fetchall():
                server.execute(f'drop database "{name}" with (force)')


def folder_of(backup: Any) -> Path:
    return Path(backup["backupPath"])


def streams(backup: Any) -> list[Path]:
    return sorted(each for each in folder_of(backup).rglob("*") if each.is_file() and each.name != "manifest.json")


def refused(answer: Answer, code: str) -> None:
    assert answer.code == 3, answer
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["state"] == "unchanged"


def test_a_backup_is_taken_proved_listed_and_restored(place: Place) -> None:
    backup = place.create()
    assert backup["scope"] == "database"
    assert backup["verified"] is True
    assert backup["size"] > 0
    assert folder_of(backup).parent == place.project.folder / "database-backups"
    assert {path.stat().st_mode & 0o777 for path in folder_of(backup).rglob("*") if path.is_file()} == {0o600}
    (line,) = place.listed()
    assert (line["id"], line["verified"], line["until"]) == (backup["id"], True, backup["until"])
    shown = place.project.well("backup", "list").out
    assert "what was written later is not in it" in shown
    place.sql("delete from users where id = 1")
    place.sql("insert into orders values (8)")
    back = place.project.well("backup", "restore", backup["id"], "--yes", "--json")
    assert "what was written later is not in it" in back.err
    assert any("users" in words for words in back.json["data"]["replaced"])
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert place.sql("select id from orders") == [(7,)]
    assert place.project.names() == {USERS, MORE}


def test_newer_rows_go_only_where_that_was_accepted(place: Place) -> None:
    backup = place.create("--table", "users")
    assert backup["scope"] == "tables"
    place.sql("insert into users values (3, 'cem')")
    answer = place.project.run("backup", "restore", backup["id"], "--json")
    refused(answer, "newer_rows")
    assert "3 rows now, 2 in the backup" in answer.json["message"]
    assert len(place.users()) == 3
    place.sql("delete from users where id = 3")
    # Nothing is newer any more, so there is nothing to accept.
    place.project.well("backup", "restore", backup["id"])
    place.sql("update orders set id = 9")
    place.sql("update users set name = 'eve' where id = 2")
    place.project.well("backup", "restore", str(folder_of(backup)), "--table", "users", "--yes")
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert place.sql("select id from orders") == [(9,)]


def test_a_backup_becomes_another_database(place: Place) -> None:
    backup = place.create()
    other = place.another("copy")
    answer = place.project.well("backup", "restore", backup["id"], "--to", other, "--json").json
    assert sum(answer["data"]["rows"].values()) == 3
    assert place.users(other) == [(1, "ann"), (2, "bob")]
    again = place.project.run("backup", "restore", backup["id"], "--to", other, "--json")
    refused(again, "database_exists")


def test_an_export_is_restored_without_us(place: Place, tmp_path: Path) -> None:
    backup = place.create()
    out = tmp_path / "dump.sql"
    place.project.well("backup", "export", backup["id"], "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    assert place.project.well("backup", "export", backup["id"]).out == out.read_text()
    refused(place.project.run("backup", "export", backup["id"], "--out", str(out), "--json"), "file_exists")
    if place.is_sqlite:
        connection = sqlite3.connect(":memory:")
        connection.executescript(out.read_text())
        assert connection.execute("select name from users order by id").fetchall() == [("ann",), ("bob",)]
        connection.close()
    else:
        assert "COPY public.users" in out.read_text()


def test_the_automatic_backup_brings_back_what_a_migration_dropped(place: Place) -> None:
    place.project.write(DROP, "drop table users;", None)
    up = place.project.well("up", "--yes", "--json")
    (run,) = up.json["data"]
    (backup,) = place.listed()
    assert run["backupPath"] == backup["backupPath"]
    assert (backup["scope"], backup["verified"], backup["wayBackOf"]) == ("tables", True, [DROP])
    assert [name.rpartition(".")[2] for name in backup["tables"]] == ["users"]
    back = place.project.well("rollback", "--backup", run["backupPath"], "--json")
    (undone,) = back.json["data"]
    assert (undone["name"], undone["status"], undone["verdict"]) == (DROP, "rolled_back", "exact")
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert place.project.names() == {USERS, MORE}
    assert place.project.well("history", "--json").json[0]["status"] == "rolled_back"


def test_what_destroys_nothing_takes_no_backup(place: Place) -> None:
    place.project.write(DROP, "create table fresh (id integer);", "drop table fresh;")
    up = place.project.well("up", "--json")
    assert up.json["data"][0]["backupPath"] is None
    # The table is empty, so its end destroys nothing either.
    back = place.project.well("rollback", "--json")
    assert back.json["data"][0]["backupPath"] is None
    assert place.listed() == []
    assert not (place.project.folder / "database-backups").exists()


def test_a_rollback_backs_up_what_its_down_script_throws_away(place: Place) -> None:
    back = place.project.well("rollback", "--yes", "--json")
    (backup,) = place.listed()
    assert back.json["data"][0]["backupPath"] == backup["backupPath"]
    place.project.well("backup", "restore", backup["id"])
    assert place.sql("select id from orders") == [(7,)]


def test_what_its_author_wants_kept_nowhere_is_in_no_backup(place: Place) -> None:
    erase = "-- bascule: no-preimage ann asked to be forgotten\ndelete from users where id = 1;"
    place.project.write(DROP, f"{erase}\ndelete from orders;", "select 1;")
    said = place.project.well("up", "--yes", "--json").err
    assert "Not in a backup, as its author wants" in said
    assert "ann asked to be forgotten" in said
    (line,) = place.listed()
    assert [table.rpartition(".")[2] for table in line["tables"]] == ["orders"]
    place.project.write("20240104000000_more", f"{erase.replace('1', '2')}\nupdate users set name = 'x';", "select 1;")
    said = place.project.well("up", "--yes", "--json").err
    assert "holds what is to be kept nowhere" in said
    place.project.write("20240105000000_all", "-- bascule: no-preimage law\ndelete from users;", "select 1;")
    place.project.well("up", "--yes")
    assert len(place.listed()) == 2


def test_no_backup_says_nothing_and_takes_none(place: Place) -> None:
    place.project.write(DROP, "delete from users;", "select 1;")
    up = place.project.well("up", "--yes", "--no-backup", "--json")
    assert "changes nothing" not in up.err
    assert up.json["data"][0]["backupPath"] is None
    place.project.well("rollback", "--yes")
    place.sql("insert into users values (5, 'eva')")
    place.project.well("up", "--yes", MIGRATION_BACKUP_ENABLED="false")
    assert place.listed() == []


def test_a_plan_scopes_a_backup_by_hand(place: Place) -> None:
    nothing = place.project.well("backup", "create", "--plan", "--json").json
    assert nothing["id"] is None
    place.project.write(DROP, "update users set name = upper(name);", "select 1;")
    scoped = place.create("--plan")
    assert [name.rpartition(".")[2] for name in scoped["tables"]] == ["users"]


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "manifest"])
def test_a_damaged_backup_is_found_and_touches_nothing(place: Place, damage: str) -> None:
    backup = place.create()
    victim = streams(backup)[-1] if damage != "manifest" else folder_of(backup) / "manifest.json"
    content = bytearray(victim.read_bytes())
    if damage == "gone":
        victim.unlink()
    elif damage == "cut":
        victim.write_bytes(content[:-3])
    else:
        content[len(content) // 2] ^= 4
        victim.write_bytes(content)
    place.sql("delete from users")
    answer = place.project.run("backup", "restore", backup["id"], "--yes", "--json")
    assert answer.code == 3
    assert answer.json["error"]["code"] in ("backup_damaged", "backup_truncated", "backup_missing", "backup_replaced")
    assert place.users() == []
    checked = place.project.run("backup", "verify", "--json")
    assert checked.code == 3
    assert checked.json["data"][0]["good"] is False
    (line,) = place.listed()
    assert line["verified"] is False
    assert line["problem"]


def test_an_exchanged_manifest_is_found_by_the_journal(place: Place) -> None:
    first, second = place.create(), place.create()
    written = (folder_of(second) / "manifest.json").read_text().replace(second["id"], first["id"])
    document = json.loads(written)["manifest"]
    import hashlib

    body = json.dumps(document, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    whole = f'{{"manifest":{body},"sha256":"{hashlib.sha256(body.encode()).hexdigest()}"}}\n'
    (folder_of(first) / "manifest.json").write_text(whole)
    refused(place.project.run("backup", "restore", first["id"], "--yes", "--json"), "backup_replaced")


def test_a_newer_format_is_left_to_the_version_that_wrote_it(place: Place) -> None:
    backup = place.create()
    manifest = folder_of(backup) / "manifest.json"
    newer = manifest.read_text().replace(f'"format":{FORMAT}', '"format":99')
    assert '"format":99' in newer
    manifest.write_text(newer)
    refused(place.project.run("backup", "restore", backup["id"], "--yes", "--json"), "backup_newer_format")


def test_a_backup_of_another_target_needs_to_be_meant(place: Place, tmp_path: Path) -> None:
    backup = place.create()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    url = place.another("other")
    if not place.is_sqlite:
        with psycopg.connect(place.url, autocommit=True) as server:
            server.execute(f'create database "{urlsplit(url).path[1:]}"')
    store = str(folder_of(backup).parent)
    other = Project(folder, DATABASE_URL=url, MIGRATION_BACKUP_DIR=store)
    other.write(USERS, "create table users (id integer primary key, name text);", "drop table users;")
    other.well("up")
    refused(other.run("backup", "restore", backup["id"], "--yes", "--json"), "backup_foreign")
    assert "of another target" in other.well("backup", "list").out
    other.well("backup", "restore", backup["id"], "--foreign", "--yes")
    assert place.users(url) == [(1, "ann"), (2, "bob")]


@pytest.mark.parametrize("given", ["/etc/passwd", "../../etc", "20240101T000000Z-0000000000000000", "nonsense"])
def test_a_path_stays_inside_the_store(place: Place, given: str) -> None:
    place.create()
    for arguments in (("backup", "restore", given), ("rollback", "--backup", given), ("backup", "verify", given)):
        answer = place.project.run(*arguments, "--yes", "--json")
        assert answer.code == 3, answer
        assert answer.json["error"]["code"] in ("backup_path", "backup_missing")


def test_encrypted_backups_open_with_their_key_alone(place: Place, tmp_path: Path) -> None:
    secret, recipient = new_key()
    key = tmp_path / "key"
    key.write_text(secret)
    key.chmod(0o600)
    place.sql("update users set name = 'a-name-to-look-for'")
    with_key = {"BASCULE_BACKUP_KEY_FILE": str(key)}
    backup = place.project.well("backup", "create", "--json", **with_key).json
    assert (backup["encrypted"], backup["verified"]) == (True, True)
    stored = b"".join(path.read_bytes() for path in folder_of(backup).rglob("*") if path.is_file())
    assert b"a-name-to-look-for" not in stored
    # A machine that has the public key alone takes backups, and says that it cannot prove them.
    blind = place.project.well("backup", "create", "--json", BASCULE_BACKUP_RECIPIENT=recipient).json
    assert (blind["verified"], blind["verification"]) == (False, "hashes")
    place.sql("delete from users")
    refused(place.project.run("backup", "restore", backup["id"], "--yes", "--json"), "backup_key_missing")
    wrong = place.project.run("backup", "restore", backup["id"], "--yes", "--json", BASCULE_BACKUP_KEY=new_key()[0])
    refused(wrong, "backup_key_wrong")
    # A key that does not fit says nothing of the backup.
    unread = place.project.run("backup", "verify", "--json", BASCULE_BACKUP_KEY=new_key()[0])
    assert (unread.code, unread.json["data"][0]["unread"]) == (3, True)
    assert "NOT GOOD" not in place.project.well("backup", "list", **with_key).out
    place.project.well("backup", "restore", backup["id"], "--yes", **with_key)
    assert place.users()[0] == (1, "a-name-to-look-for")
    key.chmod(0o644)
    exposed = place.project.run("backup", "create", "--json", **with_key)
    assert (exposed.code, exposed.json["error"]["code"]) == (2, "backup_key_exposed")
    assert secret not in exposed.out + exposed.err


def test_a_drill_measures_a_restore_and_remembers_it(place: Place) -> None:
    answer = place.project.run("backup", "drill", "--json")
    refused(answer, "backup_missing")
    place.create()
    first = place.project.well("backup", "drill", "--json").json["data"]
    assert (first["good"], first["rows"], first["before"]) == (True, 3, [])
    second = place.project.well("backup", "drill", "--json").json["data"]
    assert second["before"] == [first["seconds"]]


def test_retention_keeps_the_way_back_and_the_last_verified(place: Place) -> None:
    place.project.write(DROP, "delete from users;", "select 1;")
    place.project.well("up", "--yes")
    kept = place.listed()[0]["id"]
    later = [place.create()["id"] for _ in range(3)]
    would = place.project.well("backup", "prune", "--dry-run", "--json").json["data"]
    assert would["removed"] == []
    place.project.folder.joinpath("bascule.toml").write_text("[backup]\nmax_count = 1\n")
    pruned = place.project.well("backup", "prune", "--json").json["data"]
    assert [each["id"] for each in pruned["removed"]] == later[:-1]
    assert [line["id"] for line in place.listed()] == [kept, later[-1]]


def test_prune_throws_away_what_was_kept_long_enough(place: Place) -> None:
    place.project.write(DROP, "alter table users drop column name;", "alter table users add column name text;")
    place.project.well("up", "--yes")
    assert place.project.well("backup", "prune", "--json").json["data"]["preimages"] == 0
    over = {"MIGRATION_PREIMAGE_RETENTION": "0.0000001"}
    dry = place.project.well("backup", "prune", "--dry-run", "--json", **over).json["data"]
    assert (dry["preimages"], dry["dryRun"]) == (1, True)
    assert "1 pre-image removed" in place.project.well("backup", "prune", **over).out
    assert place.project.well("backup", "prune", "--json", **over).json["data"]["preimages"] == 0


def test_a_backup_that_failed_since_is_no_reason_to_give_up_a_good_one(place: Place) -> None:
    good, later = place.create()["id"], place.create()
    victim = streams(later)[0]
    victim.write_bytes(victim.read_bytes()[:-1])
    assert place.project.run("backup", "verify", later["id"]).code == 3
    place.project.folder.joinpath("bascule.toml").write_text("[backup]\nmax_count = 1\n")
    place.project.well("backup", "prune")
    assert good in {line["id"] for line in place.listed()}


def test_where_the_store_takes_nothing_nothing_starts(place: Place) -> None:
    place.project.write(DROP, "drop table users;", None)
    # The store is a file, where a folder is needed: the simplest store that takes nothing.
    blocked = place.project.folder / "blocked"
    blocked.write_text("")
    answer = place.project.run("up", "--yes", "--json", MIGRATION_BACKUP_DIR=str(blocked / "store"))
    assert answer.code == 1
    assert "so nothing was started" in answer.json["message"]
    assert answer.json["error"]["state"] == "unchanged"
    assert "--no-backup" in answer.json["error"]["hint"]
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert place.project.names() == {USERS, MORE}


def test_a_disk_without_room_stops_the_run_before_it_begins(place: Place) -> None:
    place.project.write(DROP, "drop table users;", None)
    full = (
        "import os, sys\n"
        "from bascule.backups.stores import local\n"
        "local.LocalStore.free_bytes = lambda self: 10\n"
        "from bascule.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [BASCULE[0], "-c", full, "up", "--yes", "--json"],
        cwd=place.project.folder,
        env=place.project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]["code"]) == (1, "backup_no_room")
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert place.listed() == []


def test_a_backup_that_cannot_be_proved_stops_the_run_before_it_begins(place: Place) -> None:
    place.project.write(DROP, "drop table users;", None)
    # A disk that gives back something else than it was given.
    bad_disk = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bascule.services import backup_create\n"
        "proof = backup_create.verify_one\n"
        "def verify_one(context, backups, backup_id, known, identity):\n"
        "    folder = Path('database-backups', backup_id)\n"
        "    stored = max((each for each in folder.rglob('*.zst')), key=lambda each: each.stat().st_size)\n"
        "    content = bytearray(stored.read_bytes())\n"
        "    content[len(content) // 2] ^= 1\n"
        "    stored.write_bytes(content)\n"
        "    return proof(context, backups, backup_id, known, identity)\n"
        "backup_create.verify_one = verify_one\n"
        "from bascule.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [BASCULE[0], "-c", bad_disk, "up", "--yes", "--json"],
        cwd=place.project.folder,
        env=place.project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]["code"]) == (1, "backup_unverified")
    assert "nothing was started" in document["message"]
    assert document["error"]["state"] == "unchanged"
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert place.project.names() == {USERS, MORE}
    (line,) = place.listed()
    assert (line["verified"], line["wayBackOf"]) == (False, [DROP])
    assert "NOT GOOD" in place.project.well("backup", "list").out


def killed(project: Project, arguments: Sequence[str], after: float) -> None:
    """Start it, and kill it and its children that long after."""
    process = subprocess.Popen(
        [*BASCULE, *arguments],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("after", [0.15, 0.3, 0.6])
def test_killed_while_it_is_taken_a_backup_is_none(place: Place, after: float) -> None:
    place.sql("insert into orders values (100), (101), (102)")
    killed(place.project, ("backup", "create"), after)
    before = place.users()
    backup = place.create()
    # One that was killed has no manifest and is no backup; or it was whole, and the journal may not know that.
    assert all(line["problem"] is None for line in place.listed())
    place.project.well("backup", "prune")
    place.project.well("backup", "verify", "--mode", "hashes")
    place.project.well("backup", "restore", backup["id"], "--yes")
    assert place.users() == before
    if not place.is_sqlite:
        assert place.sql("select datname from pg_database where datname like 'bascule\\_scratch\\_%'") == []


@pytest.mark.parametrize("after", [0.2, 0.35, 0.5])
def test_killed_while_it_is_restored_the_target_is_as_it_was_or_whole(place: Place, after: float) -> None:
    backup = place.create()
    place.sql("delete from users where id = 2")
    killed(place.project, ("backup", "restore", backup["id"], "--yes"), after)
    assert place.users() in ([(1, "ann")], [(1, "ann"), (2, "bob")])
    place.project.well("backup", "restore", backup["id"], "--yes", "--lock-wait", "30")
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert place.project.names() == {USERS, MORE}


@pytest.mark.parametrize("after", [0.3, 0.45])
def test_killed_on_the_way_back_by_a_backup_ledger_and_rows_say_the_same(place: Place, after: float) -> None:
    place.project.write(DROP, "delete from users;", "select 1;")
    place.project.well("up", "--yes")
    (line,) = place.listed()
    way = ("rollback", "--backup", line["id"], "--yes")
    killed(place.project, way, after)
    undone = place.users() != []
    assert undone == (DROP not in place.project.names())
    if not undone:
        place.project.well(*way, "--lock-wait", "30")
    assert (place.project.names(), place.users()) == ({USERS, MORE}, [(1, "ann"), (2, "bob")])


def test_what_was_made_on_a_table_since_is_said_before_it_goes(place: Place) -> None:
    backup = place.create()
    place.sql("create index theirs on users (name)")
    command = ("backup", "restore", backup["id"], "--table", "users")
    answer = place.project.run(*command, "--json")
    refused(answer, "newer_rows")
    assert "index theirs on " in answer.json["error"]["newer"][0]
    assert place.project.well(*command, "--yes", "--json").json["data"]["replaced"] == answer.json["error"]["newer"]
    place.project.well(*command)


def test_python_takes_and_restores_backups_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.project.folder)
    events: list[str] = []
    bascule = Bascule(url=place.url, migrations_dir=place.project.folder / "migrations", say=lambda words: None)
    bascule.subscribe(lambda event: events.append(event.name), "migration.backup_*")
    line = bascule.backups.create(["users"])
    assert events == ["migration.backup_created", "migration.backup_verified"]
    place.sql("delete from users")
    with pytest.raises(Refused) as refusal:
        bascule.backups.restore(line.entry.id)
    assert refusal.value.code == "newer_rows"
    assert bascule.backups.restore(line.path, accept_newer=True).goes
    assert [each.good for each in bascule.backups.verify()] == [True]
    place.project.write(DROP, "delete from users where id = 2;", "select 1;")
    run = bascule.migrations.execute_migration("drop_users", create_backup=True)
    assert run.backup_path is not None
    undone = bascule.migrations.rollback_migration("drop_users", run.backup_path, accept_data_loss=True)
    assert (undone.status, undone.backup_path) == ("rolled_back", run.backup_path)
    assert place.users() == [(1, "ann"), (2, "bob")]
    assert bascule.migrations.execute_migration("drop_users", create_backup=False).backup_path is None
    assert len(bascule.backups.list()) == 3


def test_a_backup_leads_back_behind_what_came_after_it_and_nothing_else(place: Place) -> None:
    before = place.create()
    place.project.write(DROP, "update users set name = 'x';", "select 1;")
    place.project.well("up", "--yes")
    after = place.create()
    refused(place.project.run("rollback", "--backup", after["id"], "--yes", "--json"), "backup_too_late")
    place.project.write("20240104000000_last", "update users set name = 'y';", "select 1;")
    place.project.well("up", "--yes")
    refused(place.project.run("rollback", "--backup", before["id"], "--yes", "--json"), "backup_too_early")
    assert place.users() == [(1, "y"), (2, "y")]
    both = place.project.well("rollback", "--steps", "2", "--backup", before["id"], "--yes", "--json").json["data"]
    assert [run["status"] for run in both] == ["rolled_back", "rolled_back"]
    assert place.users() == [(1, "ann"), (2, "bob")]


def test_doctor_tells_where_backups_go(place: Place) -> None:
    checks = {check["name"]: check for check in place.project.well("doctor", "--json").json["checks"]}
    assert str(place.project.folder / "database-backups") in checks["backups"]["message"]
    if not place.is_sqlite:
        assert "pg_dump" in checks["backup tools"]["message"]


@pytest.mark.postgresql
def test_without_pg_dump_what_destroys_is_refused_with_what_to_install(
    tmp_path: Path, bascule_postgres_url: str
) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(USERS, "create table users (id integer primary key);\ninsert into users values (1);", None)
    project.well("up", "--yes")
    project.write(DROP, "drop table users;", None)
    none_there = (
        "import sys\n"
        "from bascule.databases.postgres import pg_tools\n"
        "pg_tools._folders = lambda: iter(())\n"
        "from bascule.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [BASCULE[0], "-c", none_there, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=project.environment, capture_output=True, text=True, check=False
        )

    done = run("up", "--yes", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]["code"]) == (3, "backup_tools")
    assert "postgresql-client" in document["error"]["hint"]
    assert "--no-backup" in document["error"]["hint"]
    assert project.names() == {USERS}
    assert run("up", "--yes", "--no-backup").returncode == 0


@pytest.mark.postgresql
def test_cascades_and_triggers_widen_the_backup(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(
        USERS,
        "create table parents (id integer primary key);\n"
        "create table children (parent integer references parents on delete cascade);\n"
        "create table apart (id integer);\n"
        "insert into parents values (1); insert into children values (1); insert into apart values (1);",
        None,
    )
    project.well("up", "--yes")
    project.write(MORE, "delete from parents;", None)
    project.well("up", "--yes")
    place = Place(project, bascule_postgres_url)
    assert place.listed()[0]["tables"] == ["public.children", "public.parents"]
    assert place.listed()[0]["scope"] == "tables"
    place.sql("insert into parents values (2); insert into children values (2); alter table parents add note text")
    project.write("20240102500000_forget", "alter table parents drop column note;", None)
    project.well("up", "--yes")
    # Rows that refer to a table stay when it loses a column.
    assert place.listed()[1]["tables"] == ["public.parents"]
    place.sql("create function f() returns trigger language plpgsql as 'begin delete from parents; return new; end'")
    place.sql("create trigger t after update on apart for each row execute function f()")
    project.write(DROP, "update apart set id = 2;", None)
    project.well("up", "--yes")
    assert place.listed()[2]["scope"] == "database"


def test_a_bucket_keeps_backups_as_a_folder_does(place: Place) -> None:
    with s3_server() as endpoint:
        bucket = new_bucket(endpoint)
        where = {
            **CREDENTIALS,
            "MIGRATION_BACKUP_STORE": f"s3://{bucket}/shop?endpoint={endpoint}",
            "BASCULE_BACKUP_KEY": new_key()[0],
        }
        backup = place.project.well("backup", "create", "--json", **where).json
        assert backup["backupPath"] == f"s3://{bucket}/shop/{backup['id']}"
        assert (backup["verified"], backup["encrypted"]) == (True, True)
        place.project.write(DROP, "delete from users;", "select 1;")
        run = place.project.well("up", "--yes", "--json", **where).json["data"][0]
        assert run["backupPath"].startswith(f"s3://{bucket}/shop/")
        place.project.well("rollback", "--backup", run["backupPath"], "--yes", **where)
        assert place.users() == [(1, "ann"), (2, "bob")]
        place.project.well("backup", "verify", **where)
        elsewhere = place.project.run("backup", "restore", f"s3://other/{backup['id']}", "--json", **where)
        assert elsewhere.json["error"]["code"] == "backup_path"
        place.project.well("backup", "prune", **where)
        assert len(place.project.well("backup", "list", "--json", **where).json) >= 2
    assert not (place.project.folder / "database-backups").exists()
