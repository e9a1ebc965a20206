"""A project with a history, served; and a token of each role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bascule.access.roles import ROLES
from tests.acceptance.commandline import Project
from tests.acceptance.server.served import Server, served, token

SECRET = "a secret of thirty-two bytes, or more"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder: Path = tmp_path_factory.mktemp("served")
    project = Project(
        folder,
        DATABASE_URL="sqlite:///app.db",
        BASCULE_SECRET_KEY=SECRET,
        BASCULE_JWT_AUDIENCE="bascule",
        BASCULE_AUDIT_DIR=str(folder / "heads"),
    )
    (folder / "bascule.toml").write_text("[server]\nreads = 100000\nchanges = 100000\nfailures = 100000\n")
    project.write(
        "20240101000000_AddUsers", "create table users (id integer primary key, name text);", "drop table users;"
    )
    project.well("up")
    project.write("20240102000000_AddNewTable", "create table fresh (id integer primary key);", "drop table fresh;")
    return project


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Server]:
    with served(project) as found:
        yield found


@pytest.fixture(scope="module")
def tokens(project: Project) -> Mapping[str, str]:
    return {role: token(project, role) for role in ROLES}
