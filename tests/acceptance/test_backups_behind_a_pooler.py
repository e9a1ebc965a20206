"""Backups need pg_dump, whose settings a pooler in transaction mode would hand on to the application."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from bascule.testing import PgBouncer
from tests.acceptance.commandline import Project

pytestmark = [pytest.mark.postgresql, pytest.mark.pgbouncer]


@pytest.fixture
def project(tmp_path: Path, bascule_postgres_url: str, bascule_pgbouncer: PgBouncer) -> Project:
    pooled = bascule_pgbouncer.url(urlsplit(bascule_postgres_url).path[1:])
    project = Project(tmp_path, DATABASE_URL=pooled)
    project.write("1_users", "CREATE TABLE users (id int); INSERT INTO users VALUES (1);", "DROP TABLE users;")
    project.well("up")
    project.write("2_gone", "DROP TABLE users;", "CREATE TABLE users (id int);")
    return project


def test_through_the_pooler_alone_none_is_taken_and_nothing_is_left_in_its_sessions(project: Project) -> None:
    for arguments in (("up",), ("backup", "create")):
        refused = project.run(*arguments, "--json")
        assert (refused.code, refused.json["error"]["code"]) == (3, "behind_pooler"), refused
        assert refused.json["error"]["state"] == "unchanged"
    with psycopg.connect(project.environment["DATABASE_URL"], autocommit=True) as application:
        for _ in range(20):
            row = application.execute("SELECT current_setting('search_path'), count(*) FROM users").fetchone()
            assert row is not None
            assert row[0] != ""
    project.well("up", "--no-backup", "--accept-data-loss")


def test_a_way_past_it_is_taken(project: Project, bascule_postgres_url: str) -> None:
    answer = project.well("up", "--json", MIGRATION_DIRECT_URL=bascule_postgres_url)
    assert answer.json["data"][0]["backupPath"]
