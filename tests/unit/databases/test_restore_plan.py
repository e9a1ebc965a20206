"""What is dropped and made so that tables of a backup stand where they stood."""

from __future__ import annotations

import pytest

from bascule.databases.postgres.archive import Entry, read_entries, stored_entries, write_entries
from bascule.databases.postgres.restore_plan import closed_tables, plan_anew, plan_in_place
from bascule.errors import MigrationFailed, Refused


def entry(
    number: int, kind: str, tag: str, *needs: int, table: str | None = None, sql: str = "", oid: int | None = None
) -> Entry:
    """One of the schema ``public``."""
    post = kind in ("CONSTRAINT", "FK CONSTRAINT", "INDEX", "TRIGGER")
    name = tag.rpartition(" ")[2]
    drop = f"ALTER TABLE {table} DROP CONSTRAINT {name};" if "CONSTRAINT" in kind else f"DROP {kind} public.{name};"
    return Entry(
        id=number,
        kind=kind,
        section="post" if post else "none" if kind == "COMMENT" else "pre",
        schema="public",
        tag=tag,
        owner="owner",
        catalog=0 if kind == "COMMENT" else 1,
        oid=0 if kind == "COMMENT" else number if oid is None else oid,
        sql=sql or f"CREATE {kind} {tag}",
        drop="" if kind == "COMMENT" else drop,
        needs=needs,
        table=table,
    )


TYPE = entry(1, "TYPE", "mood")
A = entry(2, "TABLE", "a", 1, table="public.a")
B = entry(3, "TABLE", "b", table="public.b")
VIEW = entry(4, "VIEW", "v", 2)
A_KEY = entry(5, "CONSTRAINT", "a a_pkey", 2, table="public.a")
B_REFERS = entry(6, "FK CONSTRAINT", "b b_fkey", 3, 5, table="public.b")
WHOLE = (TYPE, A, B, VIEW, A_KEY, B_REFERS)
SOME = (TYPE, A, A_KEY)


def made(entries: tuple[Entry, ...]) -> list[str]:
    return [each.tag for each in entries]


def test_what_hangs_on_a_table_goes_first_and_comes_back_last() -> None:
    plan = plan_in_place(SOME, WHOLE, {"public.a"}, whole=False, same_database=True)
    assert plan.drops == (
        "ALTER TABLE public.b DROP CONSTRAINT b_fkey;",
        "DROP VIEW public.v;",
        "DROP TABLE public.a;",
    )
    assert made(plan.before) == ["a", "v"]
    assert made(plan.after) == ["a a_pkey", "b b_fkey"]
    assert plan.locked == ("public.a", "public.b")


def test_what_is_missing_is_made_and_what_is_there_stays() -> None:
    assert made(plan_in_place(SOME, (B,), {"public.a"}, whole=False, same_database=True).before) == ["mood", "a"]
    changed = entry(1, "TYPE", "mood", sql="CREATE TYPE mood with more")
    plan = plan_in_place(SOME, (changed, A, A_KEY), {"public.a"}, whole=False, same_database=True)
    assert made(plan.before) == ["a"]


def test_the_whole_database_takes_back_what_is_no_table_unless_others_use_it() -> None:
    changed = entry(1, "TYPE", "mood", sql="CREATE TYPE mood with more")
    tables = {"public.a", "public.b"}
    plan = plan_in_place(WHOLE, (changed, *WHOLE[1:]), tables, whole=True, same_database=True)
    assert plan.drops[-1] == "DROP TYPE public.mood;"
    assert made(plan.before) == ["mood", "a", "b", "v"]
    newer = entry(9, "TABLE", "newer", 1, table="public.newer")
    plan = plan_in_place(WHOLE, (changed, *WHOLE[1:], newer), tables, whole=True, same_database=True)
    assert "DROP TYPE public.mood;" not in plan.drops
    assert plan.notes == ("type public.mood was left as it is: tables that are not in the backup use it",)


def test_a_table_under_another_name_is_known_by_its_number_in_the_same_database() -> None:
    renamed = entry(2, "TABLE", "renamed", table="public.renamed")
    plan = plan_in_place(SOME, (TYPE, renamed), {"public.a"}, whole=False, same_database=True)
    assert plan.drops == ("DROP TABLE public.renamed;",)
    assert plan_in_place(SOME, (TYPE, renamed), {"public.a"}, whole=False, same_database=False).drops == ()


def test_a_table_that_cannot_be_without_another_is_named() -> None:
    child = entry(7, "TABLE", "child", 2, table="public.child")
    with pytest.raises(Refused, match=r"public\.child cannot be without"):
        plan_in_place(SOME, (*WHOLE, child), {"public.a"}, whole=False, same_database=True)


def test_into_an_empty_database_what_needs_more_than_the_backup_is_left_out_and_said() -> None:
    plan = plan_anew((TYPE, B, VIEW, B_REFERS), scratch=True)
    assert made(plan.before) == ["mood", "b"]
    assert plan.notes == (
        "view public.v needs what is not in the backup, and was left out",
        "fk constraint public.b b_fkey needs what is not in the backup, and was left out",
    )


def test_a_comment_comes_after_what_it_speaks_of() -> None:
    of_table = entry(10, "COMMENT", "TABLE b", 3, table="public.b")
    of_key = entry(11, "COMMENT", "CONSTRAINT b_fkey ON b", 6, 3, table="public.b")
    plan = plan_anew((B, of_table, of_key, A, A_KEY, B_REFERS), scratch=True)
    assert made(plan.before) == ["b", "TABLE b", "a"]
    entries = (A, B, of_table, A_KEY, B_REFERS, of_key)
    plan = plan_anew(entries, scratch=True)
    assert made(plan.after) == ["a a_pkey", "b b_fkey", "CONSTRAINT b_fkey ON b"]
    plan = plan_in_place(entries, entries, {"public.b"}, whole=False, same_database=True)
    assert made(plan.before) == ["b", "TABLE b"]
    assert made(plan.after) == ["b b_fkey", "CONSTRAINT b_fkey ON b"]


def test_partitions_go_with_their_table_at_any_depth() -> None:
    assert closed_tables(["a"], {"b": ["a"], "c": ["b"], "d": ["x"]}) == {"a", "b", "c"}


def test_entries_are_stored_as_they_are() -> None:
    assert stored_entries(b"".join(write_entries(WHOLE))) == WHOLE


@pytest.mark.parametrize("content", [b"", b"PGDMP", b"PGDMP\x01\x63\x00\x04\x08\x01", b"-- a script"])
def test_what_is_no_archive_or_a_newer_one_is_refused(content: bytes) -> None:
    with pytest.raises(MigrationFailed) as failed:
        read_entries(content)
    assert failed.value.code == "dump_failed"
