"""Each data rule on SQLite: one database with its fault planted, where it must fire, and a sound one, where not."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bascule.databases.sqlite.validation import SqliteReader
from bascule.domain.validation import RuleResult, ValidationReport
from bascule.errors import Interrupted
from bascule.monitoring.clock import SystemClock
from bascule.ports.validation import ValidationOptions
from bascule.services.validate import Validation, Wanted, validate
from bascule.validation.custom import as_rule
from bascule.validation.rules import BUILT_IN
from tests.unit.validation.balance_rule import Balance
from tests.unit.validation.declared_rules import declared

FAULTY = """
create table customers (id integer primary key, email text unique, name text);
insert into customers values (1, 'a@x', 'Ann'), (2, 'A@x', 'Bob');
create table orders (id integer primary key, customer_id int references customers, item_count int,
  total numeric, placed date, seen datetime, note text, by text, payload json, flag boolean);
insert into orders values
  (1, 1, 1, 10, '2020-01-01', datetime('now'), 'fine', 'ann', '{}', 1),
  (2, 77, 5, -3, 'yesterday', '2010-01-01', char(195) || char(188), null, '{', 1),
  (3, null, 0, 'many', '0000-02-01', null, x'00', 'x', null, 7);
create table items (id integer primary key, order_id int);
insert into items values (1, 1), (2, 4711);
create table lost (id integer primary key, a int references nowhere, b text references customers (name));
create table named (name text primary key, n int not null);
insert into named values (null, 1);
create table keyless (a int, b text);
insert into keyless values (1, null), (1, null), (2, 'x');
create table checked (id integer primary key, n int check (n > 0) /* ; */, "a ""b" text, check ("a ""b" <> 'x'));
pragma ignore_check_constraints = 1;
insert into checked values (1, -1, 'x'), (2, 2, 'y');
pragma ignore_check_constraints = 0;
create index items_a on items (order_id);
create index items_b on items (order_id);
create table "we""ird; drop table ""users" (id integer primary key, "k""ey" int check ("k""ey" > 0));
pragma ignore_check_constraints = 1;
insert into "we""ird; drop table ""users" values (1, -5);
create table worn (id integer primary key autoincrement);
insert into worn values (9223372036854775000);
create table soon (id integer primary key, v int);
create index soon_v on soon (v);
insert into soon values (1, 5), (2, 5);
pragma writable_schema = 1;
update sqlite_master set sql = 'CREATE UNIQUE INDEX soon_v on soon (v)' where name = 'soon_v';
pragma writable_schema = 0;
"""

SOUND = """
create table customers (id integer primary key, email text);
create unique index people on customers (lower(email));
insert into customers values (1, 'a@x'), (2, 'b@x');
create table orders (id integer primary key, customer_id int references customers, item_count int not null,
  total numeric check (total >= 0), placed date, seen timestamp, note text, by text, flag bool, body json,
  doubled as (total * 2));
insert into orders (customer_id, item_count, total, placed, seen, note, by, flag, body) values
  (1, 1, 10, '2020-01-01', datetime('now'), 'fein, Müller', 'ann', 1, '[1]'),
  (null, 0, 0.5, null, strftime('%s', 'now') + 0, null, 'bob', null, null);
create table items (id integer primary key, order_id int);
insert into items values (1, 1);
create table empty (id integer primary key, empty_id int, at timestamp, n real);
create table firm (id int primary key not null, word text not null) strict, without rowid;
insert into firm values (1, 'x');
create table "select" ("from" integer primary key, "where" real);
insert into "select" values (1, 1.5);
create virtual table words using fts5 (word);
insert into words values ('x');
create view seen as select * from orders;
"""

FOUND = {
    "fk_integrity": ["orders (customer_id) refers to no row of customers: 1 row"],
    "not_null_constraints": ["named.name is NULL: 1 row"],
    "unique_constraints": ["soon (v) is not unique: 2 rows"],
    "check_constraints": ["checked breaks CHECK (n > 0): 1 row", "<> 'x'): 1 row", 'we"ird; drop table "users breaks'],
    "referential_integrity": ["its parent table nowhere is not there", "customers (name) is not unique"],
    "data_type_validation": [
        "orders.total is not a number: 1 row",
        "orders.placed is not a date: 1 row",
        "orders.note is not text: 1 row",
        "orders.payload is not JSON: 1 row",
        "orders.flag is neither 0 nor 1: 1 row",
    ],
    "data_range_validation": [
        "worn has used 100%",
        "orders.placed is infinite or outside of the years 1 to 9999: 1 row",
    ],
    "orphaned_records": ["items.order_id refers to no row of orders: 1 row"],
    "duplicate_data": [
        "keyless has no key and rows that are alike: 2 rows",
        "customers.email stands for the same thing",
    ],
    "data_consistency": ["orders breaks items are counted", "orders.note holds text that was decoded wrongly: 1 row"],
    "index_efficiency": ["index items_b does what items_a does"],
    "table_size": ["worn takes"],
    "business_constraints": ["totals are not negative: 1 row"],
    "data_retention": ["orders.seen is older than 365 days: 1 row"],
    "audit_trail": ["orders.by is not filled: 1 row"],
}
ELSEWHERE = {"query_performance", "connection_pool"}
"""SQLite has nothing for them to look at."""


def make(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def asked(path: Path, *, wanted: Wanted | None = None, **more: Any) -> ValidationReport:
    with closing(SqliteReader(str(path))) as reader:
        return validate(Validation(reader=reader, clock=SystemClock(), declared=declared("sqlite"), **more), wanted)


def by_rule(report: ValidationReport) -> Mapping[str, RuleResult]:
    return {result.rule_id: result for result in report.results}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("faulty") / "shop.db", FAULTY)


@pytest.fixture(scope="module")
def fault_report(faulty: Path) -> ValidationReport:
    return asked(faulty, options=ValidationOptions(large_table=1))


@pytest.fixture(scope="module")
def sound_report(tmp_path_factory: pytest.TempPathFactory) -> ValidationReport:
    return asked(make(tmp_path_factory.mktemp("sound") / "shop.db", SOUND))


def test_each_rule_has_a_database_in_which_it_fires() -> None:
    assert {*FOUND} | ELSEWHERE == {rule.id for rule in BUILT_IN}


@pytest.mark.parametrize("rule", FOUND)
def test_a_planted_fault_is_found(fault_report: ValidationReport, rule: str) -> None:
    result = by_rule(fault_report)[rule]
    assert result.status == ("fail" if result.severity == "error" else "warning"), result
    for words in FOUND[rule]:
        assert any(words in finding for finding in result.details["findings"]), result.details["findings"]


@pytest.mark.parametrize("rule", [rule.id for rule in BUILT_IN])
def test_a_sound_database_passes(sound_report: ValidationReport, rule: str) -> None:
    result = by_rule(sound_report)[rule]
    assert result.status == ("skipped" if rule in ELSEWHERE else "pass"), result


def test_a_file_that_is_not_there_has_nothing_wrong_and_is_not_made(tmp_path: Path) -> None:
    with closing(SqliteReader(str(tmp_path / "none.db"))) as reader:
        report = validate(Validation(reader=reader, clock=SystemClock()))
    assert report.is_valid
    assert not (tmp_path / "none.db").exists()


def test_text_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "create table t (id int primary key, a text, n integer)")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into t values (1, cast(x'ff41' as text), cast(x'ff' as text))")
        connection.commit()
    result = by_rule(asked(path))["data_type_validation"]
    assert result.message == "t.n is not an integer: 1 row"


def test_a_condition_that_raises_takes_nobody_elses_answer(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.db", "create table orders (id integer primary key, total int); insert into orders values (1, -1)"
    )
    own = as_rule({"id": "own", "inspect": lambda asked: __import__("bascule").nothing})
    report = asked(path, rules=(*BUILT_IN, own))
    results = by_rule(report)
    assert results["business_constraints"].message == "totals are not negative: 1 row"
    assert results["data_consistency"].message.startswith(
        "declared, but not there: orders.note; not looked at: no such"
    )
    assert results["own"].status == "error"


def test_a_query_that_takes_too_long_is_a_failed_result(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "create table t (id integer primary key)")
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n where i < 0"
    slow = as_rule({"id": "slow", "validate": lambda reader: reader.query(endless, seconds=0.2)})
    from bascule.validation.declared import read_rule

    also = read_rule({"id": "also", "sql": endless}, duration=float)
    report = asked(path, rules=(*BUILT_IN, slow, also), options=ValidationOptions(seconds=0.3))
    assert by_rule(report)["slow"].status == "error"
    assert by_rule(report)["also"].message == "not looked at: it took longer than 0.3 s"


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_writers_do_not_wait_long(tmp_path: Path, mode: str) -> None:
    path = make(
        tmp_path / "x.db",
        f"pragma journal_mode = {mode}; create table t (id integer primary key, a int check (a < 9e9), b date);"
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 400000)"
        " insert into t select i, i, '2020-01-01' from n",
    )
    reports: list[ValidationReport] = []
    thread = threading.Thread(target=lambda: reports.append(asked(path)))
    longest = 0.0
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as writer:
        thread.start()
        while thread.is_alive():
            begun = time.monotonic()
            writer.execute("update t set a = 1 where id = 1")
            longest = max(longest, time.monotonic() - begun)
            time.sleep(0.005)
    thread.join()
    assert longest < 1.0
    assert reports[0].summary["failed"] == 0


def test_a_thousand_tables_are_read(tmp_path: Path) -> None:
    script = ";".join(f"create table t{n} (id integer primary key, n numeric, at date)" for n in range(1000))
    path = make(tmp_path / "x.db", f"begin; {script}; insert into t500 values (1, 'x', null); commit")
    assert "t500.n is not a number: 1 row" in by_rule(asked(path))["data_type_validation"].message


def test_nothing_is_changed(faulty: Path) -> None:
    writes = as_rule({"id": "writes", "validate": lambda reader: reader.query("create table w (a int)")})
    before = faulty.read_bytes()
    result = by_rule(asked(faulty, rules=(*BUILT_IN, writes)))["writes"]
    assert result.status == "error"
    assert "readonly" in result.message
    assert faulty.read_bytes() == before


def test_stopped_on_request(faulty: Path) -> None:
    with pytest.raises(Interrupted):
        asked(faulty, stopping=lambda: "SIGTERM")


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_databases_of_every_encoding_and_odd_values_are_read(tmp_path: Path, encoding: str) -> None:
    path = make(
        tmp_path / "x.db",
        f"pragma encoding = '{encoding}';"
        "create table notes (id integer primary key, note text, r real, n integer, d date, b boolean);"
        "insert into notes values (1, 'Zoë', 1.5, 1, '2020-01-01', 1), (2, char(195) || char(188), 9e999, 1.5,"
        " 'infinity', 'yes'), (3, null, -9e999, -9e999, '', null);"
        "create table tree (id integer primary key, up int references tree, a int, b int,"
        " foreign key (a, b) references pairs deferrable initially deferred);"
        "create table pairs (a int, b int, primary key (a, b)) without rowid;"
        "insert into pairs values (1, 1);"
        "insert into tree values (1, 1, 1, 1), (2, 5, 1, null), (3, null, 2, 2);"
        "create table wide (rowid text, id integer primary key, n int check (n > 0),"
        " twice int generated always as (n * 2) stored, thrice int as (n * 3) check (thrice > 0));"
        "pragma ignore_check_constraints = 1; insert into wide (rowid, n) values ('x', -1);"
        "create table emptied (id integer primary key, at date, n real);",
    )
    results = by_rule(asked(path, wanted=Wanted(tables=("notes", "tree", "pairs", "wide", "emptied"))))
    assert set(results["fk_integrity"].details["findings"]) == {
        "tree (up) refers to no row of tree: 1 row",
        "tree (a, b) refers to no row of pairs: 1 row",
    }
    assert set(results["check_constraints"].details["findings"]) == {
        "wide breaks CHECK (n > 0): 1 row",
        "wide breaks CHECK (thrice > 0): 1 row",
    }
    assert set(results["data_type_validation"].details["findings"]) == {
        "notes.n is not an integer: 2 rows",
        "notes.d is not a date: 2 rows",
        "notes.b is neither 0 nor 1: 1 row",
    }
    assert not any("notLookedAt" in results[rule].details for rule in ("fk_integrity", "check_constraints"))


def test_aggregates_of_a_project_s_rule_are_read_in_the_same_pass(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.db",
        "create table book (id integer primary key, n integer);"
        "with recursive r(i) as (select 1 union all select i + 1 from r where i < 250000)"
        " insert into book select i, case when i = 250000 then 77 when i % 2 = 0 then -1 else 1 end from r;"
        "delete from book where id = 1",
    )
    report = asked(path, rules=(*BUILT_IN, as_rule(Balance)))
    result = by_rule(report)["balance"]
    assert result.status == "fail"
    assert result.details["findings"] == ["not balanced: sum(n) is 77", "book.n is 77: 1 row"]
    (words,) = result.details["notLookedAt"]
    assert words.startswith("max(n / 0.5): it raised AttributeError")
    assert result.details["rowsRead"] == 249_999
    assert [words.rpartition(" and ")[2] for words in result.details["plan"]] == ["4 aggregates"]
