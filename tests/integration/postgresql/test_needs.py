"""Needs of pending migrations asked of a real server: what is refused would have failed, what is met runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest

from bascule.databases.postgres.target import PostgresTarget
from bascule.domain.event import Event
from bascule.errors import Refused
from bascule.monitoring.clock import SystemClock
from bascule.ports.database import TargetOptions, WorkFailed
from bascule.services import preflight
from bascule.services.compare import Comparison
from bascule.services.context import Context, Policy
from bascule.services.preflight import Answer, ask
from bascule.validation import counts
from tests.unit.planned import planned
from tests.unit.validation.needs.pending import needs

TODAY = """
create extension if not exists btree_gist;
create schema app;
create domain positive as int;
create domain even as int check (value % 2 = 0);
create domain filled as int not null;
create table users (id int primary key, email text, age positive, tall numeric, big bigint, word text, since date);
insert into users values
  (1, 'a@x', 30, 1.5, 1, '7', '2020-01-01'), (2, 'A@x', null, 'NaN', 3000000000, 'seven', 'infinity'),
  (3, 'a@x', -1, 12345.678, -5, '12 ', '2020-01-01'), (4, null, 5, null, null, null, null);
create table orders (id bigint, line int, user_id int, kind text, during int4range, primary key (id, line));
insert into orders values
  (1, 1, 1, 'a', '[1,5)'), (1, 2, 99, 'b', '[4,8)'), (2, 1, null, 'c', '[20,30)'), (3, 1, 98, 'a', null);
create table nothing (id int primary key, a int, b int);
create table pairs (a int, b int, unique (a, b));
insert into pairs values (1, 1);
create table parted (id int, at date, word text) partition by range (at);
create table parted_1 partition of parted for values from ('2020-01-01') to ('2021-01-01');
insert into parted values (1, '2020-02-01', 'x'), (1, '2020-03-01', null);
create table "we""ird; drop table users; --" ("k""ey" int primary key, "a b" text);
insert into "we""ird; drop table users; --" values (7, null);
create table keyless (a int, ü text);
insert into keyless values (1, 'x'), (1, 'x'), (null, 'y'), (null, 'z');
alter table orders add constraint waits foreign key (user_id) references users not valid;
create table inside (v positive);
insert into inside values (0);
create table parent (a int);
create table child (b int) inherits (parent);
insert into child values (null, 1);
create view seen as select * from pairs;
create table ranges (id int, word text, n int) partition by range (id, lower(word));
create table ranges_default partition of ranges default;
insert into ranges values (1, 'A', 0), (5, 'm', 1), (5, 'Z', 2), (9, null, 0);
create table listed (kind text, id int) partition by list (kind);
create table listed_default partition of listed default partition by range (id);
create table listed_all partition of listed_default for values from (0) to (100);
insert into listed values ('a', 1), ('b', 2), (null, 3);
create table coming (id int, word text, n int);
insert into coming values (20, 'x', 0), (40, 'x', 0), (30, null, 0);
create table made_of (id int, i int, g int generated always as (i + 1) stored);
insert into made_of values (1, 0), (2, 5), (3, null);
"""

BROKEN: dict[str, int] = {
    "alter table users alter email set not null": 1,
    "alter table public.users alter column age set not null": 1,
    "alter table users add x int not null": 4,
    "alter table users add x int, alter x set not null": 4,
    "alter table users add x positive not null": 4,
    "alter table keyless add x int unique nulls not distinct": 4,
    "alter table users add unique (email)": 2,
    "alter table keyless add unique (a)": 2,
    "alter table keyless add unique nulls not distinct (a)": 4,
    "create unique index on users (lower(email))": 3,
    "create unique index concurrently i on users (email) where id <> 2": 2,
    'create unique index on keyless ("ü" collate "C")': 2,
    "alter table users add constraint ck check (age > 0)": 1,
    "alter table users add check (users.age > 0 -- really\n)": 1,
    "alter table orders add check (1 / (user_id - 99) < 5)": 1,
    "alter table orders add foreign key (user_id) references users": 2,
    "alter table orders add foreign key (user_id, line) references pairs (a, b)": 2,
    "alter table orders add foreign key (user_id, line) references pairs (a, b) match full": 3,
    "alter table orders add foreign key (user_id, line) references pairs (a, b) not valid deferrable;"
    "alter table orders validate constraint orders_user_id_line_fkey": 2,
    "create table kinds (kind text primary key);alter table orders add foreign key (kind) references kinds": 4,
    "alter table users add foreign key (age) references users (id)": 3,
    "alter table orders validate constraint waits": 2,
    "alter table users alter email type varchar(2)": 3,
    "alter table users alter big type int": 1,
    "alter table users alter tall type numeric(5, 2)": 1,
    "alter table users alter word type int using word::int": 1,
    "alter table users alter word type int using (word || '')::int": 1,
    "alter table users alter word type even using (big::int8)": 3,
    "alter table users alter big type even": 3,
    "alter table users alter since type date using to_date(word, 'YYYY')": 1,
    "alter table keyless rename to k;alter table k alter a type filled using k.a": 2,
    "alter table parent alter a type filled": 1,
    "create domain low as int not null check (value < 2) check (value <> 1);alter table users alter age type low": 3,
    "create domain app.tens as int;alter table users alter word type app.tens using word::int": 1,
    "create type e as enum ('7', '12 ');alter table users alter word type e using word::text::e": 1,
    "alter table orders add exclude using gist (during with &&)": 2,
    "alter domain positive set not null": 1,
    'alter table "we""ird; drop table users; --" alter "a b" set not null': 1,
    "alter table parted alter word set not null": 1,
    "alter table parent alter a set not null": 1,
    "alter table users rename to people;alter table people add unique (email)": 2,
    "alter table orders add check (1 / (user_id - 99) < 5) not valid;"
    "alter table orders validate constraint orders_user_id_check": 1,
    "alter table made_of add primary key (id), add foreign key (i) references made_of": 2,
    "alter table users add column z int unique default 5": 4,
    "alter table keyless add z int default 5 primary key": 4,
    "alter table users add column z int check (z > 0) default 0": 4,
    "alter table users add column z int check (users.z > id) default 2": 3,
    "alter table users add column z text not null default 'x' constraint a check (z <> 'y') check (z <> 'x')": 4,
    "alter table users add z int check (z is not null)": 4,
    "alter table users add column z int references users default 9": 4,
    "alter table users rename to people;alter table people add z int references people (id) default 9": 4,
    "create table kinds (kind text primary key);alter table users add z text default 'k' references kinds": 4,
    "alter table users add column z even default 3": 4,
    "alter table made_of add column z int generated always as (10 / i) stored": 1,
    "alter table made_of add column z int not null generated always as (i * 2) stored": 1,
    "alter table made_of add column z int generated always as (i / 100) stored unique": 2,
    "alter table made_of add column z int check (z > 0) generated always as (i * 2) stored": 1,
    "alter table parted add column z int check (z > 0) default 0": 2,
    "create table r1 partition of ranges for values from (1, 'a') to (5, 'n')": 2,
    "create table r1 partition of ranges for values from (5, minvalue) to (5, maxvalue)": 2,
    "create table r1 partition of ranges for values from (minvalue, minvalue) to (5, 'm')": 1,
    "create table l1 partition of listed for values in ('a', null)": 2,
    "alter table ranges attach partition coming for values from (10, 'a') to (40, 'a')": 2,
}

MET = (
    "alter table users alter id set not null",
    "alter table nothing add x int not null",
    "alter table users add x int not null default 1",
    "alter table users add unique (id, email)",
    "alter table nothing add unique (a, b) deferrable",
    "create unique index on users (email) where age > 0 and id > 1",
    "create unique index if not exists users_pkey on users (email)",
    "alter table users add column if not exists email int not null",
    "alter table users add check (age > -5)",
    "alter table users add foreign key (id) references users (id)",
    "alter table users alter email type varchar(3)",
    "alter table users alter big type numeric(12)",
    "alter table users alter tall type numeric(7, 2)",
    "alter table users alter age type bigint",
    "alter table users alter word type text",
    "alter table users alter since type timestamptz",
    "alter table only parent add unique (a)",
    "create unique index on parted (id, at)",
    "create table fresh (a int);insert into fresh values (null);create unique index on fresh (a)",
    "alter table parent add check (a > 0) no inherit",
    "alter table orders add constraint c check (line > 7) not valid",
    "alter table users add column z int unique",
    "alter table nothing add column z int unique default 5",
    "alter table users add column z int check (z > 0) default 1",
    "alter table users add column z int check (z > 0)",
    "alter table users add column if not exists id int check (id > 5) default 0",
    "alter table users add column z uuid unique default gen_random_uuid()",
    "alter table users add column z int references users default 1",
    "alter table users add column z even default 4",
    "alter table users add column z double precision not null default 1.5 check (z > 1)",
    "alter table made_of add column z int generated always as (10 / (i + 1)) stored",
    "create unique index on only parted (id, at)",
    "alter table only parted add unique (id, at)",
    "create table r1 partition of ranges for values from (6, 'a') to (7, 'a')",
    "create table l1 partition of listed for values in ('c', 'd')",
    "create table p2 partition of parted for values from ('2022-01-01') to ('2023-01-01')",
    "alter table ranges detach partition ranges_default",
)


@pytest.fixture
def url(bascule_postgres_url: str) -> str:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute(TODAY.encode())
    return bascule_postgres_url


@pytest.fixture
def context(url: str) -> Iterator[Context]:
    target = PostgresTarget(url, TargetOptions())
    yield _context(target)
    target.close()


def _context(target: PostgresTarget, publish: Any = lambda event: None) -> Context:
    return Context(
        source=cast("Any", None),
        target=target,
        policy=Policy(),
        clock=SystemClock(),
        publish=publish,
        say=lambda words: None,
    )


def answers(context: Context, *scripts: str) -> list[Answer]:
    return list(ask(context, needs(*scripts)))


def run(url: str, script: str) -> None:
    """As the server takes it, and undone where that is possible."""
    with psycopg.connect(url, autocommit=True) as connection:
        if "concurrently" in script:
            connection.execute(script.encode())
            return
        connection.execute(b"begin")
        connection.execute(script.encode())
        connection.execute(b"rollback")


@pytest.mark.parametrize("script", BROKEN)
def test_rows_that_break_a_need_are_counted_and_the_server_refuses_them_too(
    script: str, url: str, context: Context
) -> None:
    broken = [answer for answer in answers(context, script) if answer.status == "not_met"]
    assert len(broken) == 1, [(answer.status, answer.why) for answer in answers(context, script)]
    assert broken[0].offenders == BROKEN[script]
    assert broken[0].sample
    with pytest.raises(psycopg.Error) as caught:
        run(url, script)
    assert (caught.value.sqlstate or "")[:2] in ("22", "23"), "it is the rows that it refuses"


@pytest.mark.parametrize("script", MET)
def test_a_need_that_is_met_runs(script: str, url: str, context: Context) -> None:
    assert {answer.status for answer in answers(context, script)} <= {"met"}
    run(url, script)


def test_one_statement_may_need_several_things(url: str, context: Context) -> None:
    key, domain = "alter table keyless add primary key (a)", "alter domain positive add check (value > 0)"
    assert [answer.offenders for answer in answers(context, key)] == [2, 2]
    found = answers(context, domain)
    assert [(answer.need.table.name, answer.offenders) for answer in found] == [("inside", 1), ("users", 1)]
    for script in (key, domain):
        with pytest.raises(psycopg.errors.IntegrityError):
            run(url, script)


def test_a_partition_that_is_attached_has_to_fit_and_to_take_nothing_from_the_default(
    url: str, context: Context
) -> None:
    script = "alter table ranges attach partition coming for values from (1, 'a') to (1, 'b')"
    found = [(answer.need.table.name, answer.offenders) for answer in answers(context, script)]
    assert found == [("ranges_default", 1), ("coming", 3)]
    with pytest.raises(psycopg.errors.IntegrityError):
        run(url, script)


def test_rows_written_to_the_parent_first_leave_the_default_partition_open(context: Context) -> None:
    script = (
        "insert into ranges values (7, 'a', 0);create table r1 partition of ranges for values from (1, 'a') to (5, 'n')"
    )
    assert [answer.status for answer in answers(context, script)] == ["not_judged"]


def test_an_index_of_a_partitioned_table_alone_asks_no_row(url: str, context: Context) -> None:
    run(url, "insert into parted values (1, '2020-02-01', 'x')")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into parted values (1, '2020-02-01', 'x')")
    for script in ("create unique index on only parted (id, at)", "alter table only parted add unique (id, at)"):
        assert {answer.status for answer in answers(context, script)} == {"met"}
        run(url, script)
    assert [answer.status for answer in answers(context, "create unique index on parted (id, at)")] == ["not_met"]


def test_a_default_that_calls_functions_is_not_judged_and_nothing_is_called(url: str, context: Context) -> None:
    script = "alter table users add column z int default nextval('s') check (z > 100)"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create sequence s")
        assert [answer.status for answer in answers(context, script)] == ["not_judged"]
        assert connection.execute("select last_value, is_called from s").fetchone() == (1, False)


def test_an_expression_that_a_column_is_computed_by_anew_is_tried(url: str, context: Context) -> None:
    script = "alter table made_of alter g set expression as (10 / i)"
    assert [answer.offenders for answer in answers(context, script)] == [1]
    with psycopg.connect(url) as connection:
        sqlstate = "22012" if connection.info.server_version >= 170000 else "42601"
    with pytest.raises(psycopg.Error) as caught:
        run(url, script)
    assert caught.value.sqlstate == sqlstate


def test_the_rows_are_named_by_their_key(context: Context) -> None:
    (answer,) = answers(context, "alter table orders add foreign key (user_id) references users")
    assert answer.heading == ("id", "line", "user_id")
    assert answer.sample == (("1", "2", "99"), ("3", "1", "98"))
    (answer,) = answers(context, "alter table users alter word type int using (word || '0')::int")
    assert (answer.heading, answer.sample) == (("id", "word"), (("2", "seven"), ("3", "12 ")))
    assert answer.why == 'invalid input syntax for type integer: "seven0"'
    (answer,) = answers(context, "alter table parted alter word type date using word::text::date")
    assert (answer.heading, answer.sample) == (("ctid", "word"), (("(0,1)", "x"),))
    (answer,) = answers(context, "alter table users add unique (email)")
    assert answer.heading == ("email", "rows", "first id")
    assert answer.sample == (("a@x", "2", "1"),)
    (answer,) = answers(context, 'alter table "we""ird; drop table users; --" alter "a b" set not null')
    assert list(answer.lines())[1] == '    k"ey 7, a b NULL'


def test_the_search_path_of_the_script_finds_its_tables(url: str, context: Context) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table app.users (id int); insert into app.users values (null), (null)")
    (answer,) = answers(context, "set search_path to app;\nalter table users alter id set not null")
    assert answer.offenders == 2
    (answer,) = answers(context, "set local search_path = app;\nalter table users alter id set not null")
    assert answer.offenders == 2
    (answer,) = answers(context, "alter table users alter id set not null")
    assert answer.status == "met"


def test_triggers_and_cascades_of_rows_changed_before_leave_it_open(url: str, context: Context) -> None:
    script = "delete from nothing;\nalter table users alter email set not null"
    assert [answer.status for answer in answers(context, script)] == ["not_met"]
    with psycopg.connect(url) as connection:
        connection.execute(
            "create function mend() returns trigger language plpgsql as "
            "'begin update users set email = id; return null; end'; "
            "create trigger mends after delete on nothing execute function mend()"
        )
    (answer,) = answers(context, script)
    assert answer.status == "not_judged"
    assert "line 1 changes rows of nothing first, whose triggers" in answer.why


def test_a_partition_that_is_dropped_first_takes_its_rows_away(url: str, context: Context) -> None:
    script = "drop table parted_1;\nalter table parted alter word set not null"
    (answer,) = answers(context, script)
    assert answer.status == "not_judged"
    run(url, script)


def test_settings_of_the_script_do_not_lift_the_bounds(context: Context) -> None:
    with pytest.raises(WorkFailed) as caught:
        context.target.query("select pg_sleep(5)", seconds=0.1, settings=("reset all", "reset statement_timeout -- x"))
    assert caught.value.kind == "timeout"


def test_a_question_that_takes_too_long_is_neither_a_pass_nor_a_refusal(
    url: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "ONE", 0.2)
    (answer,) = answers(context, "alter table users add check (pg_sleep(id) is not null and id > 0)")
    assert (answer.status, answer.why) == ("not_looked_at", "it took longer than 0.2 s")


def test_a_table_that_somebody_has_locked_is_not_waited_for(url: str, context: Context) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("lock table users in access exclusive mode")
        (answer,) = answers(context, "alter table users alter email set not null")
    assert answer.status == "not_looked_at"
    assert "lock" in answer.why


def test_rows_hidden_by_row_security_are_not_taken_for_none(url: str, context: Context) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "create role sees_little; create table kept (a int); insert into kept values (null); "
            "alter table kept enable row level security; grant select on kept to sees_little"
        )
    try:
        with pytest.raises(WorkFailed) as caught:
            context.target.query("select count(*) from kept", seconds=5, settings=("set role sees_little",))
        assert caught.value.sqlstate == "42501"
    finally:
        with psycopg.connect(url) as connection:
            connection.execute("drop owned by sees_little; drop role sees_little")


def test_the_look_writes_nothing_and_leaves_no_setting_behind(context: Context) -> None:
    with pytest.raises(WorkFailed) as caught:
        context.target.query("select nextval('s')", seconds=5, settings=("set search_path to app",))
    assert caught.value.sqlstate in ("42P01", "25006")
    with pytest.raises(WorkFailed, match="read-only"):
        context.target.query("delete from public.users returning 1", seconds=5)
    rows = context.target.query(
        "select current_setting('search_path'), current_setting('statement_timeout'), current_setting('row_security')"
    )
    assert rows == [('"$user", public', "0", "on")]


def test_nothing_is_asked_where_nothing_is_needed(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a question was asked")

    monkeypatch.setattr(context.target, "query", never)
    script = "create table t (a int not null); create index on t (a); alter table users add y int"
    assert preflight.preflight(context, planned(script)) == ()


def test_a_refusal_tells_listeners_and_names_all(url: str) -> None:
    events: list[Event] = []
    target = PostgresTarget(url, TargetOptions())
    context = _context(target, events.append)
    script = "alter table users alter email set not null;\nalter table users add unique (email)"
    with pytest.raises(Refused) as caught:
        preflight.preflight(context, planned(script))
    target.close()
    assert caught.value.code == "needs_not_met"
    assert caught.value.state == "unchanged"
    assert "m1.sql:1: users.email must not be NULL, but 1 row is NULL there.\n      id 4, email NULL" in (
        caught.value.message
    )
    assert [need["status"] for need in caught.value.details["report"]["needs"]] == ["not_met", "not_met"]
    assert [event.name for event in events] == ["migration.validation_failed"]


def test_a_writer_is_not_held_up(url: str, context: Context) -> None:
    """The look holds no lock that an INSERT or UPDATE waits for."""
    done = threading.Event()

    def write() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("set lock_timeout = '50ms'; update users set email = 'z' where id = 4")
        done.set()

    slow = "alter table users add check (pg_sleep(0.1) is not null)"
    thread = threading.Thread(target=write)
    asked = ask(context, needs(slow))
    thread.start()
    list(asked)
    thread.join()
    assert done.is_set()


def test_a_large_table_is_not_counted_but_estimated(
    url: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SMALL", 0)
    with psycopg.connect(url) as connection:
        connection.execute("analyze users")
    (migration,) = planned("set search_path to public;\nupdate users set email = 'x'")
    comparison = Comparison(context=context)
    comparison.before(migration)
    (told,) = comparison.after(migration)["rows"].values()
    assert told | {"before": 4, "after": 4, "estimated": True} == told


def compared_around(context: Context, url: str, script: str) -> dict[str, Any]:
    (migration,) = planned(script)
    comparison = Comparison(context=context)
    comparison.before(migration)
    with psycopg.connect(url) as connection:
        connection.execute(script.encode())
    rows: dict[str, Any] = comparison.after(migration)["rows"]
    return rows


def test_the_columns_whose_values_changed_are_named(url: str, context: Context) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "create table t (id int primary key, x text, y numeric, z jsonb); create table unkeyed (a int, b int);"
            "create table parts (id int primary key, v text) partition by range (id);"
            "create table parts_1 partition of parts for values from (0) to (10);"
            "create table parts_2 partition of parts for values from (10) to (20)"
        )
        connection.execute("insert into t values (1, 'a', 1.0, '{}'), (2, 'b', 'NaN', null)")
        connection.execute("insert into unkeyed values (1, 1), (2, 2); insert into parts values (1, 'a'), (11, 'b')")
    told = compared_around(
        context,
        url,
        "update t set y = 1.00 where id = 1; update unkeyed set b = 3 - a; update parts set v = 'c' where id = 11;"
        "create table made as select 1 as n",
    )
    changed = {name: each["digests"]["changedColumns"] for name, each in told.items()}
    # The values of b are the same ones, in other rows: which only the digest of both tells.
    assert changed == {"t": ["y"], "unkeyed": [], "parts": ["v"]}
    assert told["unkeyed"]["digests"]["before"] != told["unkeyed"]["digests"]["after"]
    told = compared_around(context, url, "update t set x = x; alter table t alter id type bigint")
    assert told["t"]["digests"]["changedColumns"] == []
    told = compared_around(context, url, "alter table unkeyed add primary key (a); update unkeyed set b = b")
    assert told["unkeyed"]["digestsNotTaken"] == "its primary key is another one now, and digests are seeded with it"
    with psycopg.connect(url) as connection:
        connection.execute("insert into t select n, repeat(n::text, 200) from generate_series(3, 40000) n")
    told = compared_around(context, url, "update t set x = '' where id = 1")
    assert told["t"]["digestsNotTaken"] == "it is larger than 16 MiB"
