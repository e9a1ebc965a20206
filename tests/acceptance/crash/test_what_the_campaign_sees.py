"""A campaign that finds nothing is worth something only if it finds what is there: here the product is made wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

CAMPAIGN = """
import sys
from tests.acceptance.crash.campaign import main
sys.exit(main(sys.argv[1:]))
"""


def faults_found(sabotage: str, *arguments: str, **environment: str) -> str:
    """What a campaign tells of a product that was sabotaged by these lines of Python. It must have failed."""
    done = subprocess.run(
        [sys.executable, "-c", sabotage + CAMPAIGN, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 1, f"{done.stderr}\n{done.stdout}"
    return done.stderr


def test_steps_that_leave_no_mark_are_seen_to_happen_twice() -> None:
    sabotage = """
from bascule.databases.sqlite import transaction
transaction.change_marks = lambda *_: None
"""
    words = faults_found(
        sabotage,
        *("--database", "sqlite", "--history", "stepwise", "--kind", "killed, run again at once", "--sample", "12"),
    )
    assert "WRONG (double)" in words


def test_a_broken_index_that_is_taken_for_whole_is_seen(bascule_postgres_bin: Path) -> None:
    sabotage = """
from bascule.databases.postgres import reconcile
from bascule.ports.database import Observation
reconcile.observe = lambda *_: Observation(state="complete", words="believed")
"""
    words = faults_found(
        sabotage,
        *("--database", "postgresql", "--history", "index alone", "--kind", "killed while at work"),
        BASCULE_TEST_PG=str(bascule_postgres_bin),
    )
    assert "WRONG (invalid)" in words


def test_an_error_that_calls_a_changed_database_unchanged_is_seen(bascule_postgres_bin: Path) -> None:
    sabotage = """
from bascule.services.carry_out import CarryOut
CarryOut._left = lambda *_: None
"""
    words = faults_found(
        sabotage,
        *("--database", "postgresql", "--history", "index alone", "--kind", "session ended while at work"),
        BASCULE_TEST_PG=str(bascule_postgres_bin),
    )
    assert "WRONG (told)" in words
