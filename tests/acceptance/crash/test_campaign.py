"""A run that crashed is repaired by running it again. A sample of the campaign; all of it is

python -m tests.acceptance.crash.campaign --full
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.crash.histories import History
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


def groups(histories: tuple[History, ...]) -> list[str]:
    """Python has tests of its own: each of its runs starts interpreters."""
    return sorted({each.group for each in histories} - {"python"})


@pytest.mark.parametrize("group", groups(ON_SQLITE))
def test_on_sqlite_a_plain_rerun_ends_right_wherever_the_run_was_killed(group: str) -> None:
    crash("--database", "sqlite", "--group", group, "--sample", "2")


def test_on_sqlite_a_plain_rerun_of_python_ends_right_wherever_it_was_killed() -> None:
    crash("--database", "sqlite", "--group", "python", "--sample", "1", "--kind", "killed, looked at")


@pytest.mark.parametrize("group", groups(ON_POSTGRESQL))
def test_on_postgresql_a_plain_rerun_ends_right_wherever_client_or_server_died(
    group: str, bascule_postgres_bin: Path
) -> None:
    crash("--database", "postgresql", "--group", group, "--sample", "1", bin_dir=bascule_postgres_bin)


def test_on_postgresql_a_plain_rerun_of_python_ends_right_wherever_client_or_server_died(
    bascule_postgres_bin: Path,
) -> None:
    kinds = ("--kind", "killed, run again at once", "--kind", "sessions ended by the server")
    crash("--database", "postgresql", "--group", "python", "--sample", "1", *kinds, bin_dir=bascule_postgres_bin)
