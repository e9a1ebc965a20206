"""What the plan says of statements that run outside of a transaction and may not be told after a crash.

A procedure may end transactions of its own, so where its author turned the surrounding one off it runs alone.
"""

from __future__ import annotations

import pytest

from bascule.cli.statements import plan_lines
from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.plan import PlannedMigration
from bascule.planning.steps import plan_migration

CALL = "CREATE TABLE t (n integer);\nCALL fill();\nINSERT INTO t VALUES (1);"


def planned(text: str, *, transaction: bool) -> PlannedMigration:
    script = Script(text=text, path="1_m.sql", transaction=transaction)
    ref = MigrationRef(name="1_m", version="1", order=(1,), path="1_m.sql")
    return plan_migration(Migration(ref=ref, up=script, down=None, exact_hash=""), "up", "postgresql")


def kinds(plan: PlannedMigration) -> list[str]:
    return [step.kind for step in plan.steps]


def test_in_a_transaction_it_is_a_statement_like_any_other() -> None:
    plan = planned(CALL, transaction=True)
    assert kinds(plan) == ["transaction"]
    assert plan.undecidable == ()


def test_without_one_it_runs_alone_and_the_plan_says_that_nobody_can_tell_how_far_it_came() -> None:
    plan = planned(CALL, transaction=False)
    assert kinds(plan) == ["marked", "bare", "marked"]
    assert [words.partition(":")[0] for words in plan.undecidable] == ["line 2"]


def test_in_a_transaction_of_the_authors_own_it_stays() -> None:
    plan = planned(f"BEGIN;\n{CALL}\nCOMMIT;\nBEGIN;\nDROP TABLE t;\nCOMMIT;", transaction=False)
    assert kinds(plan) == ["marked", "marked"]
    assert plan.undecidable == ()


def test_a_repeatable_call_is_no_question() -> None:
    plan = planned("-- bascule: repeatable\nCALL fill();\nCREATE TABLE t (n integer);", transaction=False)
    assert kinds(plan) == ["bare", "marked"]
    assert plan.undecidable == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CALL fill()", "CALL may end its own transactions; after a crash nobody can tell how far it came"),
        (
            "DO $$ BEGIN COMMIT; END $$",
            "DO may end its own transactions; after a crash nobody can tell how far it came",
        ),
        ("VACUUM FULL t", "VACUUM FULL rewrites tables under their strongest lock"),
        ("CLUSTER", "CLUSTER rewrites tables under their strongest lock"),
        ("CREATE INDEX CONCURRENTLY ON t (n)", "CREATE INDEX CONCURRENTLY gives the index no name"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED leaves nothing in the catalog to be looked for"),
    ],
)
def test_the_plan_says_why_a_crash_would_leave_a_question(text: str, words: str) -> None:
    plan = planned(f"CREATE TABLE t (n integer);\n{text};", transaction=False)
    assert len(plan.undecidable) == 1
    assert plan.undecidable[0].startswith(f"line 2: {words}")
    assert any("only a person can say whether it ran" in line for line in plan_lines((plan,)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("VACUUM t", "run again after a crash"),
        ("-- bascule: repeatable\nVACUUM FULL t", "run again after a crash"),
        ("CREATE INDEX CONCURRENTLY i ON t (n)", "looked for in the catalog after a crash"),
    ],
)
def test_the_plan_says_what_a_crash_would_be_followed_by(text: str, words: str) -> None:
    plan = planned(f"CREATE TABLE t (n integer);\n{text};", transaction=False)
    assert plan.undecidable == ()
    assert any(words in line for line in plan_lines((plan,)))
