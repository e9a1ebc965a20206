"""`health`, `metrics`, `performance`, `report` and `export`, and `b.monitoring`, over what really ran."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bascule import Bascule, MigrationMonitoringService, wiring
from bascule.config.load import load
from bascule.errors import MigrationFailed, Refused, UsageError
from tests.acceptance.commandline import Project


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    project = Project(tmp_path, DATABASE_URL=url)
    project.write(
        "20240101000000_one", "create table one (id integer);\ninsert into one values (1), (2);", "drop table one;"
    )
    project.write("20240102000000_two", "create table two (id integer);", "drop table two;")
    return project


def test_what_ran_is_counted_measured_judged_and_exported(project: Project) -> None:
    project.well("up")
    project.well("rollback", "two")
    project.write("20240103000000_three", "create table one (id integer);", "")
    assert project.run("up").code == 1

    told = project.well("metrics", "--json").json
    metrics = told["metrics"]
    assert (metrics["totalMigrations"], metrics["successfulMigrations"], metrics["failedMigrations"]) == (4, 3, 1)
    assert (metrics["migrationSuccessRate"], metrics["rollbackCount"], metrics["rollbackSuccessRate"]) == (
        75.0,
        1,
        100.0,
    )
    assert metrics["lastMigrationTime"].endswith("Z")
    assert metrics["trends"][-1]["completed"] == 3
    records = told["performance"]
    assert [(each["migrationName"], each["status"]) for each in records] == [
        ("20240103000000_three", "failed"),
        ("20240102000000_two", "completed"),
        ("20240102000000_two", "rolled_back"),
        ("20240102000000_two", "completed"),
        ("20240101000000_one", "completed"),
    ]
    assert records[-1]["rowsAffected"] == 2
    assert project.well("performance", "--limit", "1", "--json").json == records[:1]
    assert "20240103000000_three" in project.well("performance").out
    assert "75 %" in project.well("metrics").out

    health = project.run("health", "--check", "--json")
    assert health.code == 3
    assert health.json["status"] == health.json["checks"]["migrations"] == "unhealthy"
    assert health.json["checks"]["database"] == "healthy"
    assert "20240103000000_three" in health.json["issues"][0]
    assert "bascule logs" in project.run("health").out

    rows = list(csv.DictReader(io.StringIO(project.well("export", "--format", "csv").out)))
    assert [row["status"] for row in rows] == ["failed", "completed", "rolled_back", "completed", "completed"]
    report = json.loads(project.well("export").out)
    assert report["metrics"]["totalMigrations"] == 4
    assert report["health"]["status"] == "unhealthy"
    project.well("report", "--html", "page.html")
    assert "20240103000000_three" in (project.folder / "page.html").read_text(encoding="utf-8")
    assert project.well("report", "--from", "2001-01-01", "--to", "2001-02-01", "--json").json["migrations"] == []
    assert project.run("report", "--from", "yesterday").code == 2


def test_the_textfile_is_written_by_runs_where_its_folder_is_named(project: Project) -> None:
    project.well("up", "one")
    assert not (project.folder / "migration-metrics").exists()
    project.well("up", MIGRATION_METRICS_DIR="m")
    text = (project.folder / "m" / "bascule.prom").read_text(encoding="utf-8")
    assert 'direction="up",outcome="completed"} 2' in text
    assert project.well("metrics", "--prometheus").out.count("# TYPE bascule_runs_total counter") == 1
    project.well("metrics", "--textfile")
    assert (project.folder / "migration-metrics" / "bascule.prom").is_file()


def test_without_monitoring_nothing_is_measured_and_everything_is_counted(project: Project) -> None:
    project.well("up", MIGRATION_MONITORING_ENABLED="false", MIGRATION_METRICS_DIR="m")
    told = project.well("metrics", "--json").json
    assert (told["metrics"]["totalMigrations"], told["performance"]) == (2, [])
    assert not (project.folder / "m").exists()


def test_nothing_is_made_by_looking(project: Project) -> None:
    for line in (("metrics",), ("performance",), ("health",), ("report",), ("export",)):
        project.well(*line)
    assert project.well("metrics", "--json").json["metrics"]["totalMigrations"] == 0
    assert not (project.folder / "app.db").exists()


def test_a_need_that_is_not_met_is_a_validation_failure(project: Project) -> None:
    project.write("20240104000000_twice", "insert into two values (7), (7);", "delete from two;")
    project.well("up")
    project.write("20240105000000_unique", "create unique index j on two (id);", "drop index j;")
    assert project.run("up").code == 3
    metrics = project.well("metrics", "--json").json["metrics"]
    # The first left duplicates, the second was refused for them.
    assert metrics["validationFailuresByRule"] == {"duplicate_data": 1, "needs": 1}
    assert (metrics["validationFailures"], metrics["failedMigrations"]) == (2, 0)
    health = project.well("health", "--json").json
    assert (health["status"], health["checks"]["validation"]) == ("degraded", "degraded")


def test_monitoring_from_python_has_the_promised_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.write("20240101000000_one", "create table one (id integer);", "drop table one;")
    project.write("20240102000000_bad", "create table one (id integer);", "")
    b = Bascule(url=f"sqlite:///{tmp_path}/app.db", migrations_dir=tmp_path / "migrations")
    assert isinstance(b.monitoring, MigrationMonitoringService)
    b.migrations.execute_migration("one")
    with pytest.raises((MigrationFailed, Refused)):
        b.migrations.execute_migration("bad")
    b.monitoring.register_metric("queue", lambda: 3)
    b.monitoring.register_metric("broken", lambda: 1 / 0)
    metrics = b.monitoring.get_metrics()
    assert (metrics.migration_success_rate, metrics.custom) == (50.0, {"queue": 3.0})
    health = b.monitoring.get_health_status()
    assert (health.status, health.checks["migrations"]) == ("unhealthy", "unhealthy")
    assert [each.status for each in b.monitoring.get_performance_data(limit=100)] == ["failed", "completed"]
    kept = b.monitoring.record_performance({"migrationName": "theirs", "executionTime": 5, "note": "by hand"})
    assert b.monitoring.get_performance_data(limit=1) == (kept,)
    assert kept.extra == {"note": "by hand"}
    with pytest.raises(UsageError):
        b.monitoring.record_performance({"migrationName": "theirs", "executionTime": "long"})
    report = b.monitoring.generate_report()
    assert len(report.runs) == 2
    assert b.monitoring.export_data("csv").startswith("id,name")
    assert b.monitoring.export_data("html").startswith("<!doctype html>")
    with pytest.raises(UsageError):
        b.monitoring.export_data("pdf")
    assert Bascule(url=f"sqlite:///{tmp_path}/none.db").monitoring.get_metrics().total_migrations == 0


def test_a_server_is_told_what_is_known_until_something_changes(project: Project) -> None:
    project.well("up", "one")
    settings = load(folder=project.folder, environ=project.environment)
    context = wiring.context(settings, publish=lambda event: None, say=lambda words: None, read_only=True)
    try:
        statuses = wiring.kept_status()
        healths = wiring.kept_health(settings, statuses)
        first, healthy = statuses.get(context), healths.get(context)
        assert statuses.get(context) is first
        assert healths.get(context) is healthy
        assert (len(first.situation.applied), healthy.checks["migrations"]) == (1, "healthy")
        project.write("20240103000000_three", "create table one (id integer);", "")
        assert project.run("up").code == 1
        again = statuses.get(context)
        assert (len(again.situation.applied), again.pending) == (2, ("20240103000000_three",))
        assert healths.get(context).status == "unhealthy"
    finally:
        context.target.close()


def test_a_target_that_is_not_there_is_unhealthy(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    project.write("20240101000000_one", "select 1;", "select 1;")
    answer = project.run("health", "--json")
    assert answer.code == 3
    assert set(answer.json["checks"].values()) == {"unhealthy"}
    assert any("Rollback could not be looked at" in words for words in answer.json["issues"])


def test_what_ran_without_a_backup_and_has_no_down_script_has_no_way_back(project: Project) -> None:
    project.well("up")
    assert project.well("health", "--json").json["checks"]["rollback"] == "healthy"
    project.write("20240103000000_oneway", "create table three (id integer);", None)
    project.well("up", "--no-backup", "--accept-data-loss")
    answer = project.well("health", "--json").json
    assert (answer["status"], answer["checks"]["rollback"]) == ("degraded", "degraded")
    assert "20240103000000_oneway" in " ".join(answer["issues"])
    assert project.run("health", "--check").code == 3


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_statement_of_a_transaction_has_its_own_time(
    kind: str, project: Project, request: pytest.FixtureRequest
) -> None:
    if kind == "postgresql":
        project.environment["DATABASE_URL"] = request.getfixturevalue("bascule_postgres_url")
        project.well("up")
    slow = (
        "select pg_sleep(0.5);"
        if kind == "postgresql"
        else "with recursive c(n) as (select 1 union all select n + 1 from c where n < 1500000) select max(n) from c;"
    )
    parts = ["create table five (id integer);", slow, "insert into five values (1);"]
    name = "20240105000000_parts"
    project.write(name, "\n".join([*parts, "insert into nowhere values (1);", "select 7;"]), "drop table five;")

    def told() -> list[tuple[str, float]]:
        done = project.run("up", "--no-backup", LOG_LEVEL="debug", LOG_FORMAT="json")
        lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        return [(each["outcome"], each.get("ms", 0.0)) for each in lines if each.get("migration") == name]

    found = told()
    assert [outcome for outcome, _ in found] == ["done, and undone"] * 3 + ["failed (error)"], "the last never ran"
    assert found[1][1] > 5 * max(found[0][1], found[2][1])
    project.write(name, "\n".join(parts), "drop table five;")
    found = told()
    assert [outcome for outcome, _ in found] == ["done"] * 3
    assert found[1][1] > 5 * max(found[0][1], found[2][1])
    project.well("rollback", "--accept-data-loss")


def test_the_log_shows_each_statement_with_its_time_and_no_secret(project: Project) -> None:
    secret = "correct-horse-battery"
    (project.folder / "bascule.toml").write_text(f'[variables]\npartner_token = "{secret}"\n', encoding="utf-8")
    project.write("20240103000000_role", "insert into one values (3);\nselect '${partner_token}';", "select 1;")
    loud = project.well("up", LOG_LEVEL="debug", LOG_FORMAT="json")
    lines = [json.loads(line) for line in loud.err.splitlines() if line.startswith("{")]
    told = [line for line in lines if line["logger"] == "bascule.sql"]
    assert any(line["statement"].startswith("insert into one values (3)") and line["ms"] >= 0 for line in told)
    assert any("${partner_token}" in line["statement"] for line in told)
    assert secret not in loud.err
    assert "select 1" not in project.well("rollback", LOG_LEVEL="info").err
