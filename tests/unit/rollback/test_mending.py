"""What a down script forgot, and the statements that make it as it was."""

from __future__ import annotations

from typing import Any

import pytest

from bascule.domain.schema import Snapshot
from bascule.rollback.made import made_by
from bascule.rollback.mending import mends
from bascule.sql.split import split

COLUMN = {"name": "a", "type": "integer", "not_null": False}


def look(**parts: Any) -> Snapshot:
    return Snapshot(objects={"table public.t": {"columns": [COLUMN]} | parts})


def column(**properties: Any) -> dict[str, Any]:
    return {"columns": [COLUMN | properties]}


CASES = {
    "a default": (column(default="1"), {}, ['ALTER TABLE public.t ALTER COLUMN "a" SET DEFAULT 1']),
    "a default too many": ({}, column(default="1"), ['ALTER TABLE public.t ALTER COLUMN "a" DROP DEFAULT']),
    "a default of a gone sequence": (column(default="nextval('s'::regclass)"), {}, []),
    "NOT NULL": (column(not_null=True), {}, ['ALTER TABLE public.t ALTER COLUMN "a" SET NOT NULL']),
    "NOT NULL too many": ({}, column(not_null=True), ['ALTER TABLE public.t ALTER COLUMN "a" DROP NOT NULL']),
    "a comment": (column(comment="it's \\"), {}, ["COMMENT ON COLUMN public.t.\"a\" IS E'it''s \\\\'"]),
    "a statistics target": (column(statistics=7), {}, ['ALTER TABLE public.t ALTER COLUMN "a" SET STATISTICS 7']),
    "an identity is its own": (column(identity="ALWAYS"), column(default="1"), []),
    "a constraint, keys first": (
        {
            "constraints": {
                "f": {"definition": "FOREIGN KEY (a) REFERENCES u(a)"},
                "k": {"definition": "PRIMARY KEY (a)"},
            }
        },
        {},
        [
            'ALTER TABLE public.t ADD CONSTRAINT "k" PRIMARY KEY (a)',
            'ALTER TABLE public.t ADD CONSTRAINT "f" FOREIGN KEY (a) REFERENCES u(a)',
        ],
    ),
    "a constraint under another name": (
        {"constraints": {"c": {"definition": "CHECK ((a > 0))"}}},
        {"constraints": {"t_a_check": {"definition": "CHECK ((a > 0))"}}},
        ['ALTER TABLE public.t RENAME CONSTRAINT "t_a_check" TO "c"'],
    ),
    "an index": (
        {"indexes": {"x": {"definition": "CREATE INDEX x ON public.t USING btree (lower(a))", "comment": "c"}}},
        {},
        ["CREATE INDEX x ON public.t USING btree (lower(a))", "COMMENT ON INDEX public.\"x\" IS E'c'"],
    ),
    "the index of a constraint is the constraint's": ({"indexes": {"t_pkey": {}}}, {}, []),
    "a column, for its values": (
        column(not_null=True, default="1", collation='"C"'),
        {"columns": []},
        ['ALTER TABLE public.t ADD COLUMN "a" integer COLLATE "C" DEFAULT 1'],
    ),
    "an identity column is nobody's to make": (column(identity="ALWAYS"), {"columns": []}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_differs_is_made_as_it_was(case: str) -> None:
    before, after, wanted = CASES[case]
    assert [each.sql for each in mends(look(**before), look(**after), "postgresql")] == wanted


def test_a_type_without_a_length_is_only_a_name() -> None:
    before, after = look(**column(type="character varying")), look(**column(type="text"))
    sql = 'ALTER TABLE public.t ALTER COLUMN "a" TYPE character varying'
    assert [each.sql for each in mends(before, after, "postgresql")] == [sql]
    assert mends(look(**column(type="character varying(9)")), after, "postgresql") == ()


def test_a_function_is_replaced_by_its_own_text_before_a_trigger_needs_it() -> None:
    text = "CREATE OR REPLACE FUNCTION public.f()\n RETURNS int LANGUAGE sql AS $$ SELECT 1 $$\n"
    trigger = {"triggers": {"x": {"definition": "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()"}}}
    before = Snapshot(objects={**look(**trigger).objects, "function public.f()": {"definition": text}})
    found = mends(before, look(), "postgresql")
    assert [each.words for each in found] == ["function public.f() as it was", "trigger x of public.t made again"]


def test_a_table_that_is_gone_is_not_mended() -> None:
    before = look(indexes={"x": {"definition": "CREATE INDEX x ON t (a)"}})
    assert mends(before, Snapshot(), "postgresql") == ()


def test_an_index_named_by_the_script_is_mended_where_nothing_is_left_of_its_table_in_the_look() -> None:
    parts = {"partial": True, "indexes": {"x": {"definition": "CREATE INDEX x ON t USING btree (a)", "named": True}}}
    before = Snapshot(objects={"table public.t": parts})
    assert [each.sql for each in mends(before, Snapshot(), "postgresql")] == ["CREATE INDEX x ON t USING btree (a)"]


def test_sqlites_texts_are_run_as_they_were() -> None:
    before = Snapshot(objects={"table t": {"sql": "CREATE TABLE t (a)", "indexes": {"X": "CREATE INDEX X on t(a)"}}})
    after = Snapshot(objects={"table t": {"sql": "CREATE TABLE t (a)"}})
    assert [each.sql for each in mends(before, after, "sqlite")] == ["CREATE INDEX X on t(a)"]


def test_what_the_scripts_made_is_taken_away_and_what_somebody_else_made_stays() -> None:
    there = {
        "constraints": {"ours": {"definition": "CHECK (a > 0)"}, "theirs": {"definition": "CHECK (a > 1)"}},
        "indexes": {"ix": {"definition": "CREATE INDEX ix ON public.t USING btree (a)"}},
        "triggers": {"tr": {"definition": "CREATE TRIGGER tr BEFORE UPDATE ON public.t"}},
    }
    after = Snapshot(
        objects={
            "table public.t": {"columns": [COLUMN]} | there,
            "function public.f(integer)": {"definition": "CREATE OR REPLACE FUNCTION"},
            "function public.g()": {"definition": "CREATE OR REPLACE FUNCTION"},
            "extension citext": {},
        }
    )
    script = (
        "ALTER TABLE t ADD CONSTRAINT ours CHECK (a > 0); CREATE INDEX ix ON t (a);"
        "CREATE TRIGGER tr BEFORE UPDATE ON t EXECUTE FUNCTION f(); CREATE EXTENSION IF NOT EXISTS citext;"
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
    )
    made = made_by(split(script, "postgresql"))
    assert [each.sql for each in mends(look(), after, "postgresql", made)] == [
        'DROP TRIGGER "tr" ON public.t',
        'ALTER TABLE public.t DROP CONSTRAINT "ours"',
        'DROP INDEX public."ix"',
        "DROP FUNCTION public.f(integer)",
        "DROP EXTENSION citext",
    ]
    assert mends(look(), after, "postgresql") == ()


def test_all_that_hangs_on_a_table_which_the_down_script_made_is_its_own() -> None:
    after = look(constraints={"t_a_fkey": {"definition": "FOREIGN KEY (a) REFERENCES u(a)"}})
    again = made_by(split("CREATE TABLE t (a int REFERENCES u)", "postgresql"))
    (mend,) = mends(look(), after, "postgresql", again, again)
    assert mend.sql == 'ALTER TABLE public.t DROP CONSTRAINT "t_a_fkey"'


def test_a_definition_that_changed_is_as_it_was() -> None:
    def indexed(definition: str, constraint: str) -> Snapshot:
        return look(indexes={"ix": {"definition": definition}}, constraints={"k": {"definition": constraint}})

    before = indexed("CREATE INDEX ix ON public.t USING btree (a)", "UNIQUE (a, b)")
    after = indexed("CREATE INDEX ix ON public.t USING btree (b)", "UNIQUE (b, a)")
    assert [(each.first, each.sql) for each in mends(before, after, "postgresql")] == [
        ("", 'ALTER TABLE public.t DROP CONSTRAINT "k", ADD CONSTRAINT "k" UNIQUE (a, b)'),
        ('DROP INDEX public."ix"', "CREATE INDEX ix ON public.t USING btree (a)"),
    ]
