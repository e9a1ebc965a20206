"""Each data rule on PostgreSQL: one database with its fault planted, where it must fire, and sound ones, where not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bascule.databases.postgres.validation import PostgresReader
from bascule.domain.validation import RuleResult, ValidationReport
from bascule.errors import Interrupted, UsageError
from bascule.monitoring.clock import SystemClock
from bascule.ports.validation import Declaration, ValidationOptions
from bascule.services.validate import Validation, Wanted, validate
from bascule.testing.pgbouncer import PgBouncer
from bascule.testing.postgres import PostgresServer
from bascule.validation.custom import as_rule
from bascule.validation.passes import Passes
from bascule.validation.rules import BUILT_IN
from tests.unit.validation.balance_rule import Balance
from tests.unit.validation.declared_rules import declared

HOSTILE = 'we"ird; drop table "users'

FAULTY = """
create schema app;
create domain positive as int;
create table customers (id int primary key, email text, name text);
insert into customers values (1, 'a@x', 'Ann'), (2, 'A@x', 'Bob');
create unique index customers_email on customers (email);
create table orders (id int generated always as identity primary key, customer_id int, item_count int, total numeric,
  placed date, seen timestamptz, note text, by text, amount positive, kind text);
insert into orders (customer_id, item_count, total, placed, seen, note, by, amount) values
  (1, 1, 10, '2020-01-01', now(), 'fine', 'ann', 1),
  (77, 5, -3, '2020-01-01', now() - interval '9 years', chr(195) || chr(188), null, 1),
  (null, 0, 'NaN', 'infinity', null, null, 'x', -4);
create table items (id int primary key, order_id int);
insert into items values (1, 1), (2, 4711);
alter table orders add constraint to_customer foreign key (customer_id) references customers not valid;
alter table orders add constraint cheap check (total < 5) not valid;
alter domain positive add constraint above_zero check (value > 0) not valid;
create table archive () inherits (orders);
insert into archive (id, customer_id, total, amount) values (7, 99, 1, 1);
create table bulk (id int primary key, customer_id int references customers);
alter table bulk disable trigger all;
insert into bulk values (1, 55);
create table keyless (a int, b text);
insert into keyless values (1, null), (1, null), (2, 'x');
create table twice (id int primary key, code text);
insert into twice values (1, 'x'), (2, 'x'), (3, 'y');
create index twice_a on twice (code);
create index twice_b on twice (code);
create sequence worn maxvalue 100;
select setval('worn', 99);
create table "we""ird; drop table ""users" ("k""ey" int primary key, "a b" int, constraint "o""dd" check ("a b" > 0));
alter table "we""ird; drop table ""users" drop constraint "o""dd";
insert into "we""ird; drop table ""users" values (1, -1);
alter table "we""ird; drop table ""users" add constraint "o""dd; --" check ("a b" > 0) not valid;
create table parted (id int, at date, customer_id int) partition by range (at);
create table parted_old partition of parted for values from ('2020-01-01') to ('2021-01-01');
create table parted_rest partition of parted default;
insert into parted values (1, '2020-05-05', 1), (2, '2022-01-01', 1234);
"""
INVALID = "create unique index concurrently twice_unique on twice (code)"

SOUND = """
create table customers (id int primary key, email text);
create unique index on customers (lower(email));
insert into customers values (1, 'a@x'), (2, 'b@x');
create table orders (id bigint generated always as identity primary key, customer_id int references customers,
  item_count int, total numeric check (total >= 0), placed date, seen timestamptz, note text, by text,
  doubled numeric generated always as (total * 2) stored);
create index on orders (customer_id);
insert into orders (customer_id, item_count, total, placed, seen, note, by) values
  (1, 1, 10, '2020-01-01', now(), 'fein, Müller', 'ann'), (null, 0, 0, null, now(), null, 'bob');
create table items (id int primary key, order_id bigint references orders);
insert into items values (1, 1);
create table empty (id int primary key, empty_id int, at timestamptz, n float8);
create table parted (id int, at date) partition by range (at);
create table parted_old partition of parted for values from ('2020-01-01') to ('2021-01-01');
insert into parted values (1, '2020-05-05');
create table "select" ("from" int primary key, "where" numeric);
insert into "select" values (1, 1.5);
create view seen as select * from orders;
"""


def asked(url: str, *, wanted: Wanted | None = None, **more: Any) -> ValidationReport:
    with closing(PostgresReader(url)) as reader:
        return validate(Validation(reader=reader, clock=SystemClock(), declared=declared("postgresql"), **more), wanted)


def by_rule(report: ValidationReport) -> Mapping[str, RuleResult]:
    return {result.rule_id: result for result in report.results}


def execute(url: str, *scripts: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for script in scripts:
            connection.execute(script.encode())


@pytest.fixture(scope="module")
def faulty(bascule_postgres_server: PostgresServer) -> Iterator[str]:
    url = bascule_postgres_server.create_database("planted")
    execute(url, FAULTY)
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(url, INVALID)
    idle = psycopg.connect(url)
    idle.execute("select 1")
    time.sleep(0.1)
    yield url
    idle.close()
    bascule_postgres_server.drop_database("planted")


@pytest.fixture(scope="module")
def fault_report(faulty: str) -> ValidationReport:
    return asked(faulty, options=ValidationOptions(large_table=1, idle_seconds=0.05))


@pytest.fixture(scope="module")
def sound_report(bascule_postgres_server: PostgresServer) -> Iterator[ValidationReport]:
    url = bascule_postgres_server.create_database("sound")
    execute(url, SOUND)
    yield asked(url)
    bascule_postgres_server.drop_database("sound")


FOUND = {
    "fk_integrity": ["orders (customer_id) refers to no row of customers: 1 row", "bulk (customer_id)"],
    "unique_constraints": ["twice (code) is not unique: 2 rows"],
    "check_constraints": [
        "orders breaks cheap: 2 rows",
        'breaks o"dd; --: 1 row',
        "orders.amount breaks above_zero of its domain: 1 row",
    ],
    "referential_integrity": [
        "archive (customer_id) refers to no row of customers: 1 row",
        "the triggers of bulk_customer_id_fkey are disabled",
    ],
    "data_type_validation": ["orders.total is NaN or infinite: 1 row"],
    "data_range_validation": [
        "orders.placed is infinite or outside of the years 1 to 9999: 1 row",
        "worn has used 99%",
    ],
    "orphaned_records": ["items.order_id refers to no row of orders: 1 row", "parted_rest.customer_id refers"],
    "duplicate_data": ["keyless has no key and rows that are alike: 2 rows", "customers.email"],
    "data_consistency": ["orders breaks items are counted", "orders.note holds text that was decoded wrongly: 1 row"],
    "index_efficiency": ["index twice_unique is INVALID", "index twice_b does what twice_a does"],
    "table_size": ["orders takes"],
    "connection_pool": ["1 transactions have been idle"],
    "business_constraints": ["totals are not negative: 1 row"],
    "data_retention": ["orders.seen is older than 365 days: 1 row"],
    "audit_trail": ["orders.by is not filled: 1 row"],
}


def test_each_rule_has_a_database_in_which_it_fires() -> None:
    # These two have tests of their own: one needs a server of its own, one needs PostgreSQL 18.
    assert {*FOUND, "query_performance", "not_null_constraints"} == {rule.id for rule in BUILT_IN}


@pytest.mark.parametrize("rule", FOUND)
def test_a_planted_fault_is_found(fault_report: ValidationReport, rule: str) -> None:
    result = by_rule(fault_report)[rule]
    assert result.status == ("fail" if result.severity == "error" else "warning"), result
    for words in FOUND[rule]:
        assert any(words in finding for finding in result.details["findings"]), result.details["findings"]


def test_only_what_is_wrong_is_named(fault_report: ValidationReport) -> None:
    every = [words for result in fault_report.results for words in result.details.get("findings", ())]
    assert not [words for words in every if "parted_old." in words]
    assert [each.status for each in fault_report.results if each.rule_id == "not_null_constraints"] == ["pass"]


@pytest.mark.parametrize("rule", [rule.id for rule in BUILT_IN])
def test_a_sound_database_passes(sound_report: ValidationReport, rule: str) -> None:
    result = by_rule(sound_report)[rule]
    assert result.status == "pass" or (rule == "query_performance" and result.status == "skipped"), result


def test_offending_rows_are_shown_by_their_keys(fault_report: ValidationReport) -> None:
    rows = by_rule(fault_report)["check_constraints"].sample
    assert {"table": HOSTILE, "row": {'k"ey': "1", "a b": "-1"}} in rows


def test_not_null_that_is_not_valid_is_read(bascule_postgres_url: str) -> None:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute("create table t (id int primary key, a int); insert into t values (1, null)")
        if connection.info.server_version < 180000:
            connection.execute("alter table t add constraint filled check (a is not null) not valid")
            rule = "check_constraints"
        else:
            connection.execute("alter table t add constraint filled not null a not valid")
            rule = "not_null_constraints"
    result = by_rule(asked(bascule_postgres_url))[rule]
    assert result.status == "fail"
    assert "1 row" in result.message


def test_rows_that_came_past_the_triggers_are_found_where_the_catalog_is_not_trusted(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table p (id int primary key); create table c (id int primary key, p_id int references p);"
        "set session_replication_role = replica; insert into c values (1, 5)",
    )
    assert by_rule(asked(bascule_postgres_url))["fk_integrity"].status == "pass"
    distrusting = asked(bascule_postgres_url, options=ValidationOptions(trust_catalog=False))
    assert by_rule(distrusting)["fk_integrity"].status == "fail"
    assert by_rule(distrusting)["not_null_constraints"].status == "pass"
    assert by_rule(distrusting)["unique_constraints"].status == "pass"


def test_slow_statements_are_told_where_the_server_times_them(bascule_postgres_bin: Path) -> None:
    preloaded = {"shared_preload_libraries": "pg_stat_statements"}
    with PostgresServer(bascule_postgres_bin, settings=preloaded) as server:
        url, other = server.create_database("timed"), server.create_database("other")
        options = ValidationOptions(slow_ms=20.0)
        about = Wanted(rules=("query_performance",))
        (without,) = asked(url, options=options, wanted=about).results
        assert (without.status, without.severity) == ("skipped", "info")
        execute(url, 'create schema "st%s"; create extension pg_stat_statements schema "st%s"')
        # Often and quick, slow but seldom: neither is told.
        execute(url, *["select 1"] * 6, "select from pg_sleep(0.15)")
        (quick,) = asked(url, options=options, wanted=about).results
        assert (quick.status, quick.details.get("findings")) == ("pass", None), quick
        execute(url, *["select pg_sleep(0.03) -- slow\n, $$%$$"] * 5)
        execute(other, *["select pg_sleep(0.03), 'of another database'"] * 5)
        (slow,) = asked(url, options=options, wanted=about).results
        assert slow.status == "warning", slow
        (words,) = slow.details["findings"]
        assert "called 5 times: select pg_sleep($1)" in words, words
        assert slow.details["advice"] == ["Look at the statement's plan (EXPLAIN)."]
        execute(url, "create role app login")
        (hidden,) = asked(server.url("timed", user="app"), options=options, wanted=about).results
        assert hidden.status != "warning", hidden


def test_a_condition_that_raises_takes_nobody_elses_answer(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table t (id int primary key, a int); insert into t values (1, 0), (2, -1);"
        "alter table t add constraint good check (a >= 0) not valid;"
        "alter table t add constraint raises check (1 / a > 0) not valid",
    )
    result = by_rule(asked(bascule_postgres_url))["check_constraints"]
    assert result.status == "fail"
    assert "t breaks good: 1 row" in result.message
    assert result.details["notLookedAt"] == ["division by zero"]


def test_a_rule_that_takes_too_long_is_a_failed_result(bascule_postgres_url: str) -> None:
    slow = as_rule({"id": "slow", "severity": "error", "validate": lambda reader: reader.query("select pg_sleep(5)")})
    options = ValidationOptions(seconds=0.3)
    report = asked(bascule_postgres_url, rules=(*BUILT_IN, slow), options=options)
    result = by_rule(report)["slow"]
    assert result.status == "error"
    assert not report.is_valid
    assert by_rule(report)["fk_integrity"].status == "pass"


def test_nobody_who_waits_for_a_table_waits_long(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table t (id int primary key, a int); insert into t select n, n from generate_series(1, 2000) n;"
        "create function slowly(int) returns boolean language plpgsql as "
        "'begin perform pg_sleep(0.001); return true; end';"
        "alter table t add constraint slow check (slowly(a)) not valid",
    )
    reports: list[ValidationReport] = []
    thread = threading.Thread(target=lambda: reports.append(asked(bascule_postgres_url)))
    thread.start()
    time.sleep(0.7)
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        begun = time.monotonic()
        connection.execute("alter table t add column b int")
        waited = time.monotonic() - begun
    thread.join()
    assert waited < 0.5
    assert by_rule(reports[0])["check_constraints"].status == "pass"


def test_a_table_that_is_locked_is_not_waited_for(bascule_postgres_url: str) -> None:
    execute(bascule_postgres_url, "create table t (id int primary key, at date); create table u (id int primary key)")
    with psycopg.connect(bascule_postgres_url) as holder:
        holder.execute("lock table t in access exclusive mode")
        report = asked(bascule_postgres_url)
    result = by_rule(report)["data_range_validation"]
    assert (result.status, result.message) == ("error", "not looked at: somebody else held a lock on the table")
    assert report.execution_ms < 10_000


def test_a_table_that_is_emptied_meanwhile_does_not_pass(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table t (id int primary key, at date); insert into t values (1, 'infinity')",
    )
    with closing(PostgresReader(bascule_postgres_url)) as reader:
        catalog = reader.catalog(ValidationOptions())
        execute(bascule_postgres_url, "truncate t")
        from bascule.ports.validation import RowTest

        test = RowTest(table=("public", "t"), offends="at = 'infinity'", words="t.at is infinite")
        (outcome,) = reader.run(catalog, [test], ValidationOptions())
    assert "rewritten, emptied or dropped" in outcome.problem


def test_all_is_read_in_one_moment(bascule_postgres_url: str) -> None:
    execute(bascule_postgres_url, "create table t (id int primary key, at date)")
    with closing(PostgresReader(bascule_postgres_url)) as reader:
        catalog = reader.catalog(ValidationOptions())
        execute(bascule_postgres_url, "insert into t values (1, 'infinity')")
        from bascule.ports.validation import RowTest

        test = RowTest(table=("public", "t"), offends="at = 'infinity'", words="t.at is infinite")
        (outcome,) = reader.run(catalog, [test], ValidationOptions())
    assert (outcome.offenders, outcome.problem) == (0, "")


def test_large_tables_are_sampled_by_rules_that_allow_it_and_say_so(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table t (id int primary key, n numeric, pad text);"
        "insert into t select n, case when n % 4 = 0 then 'NaN'::numeric else 1 end, repeat('x', 200)"
        " from generate_series(1, 60000) n; alter table t add constraint c check (n < 0) not valid; analyze t",
    )
    options = ValidationOptions(sample_above=1000, sample_rows=5000)
    results = by_rule(asked(bascule_postgres_url, options=options))
    sampled, whole = results["data_type_validation"], results["check_constraints"]
    assert sampled.sampled
    assert not whole.sampled
    assert "orders" not in whole.message
    (about,) = sampled.details["sampling"]
    assert about["rowsRead"] < 20_000
    assert abs(about["estimate"] - 15_000) < max(4 * about["error"], 1500)


def test_of_a_large_table_every_offender_is_counted(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create type pair as (a int, b int); create table t (id int primary key, a int, b text, c numeric, p pair,"
        " pad text)",
        "insert into t select n, nullif(n % 1000, 0), case when n % 3000 <> 0 then 'x' end, n,"
        " case when n % 20000 = 0 then row(1, null)::pair else row(1, 2)::pair end, repeat('x', 250)"
        " from generate_series(1, 60000) n; analyze t",
        "alter table t add constraint a_filled check (a is not null) not valid",
        "alter table t add constraint b_filled check (b is not null) not valid",
        "alter table t add constraint p_filled check (p is not null) not valid",
        "alter table t add constraint c_small check (c <= 59990 or a is null) not valid",
        f'alter database "{bascule_postgres_url.rpartition("/")[2].partition("?")[0]}" set constraint_exclusion = on',
    )
    result = by_rule(asked(bascule_postgres_url))["check_constraints"]
    assert sorted(result.details["findings"]) == [
        "t breaks a_filled: 60 rows",
        "t breaks b_filled: 20 rows",
        "t breaks c_small: 9 rows",
        "t breaks p_filled: 3 rows",
    ]
    assert result.details["rowsRead"] == 60_000
    assert not result.sampled


def test_a_preview_reads_a_share_of_every_table(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table t (id int primary key, n int, pad text); insert into t select n, -1, repeat('x', 200)"
        " from generate_series(1, 60000) n; alter table t add constraint c check (n >= 0) not valid; analyze t",
    )
    result = by_rule(asked(bascule_postgres_url, options=ValidationOptions(preview=0.01)))["check_constraints"]
    assert (result.status, result.sampled) == ("fail", True)


def test_behind_a_transaction_pooler_one_connection_reads_all(
    bascule_postgres_server: PostgresServer, bascule_pgbouncer: PgBouncer, bascule_postgres_url: str
) -> None:
    execute(
        bascule_postgres_url,
        "create table p (id int primary key); create table c (id int primary key, p_id int, at date);"
        "insert into c values (1, 7, 'infinity'); alter table c add foreign key (p_id) references p not valid",
    )
    results = by_rule(asked(bascule_pgbouncer.url(bascule_postgres_url.rpartition("/")[2].partition("?")[0])))
    assert results["fk_integrity"].status == "fail"
    assert results["data_range_validation"].status == "warning"


def test_a_thousand_tables_are_read(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        ";".join(f"create table t{n} (id int primary key, n numeric, at date)" for n in range(1000)),
        "insert into t500 values (1, 'NaN', null)",
    )
    report = asked(bascule_postgres_url)
    assert "t500.n is NaN or infinite: 1 row" in by_rule(report)["data_type_validation"].message
    assert report.summary["failed"] == 0


def test_only_the_tables_and_rules_that_are_named(faulty: str) -> None:
    report = asked(faulty, wanted=Wanted(tables=("items",), rules=("data_integrity",)))
    assert {result.category for result in report.results} == {"data_integrity"}
    assert [result.rule_id for result in report.results if result.found] == ["orphaned_records"]
    of_parts = asked(faulty, wanted=Wanted(tables=("parted",), rules=("orphaned_records",)))
    assert "parted_rest" in of_parts.results[0].message
    with pytest.raises(UsageError, match="no table 'nowhere'"):
        asked(faulty, wanted=Wanted(tables=("nowhere",)))
    with pytest.raises(UsageError, match="no rule and no category 'nothing'"):
        asked(faulty, wanted=Wanted(rules=("nothing",)))


def test_nothing_is_changed(faulty: str) -> None:
    writes = as_rule({"id": "writes", "validate": lambda reader: reader.query("create table w (a int)")})
    declared_write = {
        "business_constraints": (Declaration(rule="business_constraints", sql="insert into w values (1)"),)
    }
    with closing(PostgresReader(faulty)) as reader:
        validation = Validation(reader=reader, clock=SystemClock(), declared=declared_write, rules=(*BUILT_IN, writes))
        results = by_rule(validate(validation))
    assert results["writes"].status == "error"
    assert "read-only transaction" in results["writes"].message
    assert results["business_constraints"].status == "error"


def test_stopped_on_request(faulty: str) -> None:
    with closing(PostgresReader(faulty)) as reader:
        validation = Validation(
            reader=reader, clock=SystemClock(), declared=declared("postgresql"), stopping=lambda: "SIGINT"
        )
        with pytest.raises(Interrupted):
            validate(validation)


@pytest.fixture
def encoded(bascule_postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of another encoding, with text that was read as Latin-1 once too often, and text that was not."""
    name = f"encoded_{request.param.lower()}"
    execute(
        bascule_postgres_server.url(),
        f"create database {name} encoding '{request.param}' locale 'C' template template0",
    )
    url = bascule_postgres_server.url(name)
    execute(
        url,
        "create table t (id int primary key, note text, n numeric)",
        "insert into t values (1, 'plain', 1), (2, 'plain', 'NaN'), (3, convert_from('\\xc3bc', "
        f"'{request.param}'), 1), (4, convert_from('\\xfc', '{request.param}'), 1)"
        if request.param != "UTF8"
        else "insert into t values (1, 'plain', 1), (2, 'plain', 'NaN'), (3, chr(195) || chr(188), 1), (4, 'ü', 1)",
    )
    yield url
    bascule_postgres_server.drop_database(name)


@pytest.mark.parametrize("encoded", ["UTF8", "LATIN1", "SQL_ASCII"], indirect=True)
def test_databases_of_every_encoding_are_read(encoded: str) -> None:
    declarations = {
        "data_consistency": (
            Declaration(rule="data_consistency", table="t", column="note", encoding=True),
            Declaration(rule="data_consistency", table="t", check="note <> 'plain'"),
        )
    }
    with closing(PostgresReader(encoded)) as reader:
        results = by_rule(validate(Validation(reader=reader, clock=SystemClock(), declared=declarations)))
    assert results["data_type_validation"].message == "t.n is NaN or infinite: 1 row"
    found = results["data_consistency"].details
    assert "t breaks note <> 'plain': 2 rows" in found["findings"]
    wrong = [words for words in found["findings"] if "decoded wrongly" in words]
    if "sql_ascii" in encoded:
        # Nobody knows which letters its bytes stand for.
        assert wrong == []
        assert found["notLookedAt"] == ["t.note: the database keeps bytes, not letters (SQL_ASCII)"]
    else:
        assert wrong == ["t.note holds text that was decoded wrongly: 1 row"]


def test_parts_and_children_are_read_as_what_they_are(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table regions (id int, kind text, primary key (id, kind)) partition by list (kind);"
        "create table regions_a partition of regions for values in ('a');"
        "create table regions_b partition of regions for values in ('b') partition by range (id);"
        "create table regions_b1 partition of regions_b for values from (1) to (100);"
        "insert into regions values (1, 'a'), (2, 'b')",
        "create table towns (id int primary key, region int, kind text);"
        "insert into towns values (1, 1, 'a'), (2, 2, 'b'), (3, 2, 'a'), (4, null, 'z'), (5, 9, null)",
        # Not with NOT VALID: PostgreSQL has that for keys to partitioned tables since 18 only.
        "alter table towns add foreign key (region, kind) references regions not valid"
        if _version(bascule_postgres_url) >= 180000
        else "delete from towns where id = 3; alter table towns add foreign key (region, kind) references regions;"
        "alter table towns disable trigger all; insert into towns values (3, 2, 'a')",
        "create table things (id int primary key); create table cars () inherits (things);"
        "insert into things values (1); insert into cars values (2);"
        "create table parts (id int primary key, thing int); insert into parts values (1, 1), (2, 2);"
        "alter table parts add foreign key (thing) references things not valid",
        "create table halves (id int primary key, n numeric, half numeric generated always as (n / 2) stored);"
        "insert into halves values (1, 'NaN'), (2, 2)",
    )
    results = by_rule(asked(bascule_postgres_url))
    assert sorted(results["fk_integrity"].details["findings"]) == [
        "parts (thing) refers to no row of things: 1 row",
        "towns (region, kind) refers to no row of regions: 1 row",
    ]
    assert sorted(results["data_type_validation"].details["findings"]) == [
        "halves.half is NaN or infinite: 1 row",
        "halves.n is NaN or infinite: 1 row",
    ]


def _version(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.info.server_version


def test_names_that_are_made_to_break_statements_are_names(bascule_postgres_url: str) -> None:
    schema, table, column = (
        '"x""; drop schema public; --"',
        '"t%s{}; drop table ""u""; --"',
        '"c\'$$/*%(oids)s""\\"',
    )
    execute(
        bascule_postgres_url,
        f"create schema {schema}; create table {schema}.u (id int primary key); insert into {schema}.u values (1);"
        f"create table {schema}.{table} ({column} int primary key, up int, n numeric, slug text, at date,"
        ' constraint "k""%s" check (n > 0))',
        f"insert into {schema}.{table} values (1, 1, 1, 'a', '2020-01-01')",
        f"alter table {schema}.{table} add foreign key (up) references {schema}.u not valid",
        f"alter table {schema}.{table} disable trigger all",
        f"insert into {schema}.{table} values (2, 7, 'NaN', 'a', 'infinity')",
        f'alter table {schema}.{table} add constraint "\'; select 1; --" check (n <> 1) not valid',
    )
    report = asked(bascule_postgres_url)
    results = by_rule(report)
    found = {name for name, result in results.items() if result.found and result.status != "error"}
    assert found >= {
        "fk_integrity",
        "check_constraints",
        "data_type_validation",
        "data_range_validation",
        "duplicate_data",
        "referential_integrity",
    }
    assert not any("notLookedAt" in result.details for name, result in results.items() if name != "data_consistency")
    (row,) = results["check_constraints"].sample
    assert row["row"]["c'$$/*%(oids)s\"\\"] == "1"
    execute(bascule_postgres_url, f"select * from {schema}.{table}, {schema}.u")


def test_a_server_at_rest_need_not_be_asked_again(bascule_postgres_bin: Path, tmp_path: Path) -> None:
    def look(url: str) -> tuple[set[str], Mapping[str, RuleResult]]:
        results = by_rule(asked(url, passes=lambda: Passes(path=tmp_path / "passes.json"), wanted=Wanted(cached=True)))
        return {name for name, result in results.items() if result.cached_since is not None}, results

    def at_rest(url: str) -> set[str]:
        # Whatever the server writes by itself (a checkpoint, hints of rows that were read) has to come first.
        for _ in range(20):
            known, _results = look(url)
            if known:
                return known
            time.sleep(0.1)
        raise AssertionError("the server never came to rest")

    with PostgresServer(bascule_postgres_bin, settings={"autovacuum": "off"}) as server:
        url = server.create_database("still")
        execute(url, "create table p (id int primary key); create table c (id int primary key, p_id int)")
        execute(url, "alter table c add constraint c_p foreign key (p_id) references p not valid", "checkpoint")
        kept = at_rest(url)
        # Not what is declared, not counters, and not sequences, which move without a trace in the log.
        assert kept == {
            "fk_integrity",
            "not_null_constraints",
            "unique_constraints",
            "check_constraints",
            "referential_integrity",
            "data_type_validation",
            "orphaned_records",
            "duplicate_data",
        }
        execute(url, "set session_replication_role = replica; insert into c values (1, 9)")
        known, results = look(url)
        assert known == set()
        assert results["fk_integrity"].status == "fail"
        assert "fk_integrity" not in at_rest(url)
        with psycopg.connect(url) as open_one:
            open_one.execute("insert into p values (9)")
            assert look(url)[0] == set()
            # Not ended yet, so that nobody knows what it will have been.
            assert look(url)[0] == set()
        execute(url, "create unlogged table w (id int)")
        assert look(url)[0] == set()
        assert look(url)[0] == set()


STATES = """
create table tree (id int primary key, up int, next int);
insert into tree values (1, 1, 1), (2, 77, null);
alter table tree add foreign key (up) references tree deferrable initially deferred not valid;
create table pairs (a int, b int, primary key (a, b));
insert into pairs values (1, 1);
create table of_pairs (id int primary key, a int, b int);
insert into of_pairs values (1, 1, 1), (2, 1, null), (3, null, null), (4, 2, 2);
alter table of_pairs add constraint half foreign key (a, b) references pairs match full not valid;
create table only_replica (id int primary key, a int references tree);
do $$ declare name text; begin
  for name in select tgname from pg_trigger where tgrelid = 'only_replica'::regclass loop
    execute format('alter table only_replica enable replica trigger %I', name);
  end loop;
end $$;
insert into only_replica values (1, 404);
create domain money_like as numeric(12, 2);
create domain deeper as money_like;
create unlogged table numbers (id int primary key, d deeper, r real, f float8, n numeric);
insert into numbers values (1, 'NaN', 1, 1, 1), (2, 1, '-infinity', 'infinity', 'NaN'), (3, null, null, null, null);
create table dates (id int primary key, d date, t timestamp, z timestamptz);
insert into dates values (1, '-infinity', 'infinity', '-infinity'), (2, '0044-03-15 BC', '12000-01-01', null),
  (3, '9999-12-31', '0001-01-01', now());
create table whole (id int primary key, a int);
insert into whole values (1, null);
alter table whole add constraint filled check (whole is not null) not valid;
create table parted (id int, at date) partition by range (at);
create table parted_a partition of parted for values from ('2020-01-01') to ('2021-01-01') partition by list (id);
create table parted_a1 partition of parted_a for values in (1, 2);
insert into parted values (1, '2020-05-05');
alter table parted add constraint late check (at > '2020-06-01') not valid;
create table this (that int primary key, "value" int, "count(*)" int);
insert into this values (1, 9, -1);
alter table this add constraint "100%" check ("count(*)" % 2 >= 0) not valid;
alter table this add foreign key ("value") references this not valid;
create table no_columns ();
insert into no_columns default values;
insert into no_columns default values;
create table odd (j json, x point, b bytea);
insert into odd values ('{}', '(1,1)', '\\x00'), ('{}', '(1,1)', '\\x00');
create table alike (a int, b text collate "C");
create table emptied (id int primary key, at date, n numeric);
create materialized view seen as select 'NaN'::numeric as n;
create temporary table passing (n numeric);
"""
FOUND_IN_STATES = {
    "fk_integrity": {
        "tree (up) refers to no row of tree: 1 row",
        "of_pairs (a, b) refers to no row of pairs: 2 rows",
        "only_replica (a) refers to no row of tree: 1 row",
        "this (value) refers to no row of this: 1 row",
    },
    "check_constraints": {
        "whole breaks filled: 1 row",
        "parted_a1 breaks late: 1 row",
        "this breaks 100%: 1 row",
    },
    "referential_integrity": {
        "only_replica (a): the triggers of only_replica_a_fkey are disabled, so that nobody looks at new rows"
    },
    "data_type_validation": {
        "numbers.d is NaN or infinite: 1 row",
        "numbers.r is NaN or infinite: 1 row",
        "numbers.f is NaN or infinite: 1 row",
        "numbers.n is NaN or infinite: 1 row",
    },
    "data_range_validation": {
        "dates.d is infinite or outside of the years 1 to 9999: 2 rows",
        "dates.t is infinite or outside of the years 1 to 9999: 2 rows",
        "dates.z is infinite or outside of the years 1 to 9999: 1 row",
    },
}


@pytest.fixture(scope="module")
def states(bascule_postgres_server: PostgresServer) -> Iterator[Mapping[str, RuleResult]]:
    url = bascule_postgres_server.create_database("states")
    execute(url, STATES)
    if _version(url) >= 180000:
        execute(url, OF_18)
    with closing(PostgresReader(url)) as reader:
        yield by_rule(validate(Validation(reader=reader, clock=SystemClock())))
    bascule_postgres_server.drop_database("states")


OF_18 = """
create table loose (id int primary key, a int, half numeric generated always as (a / 0.5) virtual,
  constraint small check (a < 5) not enforced, constraint known foreign key (a) references pairs_one not enforced);
insert into loose values (1, 9);
alter table loose add column n float8, add column m float8 generated always as (n * 2) virtual;
update loose set n = 'NaN';
"""
OF_18 = "create table pairs_one (id int primary key);" + OF_18
FOUND_OF_18 = {
    "fk_integrity": {"loose (a) refers to no row of pairs_one: 1 row"},
    "check_constraints": {"loose breaks small: 1 row"},
    "data_type_validation": {"loose.n is NaN or infinite: 1 row", "loose.m is NaN or infinite: 1 row"},
}


@pytest.mark.parametrize("rule", FOUND_IN_STATES)
def test_odd_states_and_values_are_found_and_nothing_else_is(
    states: Mapping[str, RuleResult], bascule_postgres_server: PostgresServer, rule: str
) -> None:
    wanted = FOUND_IN_STATES[rule]
    if bascule_postgres_server.major >= 18:
        wanted = wanted | FOUND_OF_18.get(rule, set())
    assert set(states[rule].details["findings"]) == wanted
    assert "notLookedAt" not in states[rule].details


def test_what_cannot_be_grouped_takes_no_answer_away(states: Mapping[str, RuleResult]) -> None:
    assert "notLookedAt" not in states["duplicate_data"].details, states["duplicate_data"]
    assert states["duplicate_data"].status == "pass"


def test_aggregates_of_a_project_s_rule_are_read_in_the_same_pass(bascule_postgres_url: str) -> None:
    execute(
        bascule_postgres_url,
        "create table book (id int primary key, n int, pad text);"
        "insert into book select n, case when n = 60000 then 77 when n % 2 = 0 then -1 else 1 end, repeat('x', 250)"
        " from generate_series(1, 60000) n; delete from book where id = 1; analyze book",
    )
    report = asked(bascule_postgres_url, rules=(*BUILT_IN, as_rule(Balance)))
    result = by_rule(report)["balance"]
    assert result.status == "fail"
    assert result.details["findings"] == ["not balanced: sum(n) is 77", "book.n is 77: 1 row"]
    (words,) = result.details["notLookedAt"]
    assert words.startswith("max(n / 0.5): it raised AttributeError")
    assert result.details["rowsRead"] == 59_999
    assert [words.rpartition(" and ")[2] for words in result.details["plan"]] == ["4 aggregates"]
