"""What an administrator grants in Bascule's schema outlives Bascule's own upgrades, and nothing else is given away;
what an older version kept stays, and what it lacked is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bascule.state.tables import TABLES
from tests.integration.postgresql.target_builders import opened, rows

_RELEASE = "bascule.release(bigint, boolean)"


@pytest.fixture
def auditor(bascule_postgres_url: str) -> Iterator[str]:
    """A role that an administrator lets look at the ledger, after Bascule made its schema."""
    name = f"auditor_{bascule_postgres_url.rsplit('_', 1)[-1]}"
    with opened(bascule_postgres_url) as target:
        target.prepare()
    rows(bascule_postgres_url, f"CREATE ROLE {name}; GRANT SELECT ON bascule.ledger TO {name}")
    yield name
    rows(bascule_postgres_url, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def upgrade(url: str) -> None:
    """As a Bascule with other functions finds it."""
    rows(url, "UPDATE bascule.meta SET code = 'of another version'")
    with opened(url) as target:
        target.prepare()
    assert rows(url, "SELECT code FROM bascule.meta") != [("of another version",)]


def may_run(url: str, whom: str, function: str = _RELEASE) -> bool:
    return bool(rows(url, f"SELECT has_function_privilege('{whom}', '{function}', 'EXECUTE')")[0][0])


def test_an_upgrade_keeps_what_an_administrator_granted(bascule_postgres_url: str, auditor: str) -> None:
    rows(bascule_postgres_url, f"GRANT EXECUTE ON FUNCTION {_RELEASE} TO {auditor}")
    upgrade(bascule_postgres_url)
    assert rows(bascule_postgres_url, f"SELECT has_table_privilege('{auditor}', 'bascule.ledger', 'SELECT')") == [
        (True,)
    ]
    assert may_run(bascule_postgres_url, auditor)


def test_a_new_function_is_nobodys_but_theirs_who_could_run_all_that_were_there(
    bascule_postgres_url: str, auditor: str
) -> None:
    rows(bascule_postgres_url, f"DROP FUNCTION {_RELEASE}")
    upgrade(bascule_postgres_url)
    assert not may_run(bascule_postgres_url, "public")
    assert not may_run(bascule_postgres_url, auditor)
    rows(bascule_postgres_url, f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bascule TO {auditor}")
    rows(bascule_postgres_url, f"DROP FUNCTION {_RELEASE}")
    upgrade(bascule_postgres_url)
    assert may_run(bascule_postgres_url, auditor)
    assert not may_run(bascule_postgres_url, "public")


def test_an_older_layout_gets_the_state_store_and_keeps_all_else(bascule_postgres_url: str, auditor: str) -> None:
    rows(bascule_postgres_url, "INSERT INTO bascule.mark VALUES ('a', 'up', 1, 'd', 'r')")
    for table in re.findall(r"TABLE IF NOT EXISTS @(\w+)", " ".join(TABLES)):
        rows(bascule_postgres_url, f"DROP TABLE bascule.{table}")
    rows(bascule_postgres_url, "UPDATE bascule.meta SET layout = 1, code = 'of an older version'")
    with opened(bascule_postgres_url) as target:
        door = target.state()
        try:
            assert door.read("SELECT count(*) FROM @alert") == []
            door.write("INSERT INTO @note (target, key, at, value) VALUES (?, 'k', '', 'v')", (door.about(),))
            assert door.read("SELECT count(*) FROM @alert") == [(0,)]
        finally:
            door.close()
        assert target.marks() == {("a", "up"): {1: ("d", "r")}}
    held = f"SELECT has_table_privilege('{auditor}', 'bascule.{{}}', 'SELECT')"
    assert rows(bascule_postgres_url, held.format("ledger")) == [(True,)]
    assert rows(bascule_postgres_url, held.format("token")) == [(False,)]
