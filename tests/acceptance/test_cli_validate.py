"""`bascule validate` as a user runs it, and `b.validation` from Python."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bascule import Bascule
from bascule.errors import UsageError
from tests.acceptance.beginnings import begin
from tests.acceptance.commandline import Project

SHOP = "20240101000000_shop"
UNIQUE = "20240102000000_unique"
RULES = {
    "fk_integrity",
    "not_null_constraints",
    "unique_constraints",
    "check_constraints",
    "referential_integrity",
    "data_type_validation",
    "data_range_validation",
    "orphaned_records",
    "duplicate_data",
    "data_consistency",
    "index_efficiency",
    "query_performance",
    "table_size",
    "connection_pool",
    "business_constraints",
    "data_retention",
    "audit_trail",
}
RESULT = {
    "ruleId",
    "ruleName",
    "category",
    "severity",
    "status",
    "message",
    "details",
    "sample",
    "executionTime",
    "timestamp",
    "sampled",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)

    def customers_and_orders() -> None:
        project.well("init")
        project.write(
            SHOP,
            "create table customers (id integer primary key, name text);"
            "create table orders (id integer primary key, customer_id integer references customers, total numeric);",
            "drop table orders; drop table customers;",
        )
        project.well("up")
        rows = ("insert into customers values (1, 'Ann'), (2, 'test Bob')", "insert into orders values (1, 1, 10)")
        fill(project, *rows)

    begin(project, "customers and orders", customers_and_orders)
    return project


def fill(project: Project, *statements: str) -> None:
    with closing(sqlite3.connect(project.folder / "bascule.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def configure(project: Project, text: str) -> None:
    path = project.folder / "bascule.toml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}", encoding="utf-8")


def results(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["ruleId"]: each for each in document["results"]}


def test_sound_data_is_valid_and_every_rule_answers(project: Project) -> None:
    answer = project.well("validate", "--json")
    assert answer.json["isValid"] is True
    assert set(results(answer.json)) == RULES
    assert all(set(each) == RESULT for each in answer.json["results"])
    assert answer.json["summary"]["total"] == 17
    assert answer.json["criticalIssues"] == []
    assert results(answer.json)["data_retention"]["message"] == "nothing declared"
    keys = results(answer.json)["fk_integrity"]
    assert keys["details"] == {"tests": 1, "rowsRead": 1, "plan": ["orders: (customer_id) joined with customers"]}
    assert set(answer.json["plan"]) >= set(keys["details"]["plan"])
    assert isinstance(keys["executionTime"], int)


def test_a_rule_of_severity_error_refuses_with_the_rows_named(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5)")
    answer = project.run("validate")
    assert answer.code == 3
    assert "orders (customer_id) refers to no row of customers: 1 row" in answer.out
    assert "orders id=2, customer_id=99" in answer.out
    assert "The database is unchanged." in answer.err
    told = project.run("validate", "--json")
    assert told.code == 3
    assert told.json["isValid"] is False
    (issue,) = told.json["criticalIssues"]
    assert issue.startswith("Foreign Key Integrity: ")


def test_warnings_refuse_in_strict_mode_only(project: Project) -> None:
    fill(project, "insert into orders values (2, 1, 'many')")
    answer = project.well("validate", "--json")
    assert answer.json["summary"]["warnings"] == 1
    assert answer.json["warnings"] == [
        "Data Type Validation: orders.total is not a number: 1 row",
    ]
    strict = project.run("validate", "--json", MIGRATION_VALIDATION_STRICT_MODE="true")
    assert (strict.code, strict.json["strict"], strict.json["isValid"]) == (3, True, False)


def test_rules_categories_and_tables_are_chosen(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5)")
    assert project.well("validate", "--table", "customers").code == 0
    assert list(results(project.run("validate", "--rule", "fk_integrity", "--json").json)) == ["fk_integrity"]
    performance = project.well("validate", "--category", "performance", "--json").json
    assert {each["category"] for each in performance["results"]} == {"performance"}
    both = project.well("validate", "--category", "performance", "--rule", "table_size", "--json").json
    assert list(results(both)) == ["table_size"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rule", "nothing"), "There is no rule and no category 'nothing'"),
        (("--table", "nowhere"), "There is no table 'nowhere'"),
        (("--category", "other"), "Invalid value for '--category'"),
        (("nobody",), "There is no migration nobody"),
    ],
)
def test_what_is_not_there_is_wrong_usage(project: Project, arguments: tuple[str, ...], words: str) -> None:
    answer = project.run("validate", *arguments)
    assert answer.code == 2
    assert words in answer.err


def test_what_a_pending_migration_needs_is_asked_too(project: Project) -> None:
    fill(project, "update customers set name = 'Ann'")
    project.write(UNIQUE, "create unique index one_name on customers (name);", "drop index one_name;")
    assert project.well("validate").code == 0
    answer = project.run("validate", "unique")
    assert answer.code == 3
    assert "customers (name) must be unique, but 2 rows share a value" in answer.out
    told = project.run("validate", "unique", "--json").json
    assert told["migrationName"] == UNIQUE
    assert [need["status"] for need in told["needs"]] == ["not_met"]
    assert project.well("validate", SHOP, "--after", "--json").json["after"] is True


def test_rules_are_declared_and_written_as_sql(project: Project) -> None:
    configure(
        project,
        """
        [[validation.rules]]
        rule = "business_constraints"
        message = "totals are not negative"
        table = "orders"
        check = "total >= 0"

        [[validation.rules]]
        id = "no_test_people"
        sql = "SELECT id, name FROM customers WHERE name LIKE 'test%'"
        severity = "error"
        """,
    )
    fill(project, "insert into orders values (2, 1, -5)")
    answer = project.run("validate", "--json")
    assert answer.code == 3
    found = results(answer.json)
    assert found["business_constraints"]["message"] == "totals are not negative: 1 row"
    assert found["business_constraints"]["sample"] == [{"table": "orders", "row": {"id": "2", "total": "-5"}}]
    assert found["no_test_people"]["status"] == "fail"
    assert found["no_test_people"]["sample"] == [{"row": {"id": "2", "name": "test Bob"}}]


def test_a_declaration_that_cannot_be_read_is_a_wrong_setting(project: Project) -> None:
    configure(project, '[[validation.rules]]\nrule = "data_retention"\ntable = "orders"\n')
    answer = project.run("validate")
    assert answer.code == 2
    assert "Setting validation.rules, table 1: it needs column with keep or sql." in answer.err


OWN = """
class Small:
    id = "small"
    name = "Orders Are Small"
    description = "no order is above 1000"
    category = "business_logic"
    severity = "error"

    def validate(self, reader, context):
        return reader.query("SELECT id FROM orders WHERE total > 1000")


def raises(reader):
    raise KeyError("gone")


def sleeps(reader):
    "sleeps too long"
    import time

    time.sleep(30)


raises.severity = sleeps.severity = "error"
"""


def test_rules_of_the_project_are_asked_and_cannot_break_the_others(project: Project) -> None:
    (project.folder / "shop_rules.py").write_text(OWN, encoding="utf-8")
    configure(project, '[validation]\ncustom = ["shop_rules"]\ntimeout = "1s"\n')
    fill(project, "insert into orders values (2, 1, 5000)")
    answer = project.run("validate", "--json")
    assert answer.code == 3
    found = results(answer.json)
    assert found["small"]["message"] == "no order is above 1000: 1 row"
    assert (found["raises"]["status"], found["raises"]["message"]) == ("error", "it raised KeyError: 'gone'")
    assert (found["sleeps"]["status"], found["sleeps"]["message"]) == ("error", "it took longer than 1 s")
    assert found["fk_integrity"]["status"] == "pass"


def test_rules_that_cannot_be_loaded_are_no_hollow_pass(project: Project) -> None:
    configure(project, '[validation]\ncustom = ["not_there"]\n')
    answer = project.run("validate", "--json")
    assert answer.code == 3
    assert "the rules of not_there cannot be loaded" in answer.json["errors"][0]


def test_nothing_is_written(project: Project) -> None:
    before = (project.folder / "bascule.db").read_bytes()
    project.well("validate")
    project.well("validate", SHOP)
    assert (project.folder / "bascule.db").read_bytes() == before


def test_on_postgresql(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.well("init")
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute("create table p (id int primary key)")
        connection.execute("create table c (id int primary key, p_id int, n numeric)")
        connection.execute("insert into c values (1, 7, 'NaN')")
        connection.execute("alter table c add constraint c_p foreign key (p_id) references p not valid")
    answer = project.run("validate", "--json")
    assert answer.code == 3
    found = results(answer.json)
    assert set(found) == RULES
    assert found["fk_integrity"]["message"] == "c (p_id) refers to no row of p: 1 row"
    assert found["data_type_validation"]["message"] == "c.n is NaN or infinite: 1 row"
    assert json.dumps(answer.json["plan"]).count("c: one pass for 1 condition") == 1


def service(project: Project) -> Bascule:
    return Bascule(
        url=f"sqlite:///{project.folder}/bascule.db",
        migrations_dir=project.folder / "migrations",
        environment="staging",
    )


def test_python_asks_for_tables_and_kinds_of_rules(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    fill(project, "insert into orders values (2, 99, 'x')")
    b = service(project)
    report = b.validation.validate_specific(["orders"], ["data_integrity"])
    assert not report.is_valid
    assert {result.rule_id for result in report.results if result.found} == {"fk_integrity", "data_type_validation"}
    assert b.validation.validate_specific(["customers"], ["data_integrity"]).is_valid
    assert b.validation.validate_specific(["orders"], ["data_type_validation"]).is_valid
    strict = b.validation.validate_specific(["orders"], ["data_type_validation"], context={"strict": True})
    assert not strict.is_valid
    with pytest.raises(UsageError):
        b.validation.validate_specific(["nowhere"])
    assert [rule.id for rule in b.validation.get_validation_rules("performance")] == [
        "index_efficiency",
        "query_performance",
        "table_size",
        "connection_pool",
    ]


def test_python_adds_rules_that_see_the_context(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    b = service(project)
    seen: list[Any] = []

    def witness(reader: Any, context: Any) -> bool:
        seen.append((context["migration"], context["environment"], reader.query("SELECT count(*) FROM customers")))
        return True

    b.validation.add_validation_rule(witness)
    report = b.validation.validate_before_migration("shop", context={"environment": "production"})
    assert report.is_valid
    assert report.summary["total"] == 18
    assert seen == [(SHOP, "production", [(2,)])]
    with pytest.raises(UsageError, match="no validation rule"):
        b.validation.add_validation_rule(object())


def test_python_tells_what_a_migration_broke_from_what_was_broken(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    fill(project, "insert into orders values (2, 99, 5)")
    project.write("20240103000000_break", "update orders set total = 'x' where id = 1;", "select 1;")
    b = service(project)
    before = b.validation.validate_before_migration("break")
    assert not before.is_valid
    b.migrations.execute_migration("break", accept_data_loss=True)
    after = b.validation.validate_after_migration("break")
    assert [issue.partition(":")[0] for issue in after.new_issues] == ["Data Type Validation"]
    assert [issue.partition(":")[0] for issue in after.critical_issues] == ["Foreign Key Integrity"]


BREAK = "20240103000000_break"


def test_a_run_tells_what_it_broke_from_what_was_broken(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5)")
    project.write(BREAK, "update orders set total = 'x' where id = 1;", "select 1;")
    answer = project.well("up", "--json", "--accept-data-loss")
    (run,) = answer.json["data"]
    assert run["validationResult"]["brokenBefore"] == [
        "Foreign Key Integrity: orders (customer_id) refers to no row of customers: 1 row"
    ]
    assert run["validationResult"]["newIssues"] == ["Data Type Validation: orders.total is not a number: 1 row"]
    assert f"Warning: {BREAK} has left new faults in the data: Data Type Validation" in answer.err
    assert answer.json["warnings"] == [
        f"{BREAK} has left new faults in the data: Data Type Validation: orders.total is not a number: 1 row"
    ]


def test_rows_that_lose_what_they_refer_to_are_new_faults(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5), (3, 2, 5)")
    project.write(BREAK, "delete from customers where id = 2;", "select 1;")
    (run,) = project.well("up", "--json", "--accept-data-loss", "--no-rollback-on-failure").json["data"]
    assert run["validationResult"]["newErrors"] == run["validationResult"]["newIssues"]
    assert run["validationResult"]["newIssues"] == [
        "Foreign Key Integrity: orders (customer_id) refers to no row of customers: 2 rows instead of 1"
    ]


def test_a_run_that_mends_or_writes_nothing_tells_no_new_faults(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5)")
    project.write("20240103000000_mend", "delete from orders where customer_id = 99;", "select 1;")
    project.write("20240104000000_more", "create table more (id integer primary key);", "drop table more;")
    mend, more = project.well("up", "--json", "--accept-data-loss").json["data"]
    assert len(mend["validationResult"]["brokenBefore"]) == 1
    assert mend["validationResult"]["newIssues"] == []
    assert "newIssues" not in more["validationResult"]


def test_a_rollback_tells_what_it_broke_too(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5)")
    project.write(BREAK, "insert into customers values (3, 'Eve');", "delete from customers where id in (2, 3);")
    project.well("up")
    fill(project, "insert into orders values (3, 2, 5)")
    given = ("rollback", "--json", "--accept-data-loss")
    answer = project.run(*given)
    (run,) = answer.json["data"]
    found = ["Foreign Key Integrity: orders (customer_id) refers to no row of customers: 2 rows instead of 1"]
    assert run["validationResult"]["newErrors"] == found
    assert len(run["validationResult"]["brokenBefore"]) == 1
    assert f"Warning: {BREAK} has left new faults in the data: {found[0]}" in answer.err
    fill(project, "insert into customers values (2, 'Bob')")
    project.well("up")
    (again,) = project.run(*given, "--no-validate").json["data"]
    assert again["validationResult"] is None


def test_no_rule_is_asked_around_a_run_without_validation(project: Project) -> None:
    configure(project, '[validation]\ncustom = ["not_there"]\n')
    project.write(BREAK, "update orders set total = 'x' where id = 1;", "select 1;")
    (run,) = project.well("up", "--json", "--accept-data-loss", "--no-validate").json["data"]
    assert run["validationResult"] is None


def test_on_postgresql_a_run_tells_what_it_broke(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.well("init")
    project.write(
        SHOP,
        "create schema app; create table app.customers (id int primary key);"
        "create table app.orders (id int primary key, customer_id int, total numeric);"
        "insert into app.customers values (1), (2); insert into app.orders values (1, 1, 1), (2, 2, 2);",
        "drop schema app cascade;",
    )
    project.write(BREAK, "delete from app.customers where id = 2;", "select 1;")
    project.write("20240104000000_nan", "update app.orders set total = 'NaN' where id = 1;", "select 1;")
    shop, gone, nan = project.well("up", "--json", "--accept-data-loss").json["data"]
    assert shop["validationResult"]["newIssues"] == []
    assert gone["validationResult"]["newIssues"] == [
        "Orphaned Records: app.orders.customer_id refers to no row of app.customers: 1 row"
    ]
    assert nan["validationResult"]["brokenBefore"] == gone["validationResult"]["newIssues"]
    assert nan["validationResult"]["newIssues"] == ["Data Type Validation: app.orders.total is NaN or infinite: 1 row"]


def test_in_strict_mode_faults_of_touched_tables_refuse_the_run(project: Project) -> None:
    fill(project, "insert into orders values (2, 1, 'many')", "create table other (id integer primary key)")
    project.write("20240102000000_other", "alter table other add column n int;", "alter table other drop column n;")
    strict = {"MIGRATION_VALIDATION_STRICT_MODE": "true"}
    # What is wrong elsewhere is nobody's business here.
    project.well("up", **strict)
    project.write(BREAK, "create index orders_total on orders (total);", "drop index orders_total;")
    answer = project.run("up", **strict)
    assert answer.code == 3
    assert "data_type_validation (warning): orders.total is not a number: 1 row" in answer.err
    assert "orders: id 2, total many" in answer.err
    assert "The database is unchanged." in answer.err
    told = project.run("up", "--json", **strict).json["error"]
    assert told["code"] == "data_not_valid"
    assert told["report"]["warnings"] == []
    assert told["report"]["errors"] == ["Data Type Validation: orders.total is not a number: 1 row"]
    assert BREAK not in project.names()
    project.well("up", "--dry-run", **strict)
    project.well("up", "--no-validate", **strict)


def test_without_strict_mode_what_was_broken_already_refuses_no_run(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5)")
    project.write(BREAK, "update orders set total = 6 where id = 2;", "select 1;")
    assert project.run("up", "--accept-data-loss", MIGRATION_VALIDATION_STRICT_MODE="true").code == 3
    (run,) = project.well("up", "--json", "--accept-data-loss").json["data"]
    assert len(run["validationResult"]["brokenBefore"]) == 1
    assert run["validationResult"]["newErrors"] == []
    assert run["rows"]["orders"]["digests"]["changedColumns"] == ["total"]


def test_a_later_look_tells_what_the_run_broke_from_what_was_broken(project: Project) -> None:
    fill(project, "insert into orders values (2, 99, 5)", "create table other (id integer primary key, at date)")
    project.write(BREAK, "update orders set total = 'x' where id = 1;", "select 1;")
    project.write("20240104000000_more", "create table more (id integer primary key);", "drop table more;")
    broke, _more = project.well("up", "--json", "--accept-data-loss").json["data"]
    # Of a table that the migration does not touch: nobody knows since when.
    fill(project, "insert into other values (1, 'soon')")
    told = project.run("validate", "break", "--after", "--json")
    assert told.code == 3
    assert told.json["newIssues"] == ["Data Type Validation: orders.total is not a number: 1 row"]
    assert told.json["newErrors"] == []
    assert told.json["comparedWith"]["runId"] == broke["id"]
    assert told.json["comparedWith"]["tables"] == ["orders"]
    assert "other.at is not a date: 1 row" in results(told.json)["data_type_validation"]["message"]
    shown = project.run("validate", "break", "--after")
    assert f"New since the run ({broke['id']}): Data Type Validation: orders.total is not a number" in shown.out
    fill(project, "delete from orders where id = 2", "update orders set total = 1")
    assert "Nothing is new since the run" in project.well("validate", "break", "--after").out
    assert "Nobody looked at the rows before the migration ran" in project.well("validate", "more", "--after").out
    assert "newIssues" not in project.well("validate", "more", "--after", "--json").json


def test_on_postgresql_strict_mode_looks_at_all_tables_where_code_cannot_be_followed(
    tmp_path: Path, bascule_postgres_url: str
) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.well("init")
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute("create schema app; create table app.t (id int primary key, at date)")
        connection.execute("insert into app.t values (1, 'infinity')")
    strict = {"MIGRATION_VALIDATION_STRICT_MODE": "true"}
    project.write(SHOP, "create table fine (id int primary key); insert into fine values (1);", "drop table fine;")
    project.well("up", **strict)
    project.write(BREAK, "do $$ begin perform 1; end $$;", "select 1;")
    answer = project.run("up", "--accept-data-loss", **strict)
    assert answer.code == 3
    assert "data_range_validation (warning): app.t.at is infinite" in answer.err


def test_a_plan_says_that_strict_mode_will_look(project: Project) -> None:
    project.write(BREAK, "create index orders_total on orders (total);", "drop index orders_total;")
    strict = project.well("plan", "--json", MIGRATION_VALIDATION_STRICT_MODE="true")
    assert "strict mode: the data rules about all tables" in strict.out
    assert "strict mode" not in project.well("plan", "--json").out
