"""OpenTelemetry is told of runs, by the command, from Python and by a server's workers; and no literal leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.collector import Collector, Span, collecting
from tests.acceptance.commandline import Project
from tests.acceptance.server.served import served, token

SECRET = "correct-horse-battery"
CLIENT, INTERNAL = 3, 1
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path, collector: Collector) -> Project:
    url = "sqlite:///app.db" if request.param == "sqlite" else request.getfixturevalue("bascule_postgres_url")
    return made(tmp_path, collector, url)


@pytest.fixture
def small(tmp_path: Path, collector: Collector) -> Project:
    return made(tmp_path, collector, "sqlite:///app.db")


def made(folder: Path, collector: Collector, url: str) -> Project:
    project = Project(folder, DATABASE_URL=url, **collector.environment)
    project.write(
        "20240101000000_one",
        f"create table one (id integer, name text default '{SECRET}');\n"
        f"insert into one values (1, '{SECRET}'), (2, 'b');",
        "drop table one;",
    )
    return project


def named(collector: Collector, name: str) -> Span:
    found = [span for span in collector.spans() if span.name == name]
    assert len(found) == 1, collector.tree()
    return found[0]


def dialect(project: Project) -> str:
    return project.environment["DATABASE_URL"].partition(":")[0]


def test_a_run_is_a_trace_of_its_migrations_and_steps_and_no_literal_is_in_it(
    project: Project, collector: Collector
) -> None:
    project.write("20240102000000_two", "create index i on one (id);", "drop index i;")
    project.well("up")
    assert collector.tree() == [
        "bascule up",
        "  up 20240101000000_one",
        "    BATCH",
        "  up 20240102000000_two",
        "    CREATE INDEX",
    ]
    spans = collector.spans()
    assert len({span.trace for span in spans}) == 1
    assert {span.service for span in spans} == {"bascule"}
    assert not any(span.error for span in spans)
    root, migration, batch = spans[:3]
    assert root.begun <= migration.begun <= batch.begun < batch.ended <= migration.ended <= root.ended
    assert (root.kind, batch.kind) == (INTERNAL, CLIENT)
    assert root.about["bascule.command"] == "up"
    assert root.about["bascule.environment"] == "development"
    assert root.about["db.system.name"] == batch.about["db.system.name"] == dialect(project)
    assert root.about["db.namespace"] in project.environment["DATABASE_URL"]
    assert migration.about["bascule.run.id"].startswith("20240101000000_one_")
    assert (migration.about["bascule.direction"], migration.about["bascule.rows"]) == ("up", 2)
    assert batch.about["db.query.text"] == (
        "create table one (id integer, name text default ?); insert into one values (?, ?), (?, ?)"
    )
    assert (batch.about["db.operation.name"], batch.about["db.operation.batch.size"]) == ("BATCH", 2)
    assert named(collector, "CREATE INDEX").about["db.query.text"] == "create index i on one (id)"
    assert not collector.holds(SECRET)


def test_what_fails_says_where_and_with_which_code_and_not_what_was_said(
    project: Project, collector: Collector
) -> None:
    project.well("up")
    collector.forget()
    project.write(
        "20240102000000_bad",
        f"create unique index u on one (id);\ninsert into one values (1, '{SECRET}');",
        "select 1;",
    )
    assert project.run("up").code == 1
    root, migration, batch = collector.spans()
    state = "23505" if dialect(project) == "postgresql" else "SQLITE_CONSTRAINT_UNIQUE"
    assert (root.error, migration.error, batch.error) == ("failed", "failed", state)
    assert batch.about["error.type"] == batch.about["db.response.status_code"] == state
    assert (batch.about["bascule.statement.number"], batch.about["bascule.statement.line"]) == (2, 3)
    assert (root.about["bascule.state"], migration.about["bascule.state"]) == ("unchanged", "unchanged")
    assert root.events == ("migration.recovery",)
    assert not collector.holds(SECRET)
    assert not collector.holds("already exists")


def test_rollbacks_and_backups_are_spans(project: Project, collector: Collector) -> None:
    project.well("up")
    collector.forget()
    project.well("rollback", "--accept-data-loss")
    tree = collector.tree()
    assert tree[0] == "bascule rollback"
    assert [line for line in tree if not line.startswith("    ")] == [
        "bascule rollback",
        "  backup",
        "  backup verification",
        "  down 20240101000000_one",
    ]
    assert tree[-1] == "    DROP TABLE"
    backup = named(collector, "backup")
    assert backup.ended - backup.begun > 1_000_000
    assert backup.about["bascule.backup.scope"] == "tables"
    assert named(collector, "backup verification").about["bascule.backup.good"] is True
    assert named(collector, "down 20240101000000_one").about["bascule.verdict"] == "exact"


def test_a_run_that_the_rows_refuse_is_a_trace_too(project: Project, collector: Collector) -> None:
    project.write(
        "20240101000000_one", "create table one (id integer);\ninsert into one values (7), (7);", "drop table one;"
    )
    project.write("20240102000000_unique", "create unique index j on one (id);", "drop index j;")
    project.well("up", "one")
    collector.forget()
    assert project.run("up").code == 3
    assert collector.tree() == ["bascule up", "  validation"]
    root, validation = collector.spans()
    assert (root.error, validation.error) == ("needs_not_met", "validation_failed")
    assert validation.about["bascule.rules"] == "needs"


def test_a_step_outside_a_transaction_is_a_span(
    tmp_path: Path, collector: Collector, bascule_postgres_url: str
) -> None:
    project = made(tmp_path, collector, bascule_postgres_url)
    project.write("20240102000000_i", "create index concurrently i on one (id);", "drop index i;")
    project.well("up")
    assert collector.tree()[-2:] == ["  up 20240102000000_i", "    CREATE INDEX"]


def test_hooks_and_the_statements_of_python_are_spans(project: Project, collector: Collector) -> None:
    hooks = project.folder / "migrations" / "hooks"
    hooks.mkdir()
    (hooks / "after_up.sql").write_text(f"-- migrate:up\ninsert into one values (9, '{SECRET}');\n", encoding="utf-8")
    (project.folder / "migrations" / "20240102000000_python.py").write_text(
        "def up(op):\n"
        f"    op.execute(\"insert into one values (3, '{SECRET}')\")\n"
        f"    op.execute(\"update one set name = '{SECRET}{'x' * 300}'\")\n"
        "def down(op):\n    pass\n",
        encoding="utf-8",
    )
    project.well("up")
    assert collector.tree()[-5:] == [
        "  up 20240102000000_python",
        "    Python",
        "      INSERT",
        "      UPDATE",
        "  INSERT",
    ]
    assert named(collector, "UPDATE").about["db.query.text"] == "update one set name = ?"
    assert not collector.holds(SECRET)


def test_what_goes_on_with_an_earlier_run_is_whole(project: Project, collector: Collector) -> None:
    up = "create table two (id integer);\ninsert into nope values (1);"
    project.write("20240102000000_steps", up, "drop table two;", options=" transaction:false")
    assert project.run("up", MIGRATION_ON_FAILURE="stop").code != 0
    project.write("20240102000000_steps", up.replace("nope", "two"), "drop table two;", options=" transaction:false")
    collector.forget()
    project.well("up")
    assert collector.tree() == ["bascule up", "  up 20240102000000_steps", "    INSERT"]
    assert not any(span.error for span in collector.spans())


def test_secret_variables_are_never_shown_even_as_names(small: Project, collector: Collector) -> None:
    (small.folder / "bascule.toml").write_text(f'[variables]\npartner_token = "{SECRET}"\n', encoding="utf-8")
    small.write("20240102000000_two", 'create table "${partner_token}" (id integer);', 'drop table "${partner_token}";')
    small.well("up")
    assert collector.spans()[-1].about["db.query.text"] == 'create table "${partner_token}" (id integer)'
    assert not collector.holds(SECRET)


def test_the_trace_of_whoever_starts_the_process_is_gone_on_with(small: Project, collector: Collector) -> None:
    small.well("up", TRACEPARENT=PARENT, OTEL_SERVICE_NAME="shop-migrations", OTEL_RESOURCE_ATTRIBUTES="team=data")
    root = named(collector, "bascule up")
    assert (root.trace, root.parent.hex()) == (PARENT.split("-")[1], PARENT.split("-")[2])
    assert root.service == "shop-migrations"


def test_metrics_have_the_names_and_values_that_prometheus_reads(project: Project, collector: Collector) -> None:
    project.well("up")
    text = project.well("metrics", "--prometheus").out
    told = collector.metrics()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert set(told) == {name for name in names if not name.startswith("bascule_health")}
    ups = {(about["direction"], about["outcome"]): value for about, value in told["bascule_runs_total"]}
    assert ups == {("up", "completed"): 1, ("up", "failed"): 0, ("down", "completed"): 0, ("down", "failed"): 0}
    assert told["bascule_migrations_pending"][0][1] == 0
    assert told["bascule_last_run_rows"][0][0]["target"]


def test_nothing_is_told_where_nothing_was_done_or_nobody_wants_it(small: Project, collector: Collector) -> None:
    small.well("status")
    small.well("up", MIGRATION_OTEL="false")
    small.well("up")
    assert collector.bodies == []
    for number, more in enumerate(
        (
            {"OTEL_SDK_DISABLED": "true"},
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
            {"MIGRATION_MONITORING_ENABLED": "false"},
        )
    ):
        small.write(
            f"2024020{number + 1}000000_more", f"create table t{number} (id integer);", f"drop table t{number};"
        )
        assert "OpenTelemetry" not in small.well("up", **more).err
        assert collector.bodies == []


def test_the_console_is_standard_error(small: Project, collector: Collector) -> None:
    told = small.well("up", "--json", OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="none")
    assert told.json["success"]
    assert '"name": "up 20240101000000_one"' in told.err
    assert SECRET not in told.err
    assert collector.bodies == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER names jaeger"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "only http/protobuf is spoken"),
    ],
)
def test_what_cannot_be_spoken_is_said(small: Project, more: dict[str, str], words: str) -> None:
    assert words in small.well("up", **more).err


def test_a_collector_that_is_not_there_delays_the_end_by_two_seconds_at_most(small: Project) -> None:
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    begun = time.monotonic()
    told = small.well("up", **address)
    # Two seconds, and what the command takes by itself on a machine that is busy.
    assert time.monotonic() - begun < 12
    assert "OpenTelemetry was not told all of it" in told.err
    assert "Traceback" not in told.err
    assert small.names() == {"20240101000000_one"}


def test_a_collector_that_does_not_answer_delays_the_end_by_two_seconds_at_most(
    small: Project, collector: Collector
) -> None:
    collector.gate.clear()
    begun = time.monotonic()
    told = small.well("up")
    assert time.monotonic() - begun < 12
    assert "OpenTelemetry was not told all of it: nobody took it within 2 s" in told.err


def test_a_collector_that_refuses_is_named_once_and_fails_nothing(small: Project, collector: Collector) -> None:
    collector.status = 401
    told = small.well("up")
    assert told.err.count("code: 401") == 1
    assert told.err.count("OpenTelemetry") == 1


def test_without_the_extra_the_run_goes_on_and_says_what_to_install(small: Project) -> None:
    empty = small.folder / "without" / "opentelemetry"
    empty.mkdir(parents=True)
    (empty / "__init__.py").touch()
    told = small.well("up", PYTHONPATH=str(empty.parent))
    assert "pip install 'bascule[otel]'" in told.err
    assert small.names() == {"20240101000000_one"}


def test_an_application_that_is_traced_has_the_run_in_its_own_trace(small: Project, collector: Collector) -> None:
    script = f"""
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from bascule import Bascule

provider = TracerProvider(resource=Resource({{"service.name": "shop"}}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter("{collector.url}/v1/traces")))
trace.set_tracer_provider(provider)
with trace.get_tracer("shop").start_as_current_span("start of the shop"):
    b = Bascule(url="sqlite:///app.db", migrations_dir="migrations", otel=True)
    b.migrations.execute_pending()
    b.migrations.rollback_migration("one", accept_data_loss=True)
"""
    environment = {name: it for name, it in small.environment.items() if not name.startswith(("OTEL", "MIGRATION"))}
    subprocess.run([sys.executable, "-c", script], cwd=small.folder, env=environment, check=True, timeout=60)
    spans = collector.spans()
    assert {span.service for span in spans} == {"shop"}
    assert len({span.trace for span in spans}) == 1
    own = [line for line in collector.tree() if not line.startswith("    ")]
    assert own == ["start of the shop", "  bascule execute_pending", "  bascule rollback"]
    # It has said nowhere where metrics go.
    assert collector.metrics() == {}


def test_a_run_over_rest_is_part_of_the_callers_trace_and_not_of_that_which_started_the_server(
    small: Project, collector: Collector
) -> None:
    small.environment |= {
        "BASCULE_SECRET_KEY": "a secret of thirty-two bytes, or more",
        "BASCULE_AUDIT_DIR": str(small.folder / "heads"),
        "TRACEPARENT": "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }
    small.well("init")
    migrator = token(small, "admin")
    with served(small) as server:
        body = {"migrationName": "one"}
        assert server.post("execute", body, migrator, traceparent=PARENT).data["status"] == "completed"
        root = named(collector, "bascule execute")
        assert (root.trace, root.parent.hex()) == (PARENT.split("-")[1], PARENT.split("-")[2])
        assert server.post("rollback", body | {"acceptDataLoss": True}, migrator).json["success"]
        root = named(collector, "bascule rollback")
        assert root.parent == b""
        assert not root.trace.startswith("ffff")
        until = time.monotonic() + 30
        while "bascule_health" not in collector.metrics() and time.monotonic() < until:
            time.sleep(0.1)
    assert {about["check"] for about, _ in collector.metrics()["bascule_health"]} >= {"database", "migrations"}
    assert not collector.holds(SECRET)
