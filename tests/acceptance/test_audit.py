"""Who changed what is written down before it happens, and nobody can take it out again unseen."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bascule.access.audit_chain import START, code
from tests.acceptance.commandline import Project

KEY = "a key that is not in the database"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db", BASCULE_AUDIT_DIR=str(tmp_path / "heads"))
    project.write("1_one", "create table one (id integer);", "drop table one;")
    project.write("2_two", "create table two (id integer);", "drop table two;")
    return project


@pytest.fixture
def audited(project: Project) -> Project:
    project.environment["BASCULE_AUDIT_KEY"] = KEY
    project.well("up")
    return project


@contextmanager
def sidecar(project: Project) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(project.folder / "app.db.bascule", isolation_level=None)) as connection:
        yield connection


def test_every_attempt_has_a_line_before_and_one_after(audited: Project) -> None:
    audited.run("up", "no_such_migration")
    audited.well("rollback", "--yes")
    audited.well("status")
    lines = json.loads(audited.well("audit", "--json").out)
    told = [(each["action"], each["outcome"]) for each in reversed(lines)]
    assert told[:2] == [("up", "asked"), ("up", "done")]
    assert ("up", "refused") in told
    assert told[-3:-1] == [("rollback", "asked"), ("rollback", "done")]
    assert told[-1] == ("audit", "asked"), "reading the log is written down too"
    assert "status" not in [action for action, _ in told]
    assert all(each["who"] and each["from"] == "command line" for each in lines)


def test_a_whole_log_is_whole_and_each_damage_is_found(audited: Project) -> None:
    assert "whole" in audited.well("audit", "verify").out
    with sidecar(audited) as database:
        kept = database.execute("SELECT * FROM bascule_audit ORDER BY number").fetchall()
        for damage, line in (
            ("UPDATE bascule_audit SET entry = replace(entry, 'up', 'no') WHERE number = 1", 1),
            ("DELETE FROM bascule_audit WHERE number = 2", 2),
            ("DELETE FROM bascule_audit WHERE number > 2", 3),
            ("DELETE FROM bascule_audit", 1),
        ):
            database.execute(damage)
            answer = audited.run("audit", "verify", "--json")
            assert answer.code == 3, damage
            assert line in [each["line"] for each in json.loads(answer.out)["data"]["findings"]], damage
            database.execute("DELETE FROM bascule_audit")
            database.executemany("INSERT INTO bascule_audit VALUES (?, ?, ?, ?, ?)", kept)


def test_what_is_written_after_a_cut_does_not_hide_it(audited: Project) -> None:
    audited.well("rollback", "--yes")
    with sidecar(audited) as database:
        database.execute("DELETE FROM bascule_audit WHERE number > 3")
    for _ in range(4):
        audited.well("audit")
    answer = audited.run("audit", "verify")
    assert answer.code == 3
    assert "noted elsewhere" in answer.out


def test_without_a_key_it_says_what_it_cannot_promise(project: Project) -> None:
    project.well("up")
    assert "no key is set" in project.well("audit", "verify").err


def test_a_head_that_the_look_itself_wrote_proves_nothing(audited: Project, tmp_path: Path) -> None:
    assert audited.well("audit", "verify").err.count("Cannot be promised") == 0
    elsewhere = {"BASCULE_AUDIT_DIR": str(tmp_path / "another machine")}
    assert "no head is known" in audited.well("audit", "verify", **elsewhere).err
    assert "no head is known" not in audited.well("audit", "verify", **elsewhere).err, "now one is"


def test_the_line_of_the_outcome_names_all_that_ran(audited: Project) -> None:
    audited.write("8_before", "CREATE TABLE before (i int);", "DROP TABLE before;")
    audited.write("9_named", "CREATE TABLE named (i int);", "DROP TABLE named;")
    audited.well("up", "9_named")
    done = next(each for each in audited.well("audit", "--json").json if each["outcome"] == "done")
    assert (done["action"], done["ran"], done["ranInAll"]) == ("up", ["8_before", "9_named"], 2)


def test_a_head_that_was_printed_is_asked_for_as_it_was_printed(audited: Project) -> None:
    printed = audited.well("rollback", "--yes").err.partition("Audit log: ")[2].split()[0]
    assert "whole" in audited.well("audit", "verify", "--head", printed).out
    forged = printed[:-1] + ("0" if printed[-1] != "0" else "1")
    assert audited.run("audit", "verify", "--head", forged).code == 3
    assert audited.run("audit", "verify", "--head", "4").code == 2
    (file,) = (audited.folder / "heads").glob("*.head")
    file.write_text("nonsense")
    assert audited.run("audit", "verify", "--json").json["error"]["code"] == "audit_head"
    assert "cannot be read" in audited.well("audit", "verify", "--head", printed).err


def test_a_log_that_was_written_anew_without_the_key_is_not_taken_for_whole(audited: Project, tmp_path: Path) -> None:
    with sidecar(audited) as database:
        kept = database.execute("SELECT number, at, entry FROM bascule_audit ORDER BY number").fetchall()
        before = START
        for number, at, entry in kept:
            mac = code(number, at, entry.replace('"up"', '"no"'), before, None)
            changed = (entry.replace('"up"', '"no"'), before, mac, number)
            database.execute("UPDATE bascule_audit SET entry = ?, previous = ?, mac = ? WHERE number = ?", changed)
            before = mac
    assert audited.run("audit", "verify").code == 3
    unaware = audited.run("audit", "verify", "--json", BASCULE_AUDIT_DIR=str(tmp_path / "another machine"))
    assert unaware.code == 3
    assert "unkeyed" in {each["kind"] for each in unaware.json["data"]["findings"]}


def test_a_target_that_calls_itself_otherwise_does_not_hide_a_cut(audited: Project) -> None:
    with sidecar(audited) as database:
        database.execute("DELETE FROM bascule_audit WHERE number > 2")
        database.execute("UPDATE bascule_meta SET value = ? WHERE key = 'identity'", ("f" * 32,))
    with closing(sqlite3.connect(audited.folder / "app.db", isolation_level=None)) as database:
        database.execute("UPDATE bascule_meta SET value = ? WHERE key = 'identity'", ("f" * 32,))
    for _ in range(2):
        answer = audited.run("audit", "verify", "--json")
        assert answer.code == 3, answer
        assert "identity" in {each["kind"] for each in answer.json["data"]["findings"]}


@pytest.mark.parametrize(
    "damage",
    [
        "INSERT INTO bascule_audit VALUES ('last', 'x', '{}', '', '')",
        "INSERT INTO bascule_audit VALUES (NULL, 'x', '{}', '', '')",
        "INSERT INTO bascule_audit VALUES (-5, x'00', x'ff', '', '')",
        "INSERT INTO bascule_audit VALUES (1.5, 'x', 'not json', '', '')",
        "UPDATE bascule_audit SET entry = x'00ff', mac = 7 WHERE number = 2",
        "INSERT INTO bascule_audit VALUES (9223372036854775807, 'x', '{}', '', '')",
    ],
)
def test_what_is_no_line_is_found_too(audited: Project, damage: str) -> None:
    with sidecar(audited) as database:
        database.execute(damage)
    answer = audited.run("audit", "verify", "--json")
    assert answer.code == 3, answer
    assert not json.loads(answer.out)["data"]["whole"]
    assert "unexpected" not in audited.run("audit").err


def test_production_takes_a_plan_or_a_reason_which_is_in_the_log(project: Project) -> None:
    production = {"MIGRATION_ENVIRONMENT": "production"}
    for given in ((), ("--yes-production", " ")):
        refused = project.run("up", "--json", *given, **production)
        assert (refused.code, json.loads(refused.out)["error"]["code"]) == (3, "protected")
    project.well("up", "--yes-production", "release 7, agreed with Ann", **production)
    lines = json.loads(project.well("audit", "--json", **production).out)
    assert [each["what"]["yes_production"] for each in lines if "yes_production" in each.get("what", {})] == [
        "release 7, agreed with Ann"
    ]


def test_nothing_starts_where_the_line_cannot_be_written(audited: Project) -> None:
    applied = audited.names()
    with sidecar(audited) as database:
        database.execute("DROP TABLE bascule_audit")
        database.execute("CREATE TABLE bascule_audit (number TEXT)")
    answer = audited.run("rollback", "--yes", "--json")
    assert answer.code == 3
    assert json.loads(answer.out)["error"]["code"] == "audit_unwritable"
    assert audited.names() == applied


def test_no_secret_is_in_the_log(audited: Project) -> None:
    audited.run("backup", "restore", "nothing", "--to", "postgresql://me:hunter2secret@127.0.0.1:1/x")
    assert "hunter2secret" not in audited.well("audit", "--json").out


def test_a_token_is_shown_once_and_revoked_for_good(audited: Project) -> None:
    made = json.loads(audited.well("token", "create", "--role", "operator", "--name", "ci", "--json").out)
    assert made["role"] == "operator"
    assert made["expiresAt"] > "2026"
    with sidecar(audited) as database:
        assert made["token"] not in str(database.execute("SELECT * FROM bascule_token").fetchall())
        assert made["token"] not in str(database.execute("SELECT * FROM bascule_audit").fetchall())
    assert made["token"] not in audited.well("token", "list").out
    audited.well("token", "revoke", made["id"])
    assert "revoked" in audited.well("token", "list").out
    assert audited.run("token", "revoke", "nope").code == 2
    assert audited.run("token", "create", "--role", "root").code == 2
    assert audited.run("token", "create", "--role", "viewer", "--expires", "soon").code == 2
