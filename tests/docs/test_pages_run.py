"""What the tutorial, the how-to guides and the README show is done here, and happens as they show it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bascule.testing import PgBouncer
from tests.docs.pages import PAGES, ROOT, named, runs_on
from tests.docs.performing import Reader, programs

POSTGRESQL = "postgresql://app@db.example:5432/shop"
"""How the pages write the address of a PostgreSQL database…"""
POOLED = "postgresql://app@pooler.example:6432/shop"
"""…and that of the same one behind a pooler."""

MakeReader = Callable[..., Reader]


def pages_on(database: str) -> list[str]:
    return [named(page) for page in PAGES if runs_on(page) == database]


@pytest.fixture
def reader(tmp_path: Path) -> MakeReader:
    """Makes somebody at a terminal, in an empty folder."""

    def make(*more_programs: Path, **real: str) -> Reader:
        folder = tmp_path / "shop"
        folder.mkdir()
        path = [programs(tmp_path / "bin"), *more_programs, os.environ["PATH"]]
        environment = {"PATH": os.pathsep.join(map(str, path)), "HOME": str(tmp_path), "LANG": "C.UTF-8", "USER": "ann"}
        return Reader(folder=folder, environment=environment, real=real)

    return make


@pytest.mark.parametrize("page", pages_on("sqlite"))
def test_a_page_on_sqlite(page: str, reader: MakeReader) -> None:
    reader().perform(ROOT / page)


@pytest.mark.parametrize("page", pages_on("postgresql"))
def test_a_page_on_postgresql(
    page: str, reader: MakeReader, bascule_postgres_bin: Path, bascule_postgres_url: str
) -> None:
    reader(bascule_postgres_bin, **addresses(POSTGRESQL, bascule_postgres_url)).perform(ROOT / page)


@pytest.mark.parametrize("page", pages_on("pgbouncer"))
def test_a_page_behind_pgbouncer(
    page: str,
    reader: MakeReader,
    bascule_postgres_bin: Path,
    bascule_postgres_url: str,
    bascule_pgbouncer: PgBouncer,
) -> None:
    pooled = bascule_pgbouncer.url(urlsplit(bascule_postgres_url).path.removeprefix("/"))
    real = addresses(POSTGRESQL, bascule_postgres_url) | addresses(POOLED, pooled)
    reader(bascule_postgres_bin, **real).perform(ROOT / page)


def test_every_page_to_follow_is_followed() -> None:
    to_follow = [page for page in PAGES if page.parent.name in ("tutorial", "howto")]
    assert to_follow
    assert [named(page) for page in to_follow if runs_on(page) not in ("sqlite", "postgresql", "pgbouncer")] == []


def addresses(shown: str, real: str) -> dict[str, str]:
    """An address as the pages write it, and the parts of it that messages repeat."""
    one, other = urlsplit(shown), urlsplit(real)
    place, here = (f"{each.hostname}:{each.port}" for each in (one, other))
    return {shown: real, f"{place}{one.path}": f"{here}{other.path}", place: here}
