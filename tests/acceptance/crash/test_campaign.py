"""A run that crashed is repaired by running it again. A sample of the campaign; all of it is

python -m tests.acceptance.crash.campaign --full
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bascule.testing.binaries import postgres_major
from tests.acceptance.crash.campaign import HISTORIES
from tests.acceptance.crash.histories import NOT_MET
from tests.acceptance.crash.postgresql_histories import HISTORIES as ON_POSTGRESQL
from tests.acceptance.crash.sqlite_histories import HISTORIES as ON_SQLITE

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.timeout(400)


def crash(*arguments: str, bin_dir: Path | None = None) -> None:
    """Run the campaign in a process without threads, because it forks. Its table is in the failure."""
    environment = {**os.environ, **({"BASCULE_TEST_PG": str(bin_dir)} if bin_dir else {})}
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.crash.campaign", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"


def groups(*names: str) -> list[str]:
    return [word for name in names for word in ("--group", name)]


def kinds(*names: str) -> list[str]:
    return [word for name in names for word in ("--kind", name)]


PYTHON = "python"
"""A group with tests of its own: each of its runs starts interpreters."""
BACKUPS = "backups"
ON_A_SERVER = (("concurrently",), ("transactions", "undecidable"), ("steps", "rollback"))
"""Groups that share a server."""


def test_every_group_is_run() -> None:
    run = {PYTHON, BACKUPS, *(group for each in ON_A_SERVER for group in each)}
    assert {each.group for each in HISTORIES} == run


@pytest.mark.parametrize("together", ON_A_SERVER, ids=" and ".join)
def test_on_postgresql_a_plain_rerun_ends_right_wherever_client_or_server_died(
    together: tuple[str, ...], bascule_postgres_bin: Path
) -> None:
    # The versions of the server take turns: 15 and 18 run different pairs of history and crash, half of all together.
    turn = ("--spread", "4", "--turn", str(postgres_major(bascule_postgres_bin)))
    crash("--database", "postgresql", "--sample", "1", *turn, *groups(*together), bin_dir=bascule_postgres_bin)


def test_on_postgresql_a_plain_rerun_of_python_ends_right_wherever_client_or_server_died(
    bascule_postgres_bin: Path,
) -> None:
    some = kinds("killed, run again at once", "killed twice", "sessions ended by the server")
    sample = ("--sample", "1", "--spread", "3")
    crash("--database", "postgresql", *sample, *groups(PYTHON), *some, bin_dir=bascule_postgres_bin)


def test_on_sqlite_a_plain_rerun_ends_right_wherever_the_run_was_killed() -> None:
    others = {each.group for each in ON_SQLITE} - {PYTHON}
    crash("--database", "sqlite", "--sample", "1", "--spread", "2", *groups(*sorted(others)))


def test_on_sqlite_a_plain_rerun_of_python_ends_right_wherever_it_was_killed() -> None:
    some = kinds("killed, run again at once", "killed, looked at", "killed twice")
    crash("--database", "sqlite", "--sample", "1", "--spread", "3", *groups(PYTHON), *some)


def test_on_sqlite_a_backup_or_a_restore_that_was_killed_is_repaired_by_the_same_command() -> None:
    crash("--database", "sqlite", "--sample", "1", "--spread", "2", *groups(BACKUPS))


def test_on_postgresql_a_backup_or_a_restore_that_was_killed_is_repaired_by_the_same_command(
    bascule_postgres_bin: Path,
) -> None:
    sample = ("--sample", "1", "--spread", "4")
    crash("--database", "postgresql", *sample, *groups(BACKUPS), bin_dir=bascule_postgres_bin)


def test_what_nobody_can_decide_is_what_the_documentation_names() -> None:
    page = (ROOT / "docs" / "explanation" / "outside-a-transaction.md").read_text(encoding="utf-8")
    section = page.partition("## What nobody can decide")[2].partition("\n## ")[0]
    told = " ".join(section.replace("`", "").split())
    named = {*NOT_MET, *(each.undecidable for each in (*ON_SQLITE, *ON_POSTGRESQL) if each.undecidable)}
    assert [words for words in named if words not in told] == []
    # A bullet each, and a sentence each for what is SQLite's and what is both's.
    assert len(named) == section.count("\n- ") + 2
