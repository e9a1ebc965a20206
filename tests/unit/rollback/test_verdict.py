"""The comparison of two looks at a schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.schema import Difference, Snapshot
from bascule.rollback.verdict import compare, verdict

Object = dict[str, Any]


def column(name: str, kind: str = "integer", **more: Any) -> Object:
    return {"name": name, "type": kind, "not_null": False, **more}


def table(*columns: Object, **more: Any) -> Object:
    return {"owner": "me", "columns": list(columns), **more}


def index(text: str) -> Object:
    return {"definition": text}


def whole(**objects: Object) -> Snapshot:
    return Snapshot(objects={name.replace("_", " ", 1): parts for name, parts in objects.items()}, whole=True)


def part(**objects: Object) -> Snapshot:
    return Snapshot(objects={name.replace("_", " ", 1): parts for name, parts in objects.items()})


def words(before: Snapshot, after: Snapshot) -> list[str]:
    return [f"{each.object}: {each.what}" for each in compare(before, after)]


def weight(before: Snapshot, after: Snapshot) -> str:
    return verdict(compare(before, after))


def test_nothing_is_exactly_nothing() -> None:
    assert compare(Snapshot(), Snapshot()) == ()
    assert verdict(()) == "exact"


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (["column_order"], "column_order"),
        (["cosmetic", "column_order"], "cosmetic"),
        (["column_order", "lossy", "cosmetic"], "lossy"),
    ],
)
def test_the_heaviest_difference_decides(weights: list[Any], expected: str) -> None:
    assert verdict(Difference(object="table t", what="…", weight=each) for each in weights) == expected


def test_a_missing_and_a_remaining_object_are_told() -> None:
    assert words(whole(table_a=table()), whole(table_b=table())) == [
        "table a: it is missing",
        "table b: it is left behind",
    ]


def test_columns_that_changed_places_are_told_apart_from_those_that_came_or_went() -> None:
    a, b, c, d = (column(name) for name in "abcd")

    assert words(whole(table_t=table(a, b, c)), whole(table_t=table(a, c, b))) == [
        "table t: columns are in another order: they were a, b, c, now a, c, b"
    ]
    assert words(whole(table_t=table(a, b, c)), whole(table_t=table(a, c))) == ["table t: column b is missing"]
    assert words(whole(table_t=table(a, b)), whole(table_t=table(d, a, b))) == ["table t: column d is left behind"]
    assert words(whole(table_t=table(a, b, c)), whole(table_t=table(c, a, d))) == [
        "table t: column b is missing",
        "table t: column d is left behind",
        "table t: columns are in another order: they were a, c, now c, a",
    ]


def test_the_order_in_a_composite_type_is_part_of_its_meaning_and_that_of_a_view_is_in_its_definition() -> None:
    a, b = column("a"), column("b")

    assert weight(whole(type_t=table(a, b)), whole(type_t=table(b, a))) == "lossy"
    assert weight(whole(view_t=table(a, b)), whole(view_t=table(b, a))) == "exact"


def test_every_property_of_a_column_counts_but_storage_follows_the_type() -> None:
    before = whole(table_t=table(column("a", default="0", storage="main")))

    assert words(before, whole(table_t=table(column("a")))) == [
        "table t: default of column a was 0, now none",
        "table t: storage of column a was main, now none",
    ]
    assert words(before, whole(table_t=table(column("a", "text", default="0")))) == [
        "table t: type of column a was integer, now text"
    ]


@pytest.mark.parametrize("items", ["constraints", "statistics"])
def test_the_same_item_under_another_name_is_cosmetic(items: str) -> None:
    before = whole(table_t=table(**{items: {"one": {"definition": "CHECK (a > 0)"}}}))

    assert weight(before, whole(table_t=table(**{items: {"two": {"definition": "CHECK (a > 0)"}}}))) == "cosmetic"
    assert weight(before, whole(table_t=table(**{items: {"two": {"definition": "CHECK (a > 1)"}}}))) == "lossy"


def test_a_trigger_under_another_name_fires_in_another_order_and_so_is_another() -> None:
    before = whole(table_t=table(triggers={"one": {"definition": "…"}}))

    assert words(before, whole(table_t=table(triggers={"two": {"definition": "…"}}))) == [
        "table t: trigger one is missing",
        "table t: trigger two is left behind",
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("CREATE INDEX one ON s.t USING btree (a)", "CREATE INDEX two ON s.t USING btree (a)"),
        (
            'CREATE UNIQUE INDEX "O ne""" ON ONLY s.t USING btree (a)',
            "CREATE UNIQUE INDEX two ON ONLY s.t USING btree (a)",
        ),
    ],
)
def test_an_index_holds_its_own_name_in_its_definition(one: str, two: str) -> None:
    assert words(
        whole(table_t=table(indexes={"one": index(one)})), whole(table_t=table(indexes={"two": index(two)}))
    ) == ["table t: index one is now named two"]


def test_several_indexes_alike_are_matched_one_to_one() -> None:
    text = "CREATE INDEX {} ON s.t USING btree (a)"
    before = whole(table_t=table(indexes={name: index(text.format(name)) for name in ("a", "b", "c")}))
    after = whole(table_t=table(indexes={name: index(text.format(name)) for name in ("x", "y")}))

    assert sorted(words(before, after)) == [
        "table t: index a is now named x",
        "table t: index b is now named y",
        "table t: index c is missing",
    ]


def test_the_index_of_a_constraint_is_told_with_the_constraint() -> None:
    before = table(constraints={"pk": {"definition": "PRIMARY KEY (a)"}}, indexes={"pk": {}})
    renamed = table(constraints={"key": {"definition": "PRIMARY KEY (a)"}}, indexes={"key": {}})

    assert words(whole(table_t=before), whole(table_t=table())) == ["table t: constraint pk is missing"]
    assert words(whole(table_t=before), whole(table_t=renamed)) == ["table t: constraint pk is now named key"]
    assert words(whole(table_t=before), whole(table_t={**before, "indexes": {"pk": {"clustered": True}}})) == [
        "table t: index pk was not what CLUSTER goes by, now what CLUSTER goes by"
    ]


def sequence(column_: str = "id", **more: Any) -> Object:
    return {"owner": "me", "increment": 1, "owned_by": {"table": "t", "column": column_}, **more}


def test_a_sequence_with_a_number_behind_its_name_is_the_same_one_and_so_is_its_default() -> None:
    before = whole(table_t=table(column("id", default="nextval('t_id_seq'::regclass)")), sequence_t_id_seq=sequence())
    after = whole(table_t=table(column("id", default="nextval('t_id_seq1'::regclass)")), sequence_t_id_seq1=sequence())

    assert words(before, after) == ["sequence t_id_seq: it is now named t_id_seq1"]
    assert weight(before, after) == "cosmetic"


def test_a_sequence_that_differs_or_belongs_to_nobody_is_not_taken_for_another() -> None:
    assert weight(whole(sequence_a=sequence()), whole(sequence_b=sequence(increment=2))) == "lossy"
    assert weight(whole(sequence_a={"increment": 1}), whole(sequence_b={"increment": 1})) == "lossy"


def test_a_sequence_that_went_with_its_column_is_not_told_twice() -> None:
    before = whole(table_t=table(column("id")), sequence_s=sequence())

    assert words(before, whole(table_t=table())) == ["table t: column id is missing"]
    assert words(before, whole()) == ["table t: it is missing"]
    assert words(before, whole(table_t=table(column("id")))) == ["sequence s: it is missing"]


def routine(text: str, language: str = "plpgsql") -> Object:
    quoted = f"CREATE OR REPLACE FUNCTION f()\n RETURNS text\n LANGUAGE {language}\nAS $function$ {text} $function$\n"
    return {"owner": "me", "language": language, "definition": quoted}


@pytest.mark.parametrize(
    ("one", "other", "language", "expected"),
    [
        ("BEGIN RETURN 'a'; END", "begin\n\treturn 'a'; -- so\nend", "plpgsql", "cosmetic"),
        ("SELECT 'a  b'", "SELECT 'a b'", "sql", "lossy"),
        ("BEGIN RETURN $x$a  b$x$; END", "BEGIN RETURN $x$a b$x$; END", "plpgsql", "lossy"),
        ('SELECT "A"', "SELECT a", "sql", "lossy"),
        ("if x:\n  return 1", "if x: return 1", "plpython3u", "lossy"),
        ("SELECT 'unclosed", "SELECT 'unclosed ", "sql", "lossy"),
    ],
)
def test_a_body_differs_in_layout_or_in_meaning(one: str, other: str, language: str, expected: str) -> None:
    assert weight(whole(function_f=routine(one, language)), whole(function_f=routine(other, language))) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"owner": "a"}, {"owner": "b"}, "the owner was a, now b"),
        ({"comment": "x"}, {}, "comment was x, now none"),
        ({"options": ["a=1", "b=2"]}, {"options": ["b=2"]}, "option a=1 is missing"),
        ({"labels": ["a", "b"]}, {"labels": ["b", "a"]}, "labels were a, b, now b, a"),
        ({"grants": ["bob: SELECT"]}, {}, "privileges were bob: SELECT, now the usual"),
        ({"row_security": True}, {}, "it was under row level security, now not under row level security"),
        ({"comment": "y" * 300}, {}, f"comment was {'y' * 200}…, now none"),
    ],
)
def test_what_belongs_to_the_object_itself_is_told(before: Object, after: Object, expected: str) -> None:
    assert words(whole(table_t=before), whole(table_t=after)) == [f"table t: {expected}"]


# Looks at single objects


def test_of_an_unnamed_table_only_the_items_seen_before_count() -> None:
    one, two = {"definition": "FOREIGN KEY (a) …"}, {"definition": "FOREIGN KEY (b) …"}
    before = part(table_t={"partial": True, "constraints": {"one": one}})

    assert words(before, part(table_t={"partial": True, "constraints": {"one": one, "two": two}})) == []
    assert words(before, part(table_t=table(column("a"), constraints={"one": one, "two": two}))) == []
    assert words(before, part()) == ["table t: constraint one is missing"]
    assert words(before, part(table_t={"partial": True, "constraints": {"two": two}})) == [
        "table t: constraint one is missing"
    ]


def test_the_default_of_an_unnamed_table_s_column_is_found_in_either_form() -> None:
    before = part(table_t={"partial": True, "defaults": {"a": "f()"}})

    assert words(before, part()) == ["table t: default of column a was f(), now none"]
    assert words(before, part(table_t=table(column("a", default="f()")))) == []
    assert words(before, part(table_t=table(column("a")))) == ["table t: default of column a was f(), now none"]


def test_something_unnamed_that_is_seen_only_after_was_there_before() -> None:
    view = {"owner": "me", "linked": True, "definition": "SELECT 1"}

    assert (
        words(part(), part(view_v=view, table_t={"partial": True, "constraints": {"one": {"definition": "…"}}})) == []
    )
    assert words(part(view_v=view), part()) == ["view v: it is missing"]


def test_an_index_that_was_named_itself_counts_also_when_it_is_new() -> None:
    seen = part(table_t={"partial": True, "indexes": {"i": {**index("CREATE INDEX i ON t (a)"), "named": True}}})

    assert words(part(), seen) == ["table t: index i is left behind"]
    assert words(seen, part()) == ["table t: index i is missing"]
    assert words(part(table_t={"partial": True, "indexes": {"j": index("…")}}), seen) == [
        "table t: index j is missing",
        "table t: index i is left behind",
    ]


def test_that_a_table_is_linked_no_more_is_no_difference() -> None:
    assert words(part(view_v={"linked": True, "definition": "x"}), part(view_v={"definition": "x"})) == []


def test_what_merely_mentions_something_is_not_missed() -> None:
    mentions = {"sql": "CREATE VIEW v AS SELECT 1 FROM t", "mentions": True}

    assert words(part(view_v=mentions), part()) == []
    assert words(part(), part(view_v=mentions)) == []
    assert (
        weight(part(view_v=mentions), part(view_v={**mentions, "sql": "CREATE VIEW v AS SELECT 1 FROM u"})) == "lossy"
    )


# What holds for any two looks

NAMES = st.sampled_from(("a", "b", "c", "d"))
COLUMNS = st.lists(st.builds(column, NAMES, st.sampled_from(("integer", "text"))), unique_by=lambda each: each["name"])
ITEMS = st.dictionaries(NAMES, st.builds(index, st.sampled_from(("CHECK (a)", "CHECK (b)", "UNIQUE (a)"))))
TABLES = st.builds(lambda columns, items: table(*columns, constraints=items), COLUMNS, ITEMS)
LOOKS = st.builds(
    lambda objects: Snapshot(objects=objects, whole=True),
    st.dictionaries(st.sampled_from(("table a", "table b", "view c")), TABLES),
)


@given(LOOKS)
def test_a_look_is_exactly_like_itself(look: Snapshot) -> None:
    assert compare(look, Snapshot(objects=dict(reversed(list(look.objects.items()))), whole=True)) == ()


@given(LOOKS, LOOKS)
def test_two_looks_that_are_exactly_alike_hold_the_same_names(one: Snapshot, other: Snapshot) -> None:
    if compare(one, other) == ():
        assert one.objects.keys() == other.objects.keys()


@given(LOOKS, LOOKS)
def test_a_difference_is_one_in_both_directions(one: Snapshot, other: Snapshot) -> None:
    assert weight(one, other) == weight(other, one)
    assert len(compare(one, other)) == len(compare(other, one))


@given(COLUMNS, st.randoms())
def test_mere_shuffling_is_column_order_or_nothing(columns: list[Object], random: Any) -> None:
    shuffled = list(columns)
    random.shuffle(shuffled)

    expected = "exact" if shuffled == columns else "column_order"
    assert weight(whole(table_t=table(*columns)), whole(table_t=table(*shuffled))) == expected
