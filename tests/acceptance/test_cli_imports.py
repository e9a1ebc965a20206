"""Starting quickly means importing little: what each command may load is written down here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commandline import Project

HEAVY = {
    "alembic",
    "asyncio",
    "django",
    "email",
    "fastapi",
    "google.protobuf",
    "http",
    "importlib.metadata",
    "logging",
    "multiprocessing",
    "opentelemetry.sdk",
    "opentelemetry.trace",
    "postgast",
    "psycopg",
    "pydantic",
    "rich",
    "sqlalchemy",
    "sqlite3",
    "ssl",
    "subprocess",
    "tomllib",
    "unittest",
}

_PROBE = """
import json, sys
from bascule.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def modules(project: Project, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(names)


def heavy(names: set[str]) -> set[str]:
    return names & HEAVY


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write("20240101000000_one", "create table one (id integer);", "drop table one;")
    return project


def test_help_loads_no_verb_no_settings_and_nothing_heavy(project: Project) -> None:
    names = modules(project, "--help")
    assert heavy(names) == set()
    ours = {name for name in names if name.startswith("bascule.")}
    assert ours <= {
        "bascule.cli",
        "bascule.cli.call",
        "bascule.cli.catalogue",
        "bascule.cli.group",
        "bascule.cli.main",
        "bascule.cli.options",
        "bascule.cli.output",
        "bascule.errors",
    }


def test_a_verbs_help_loads_that_verb_only(project: Project) -> None:
    names = modules(project, "up", "--help")
    assert heavy(names) == set()
    assert {name for name in names if name.startswith("bascule.cli.verbs.")} == {"bascule.cli.verbs.up"}


@pytest.mark.parametrize(
    "line", [("status",), ("status", "--json"), ("history",), ("logs",), ("doctor",)], ids=lambda line: " ".join(line)
)
def test_looking_at_an_sqlite_database_loads_its_driver_and_nothing_else_of_weight(
    project: Project, line: tuple[str, ...]
) -> None:
    names = modules(project, *line)
    # That a driver is installed is found out without importing it.
    assert heavy(names) == {"sqlite3"}
    assert not {name for name in names if name.startswith(("bascule.databases.postgres", "bascule.engine"))}


def test_an_sql_up_on_sqlite_draws_nothing_and_parses_no_postgresql(project: Project) -> None:
    assert heavy(modules(project, "up")) == {"sqlite3"}


def test_an_up_that_destroys_nothing_loads_nothing_of_backups(project: Project) -> None:
    names = modules(project, "up")
    assert not {name for name in names if name.startswith(("bascule.backups", "bascule.services.backup"))}


def test_an_up_with_nothing_to_do_does_not_even_load_the_engine(project: Project) -> None:
    project.well("up")
    names = modules(project, "up")
    assert heavy(names) == {"sqlite3"}
    assert not {name for name in names if name.startswith(("bascule.engine", "bascule.rollback", "bascule.sql"))}


def test_a_status_on_postgresql_loads_the_driver_and_no_parser(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write("20240101000000_one", "create table one (id integer);", "drop table one;")
    names = modules(project, "status")
    assert not names & {"sqlalchemy", "alembic", "pydantic", "rich", "postgast", "tomllib", "sqlite3"}
    assert not {name for name in names if name.startswith(("bascule.databases.sqlite", "bascule.engine"))}


def test_an_sql_up_on_postgresql_loads_no_orm(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write("20240101000000_one", "create table one (id integer);", "drop table one;")
    assert not modules(project, "up") & {"sqlalchemy", "alembic", "pydantic", "rich"}


def test_opentelemetry_is_loaded_by_what_has_done_something_and_nothing_else(project: Project) -> None:
    project.environment |= {"MIGRATION_OTEL": "true", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    for line in (("status",), ("plan",), ("history",)):
        assert not {
            name for name in modules(project, *line) if "opentelemetry" in name or "bascule.monitoring.otel" in name
        }, line
    # That it is installed is found out without importing it.
    assert heavy(modules(project, "up", "--dry-run")) == {"sqlite3"}
    assert {"opentelemetry.sdk", "opentelemetry.trace"} <= modules(project, "up")
    again = modules(project, "up")
    assert heavy(again) == {"sqlite3"}
    assert not {name for name in again if name.startswith("bascule.engine")}
