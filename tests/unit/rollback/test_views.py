"""Views made again, from a look: in order, with what belongs to them, and only where a script took them away."""

from __future__ import annotations

from typing import Any

from bascule.domain.schema import Difference, Snapshot
from bascule.rollback.mending import mends
from bascule.rollback.theirs import apart
from bascule.rollback.verdict import compare

CASCADE = "alter table t drop column a cascade"


def looked(**views: Any) -> Snapshot:
    return Snapshot(objects={key.replace("__", " ").replace("_0", "."): parts for key, parts in views.items()})


def test_views_come_behind_those_on_which_they_rest() -> None:
    before = looked(
        view__public_0a={"definition": " SELECT x FROM public.b;"},
        view__public_0b={"definition": " SELECT x FROM public.c;"},
        **{"materialized view public.c": {"definition": " SELECT x FROM t;", "populated": False}},
    )
    found = mends(before, Snapshot(), "postgresql", scripts=CASCADE)
    assert [each.sql.replace("\n", " ") for each in found] == [
        "CREATE MATERIALIZED VIEW public.c AS SELECT x FROM t WITH NO DATA",
        "CREATE VIEW public.b AS SELECT x FROM public.c",
        "CREATE VIEW public.a AS SELECT x FROM public.b",
    ]
    assert not any(each.refreshes for each in found)


def test_rights_options_and_hostile_names_are_as_they_were() -> None:
    before = looked(
        **{
            'view public."V; drop table t"': {
                "definition": " SELECT 1 AS a",
                "options": ["check_option=local"],
                "owner": "o'w",
                "comment": "it's",
                "grants": [
                    "PUBLIC: SELECT",
                    "a: b: INSERT, UPDATE with grant option",
                    "o'w: nothing",
                    "x: (granted by y)",
                ],
                "columns": [{"name": 'c"', "default": "1", "grants": ["r: SELECT (granted by o'w)"]}],
            }
        }
    )
    (mend,) = mends(before, Snapshot(), "postgresql", scripts=CASCADE)
    name = 'public."V; drop table t"'
    assert mend.sql == f"CREATE VIEW {name} WITH (check_option=E'local') AS\nSELECT 1 AS a"
    assert mend.then == (
        f'ALTER VIEW {name} ALTER COLUMN "c""" SET DEFAULT 1',
        f"COMMENT ON VIEW {name} IS E'it''s'",
        f"GRANT SELECT ON {name} TO PUBLIC",
        f'GRANT INSERT ON {name} TO "a: b"',
        f'GRANT UPDATE ON {name} TO "a: b" WITH GRANT OPTION',
        f'REVOKE ALL ON {name} FROM "o\'w"',
        f'GRANT SELECT ("c""") ON {name} TO "r"',
        f'ALTER VIEW {name} OWNER TO "o\'w"',
    )


def test_a_view_that_no_script_took_away_somebody_else_has_dropped() -> None:
    before = looked(view__public_0a={"definition": "SELECT 1"}, view__public_0named={"definition": "SELECT 1"})
    found = mends(before, Snapshot(), "postgresql", scripts="drop view named; select 1")
    assert [each.words for each in found] == ["view public.named made again"]


def test_only_what_others_changed_is_told_apart() -> None:
    def table(default: str, index: str) -> Snapshot:
        column = {"name": "a", "type": "text", "default": default}
        parts = {"columns": [column], "indexes": {"i": {"definition": f"CREATE INDEX i ON t ({index})"}}}
        return Snapshot(objects={"table t": parts})

    before, after = table("1", "a"), table("2", "b")
    differences = compare(before, after)
    assert len(differences) == 2
    mine, words = apart(before, after, differences, frozenset({("table t", "column", "a")}))
    assert [each.what.split()[0] for each in mine] == ["index"]
    assert words[0].startswith("table t: default of column a was 1, now 2: somebody else")
    assert apart(before, after, differences, ()) == (differences, ())
    assert isinstance(mine[0], Difference)
