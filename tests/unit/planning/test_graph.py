"""Who needs whom. In the pictures an arrow leads from a migration to what it needs; dots are needs by file order."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.migration import MigrationRef
from bascule.errors import Refused
from bascule.planning.graph import Graph, build
from tests.unit.planning.histories import Depends, ledger, nothing_declared, refs


def order(graph: Graph) -> list[str]:
    return [each.name for each in graph.order]


def test_without_declarations_each_needs_the_one_before_it() -> None:
    # 1_a <.. 2_b <.. 3_c
    folder = refs("1_a", "2_b", "3_c")

    graph = build(folder, nothing_declared(folder))

    assert order(graph) == ["1_a", "2_b", "3_c"]
    assert graph.needs("3_c") == ("2_b",)
    assert graph.needs("1_a") == ()


def test_a_declaration_replaces_file_order() -> None:
    # 1_a <.. 2_b
    #  ^------------ 3_c
    folder = refs("1_a", "2_b", "3_c")

    graph = build(folder, nothing_declared(folder, _3_c=("a",)))

    assert graph.needs("3_c") == ("1_a",)


def test_a_declaration_of_nothing_needs_nothing() -> None:
    folder = refs("1_a", "2_b")

    assert build(folder, nothing_declared(folder, _2_b=())).needs("2_b") == ()


def test_what_is_needed_comes_first_and_the_rest_keeps_its_place() -> None:
    # 1_a      2_b --> 4_d      3_c
    folder = refs("1_a", "2_b", "3_c", "4_d", "5_e")

    graph = build(folder, nothing_declared(folder, _2_b=("4_d",), _3_c=(), _4_d=()))

    assert order(graph) == ["1_a", "3_c", "4_d", "2_b", "5_e"]


def test_a_diamond() -> None:
    #        2_b <-
    #  1_a <-      -- 4_d
    #        3_c <-
    folder = refs("1_a", "2_b", "3_c", "4_d")

    graph = build(folder, nothing_declared(folder, _2_b=("1",), _3_c=("1",), _4_d=("c", "b", "2_b")))

    assert order(graph) == ["1_a", "2_b", "3_c", "4_d"]
    assert graph.needs("4_d") == ("3_c", "2_b")


def test_repeatables_come_last_by_name_and_need_nothing_by_order() -> None:
    folder = refs("1_a", "R__x", "R__b", "2_c")

    graph = build(folder, nothing_declared(folder))

    assert order(graph) == ["1_a", "2_c"]
    assert [each.name for each in graph.repeatables] == ["R__b", "R__x"]
    assert graph.needs("R__x") == ()
    assert graph.needs("2_c") == ("1_a",)


def test_repeatables_follow_their_declarations() -> None:
    # R__a --> R__z --> 1_a
    folder = refs("1_a", "R__a", "R__m", "R__z")

    graph = build(folder, nothing_declared(folder, _R__a=("z",), _R__z=("a",)) | {"R__z": ("1_a",)})

    assert [each.name for each in graph.repeatables] == ["R__m", "R__z", "R__a"]


def test_a_versioned_one_cannot_need_a_repeatable_one() -> None:
    folder = refs("1_a", "R__v")

    with pytest.raises(Refused, match="1_a depends on R__v, which is repeatable") as refusal:
        build(folder, nothing_declared(folder, _1_a=("v",)))

    assert refusal.value.code == "missing_dependency"


def test_a_missing_dependency_is_refused_with_the_nearest() -> None:
    folder = refs("1_create_users", "2_b")

    with pytest.raises(Refused) as refusal:
        build(folder, nothing_declared(folder, _2_b=("create_user",)))

    assert refusal.value.message == "2_b depends on create_user, but there is no such migration."
    assert refusal.value.code == "missing_dependency"
    assert refusal.value.hint == "Did you mean 1_create_users?"
    assert refusal.value.exit_code == 3
    assert refusal.value.state == "unchanged"


def test_an_ambiguous_dependency_is_refused_naming_both() -> None:
    folder = refs("1_add", "2_add", "3_c")

    with pytest.raises(Refused) as refusal:
        build(folder, nothing_declared(folder, _3_c=("add",)))

    assert refusal.value.message == "3_c depends on add, which may mean 1_add or 2_add."
    assert refusal.value.code == "ambiguous_dependency"


def test_an_applied_migration_whose_file_is_gone_still_meets_a_need() -> None:
    folder = refs("2_b")

    graph = build(folder, nothing_declared(folder, _2_b=("a",)), applied=ledger("1_a"))

    assert graph.needs("2_b") == ()


class TestCircles:
    def test_of_two_are_shown(self) -> None:
        # 1_a <--> 2_b
        folder = refs("1_a", "2_b")

        with pytest.raises(Refused) as refusal:
            build(folder, nothing_declared(folder, _1_a=("b",), _2_b=("a",)))

        assert refusal.value.message == "Migrations depend on each other in a circle: 1_a -> 2_b -> 1_a."
        assert refusal.value.code == "dependency_cycle"
        assert refusal.value.details["cycle"] == ["1_a", "2_b", "1_a"]

    def test_of_one_are_shown(self) -> None:
        folder = refs("1_a")

        with pytest.raises(Refused, match="1_a -> 1_a"):
            build(folder, nothing_declared(folder, _1_a=("a",)))

    def test_show_only_the_circle_not_the_way_to_it(self) -> None:
        # 1_a --> 2_b --> 3_c --> 4_d
        #                  ^-------|
        folder = refs("1_a", "2_b", "3_c", "4_d")

        with pytest.raises(Refused) as refusal:
            build(folder, nothing_declared(folder, _1_a=("b",), _2_b=("c",), _3_c=("d",), _4_d=("c",)))

        assert refusal.value.details["cycle"] == ["3_c", "4_d", "3_c"]

    def test_through_file_order_say_so(self) -> None:
        # 1_a --> 3_c ..> 2_b ..> 1_a
        folder = refs("1_a", "2_b", "3_c")

        with pytest.raises(Refused) as refusal:
            build(folder, nothing_declared(folder, _1_a=("c",)))

        assert refusal.value.details["cycle"] == ["1_a", "3_c", "2_b", "1_a"]
        assert refusal.value.hint.startswith("3_c, 2_b declare nothing, so file order counts")

    def test_of_thousands_are_shown_by_their_ends(self) -> None:
        folder = refs(*(f"{number}_x" for number in range(1, 5001)))

        with pytest.raises(Refused) as refusal:
            build(folder, nothing_declared(folder, _1_x=("5000",)))

        assert len(refusal.value.message) < 300
        assert "1_x -> 5000_x" in refusal.value.message
        assert len(refusal.value.details["cycle"]) == 5001

    def test_among_repeatables_are_found_too(self) -> None:
        folder = refs("R__a", "R__b")

        with pytest.raises(Refused, match="R__a -> R__b -> R__a"):
            build(folder, nothing_declared(folder, _R__a=("b",), _R__b=("a",)))


def test_what_was_not_read_is_taken_as_met() -> None:
    # 3_c is applied and not read; whatever it declares cannot make a circle.
    folder = refs("1_a", "2_b", "3_c")

    graph = build(folder, {"2_b": ("3_c",)})

    assert order(graph) == ["1_a", "3_c", "2_b"]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_of_ten_thousand_needs_neither_depth_nor_patience(backwards: bool) -> None:
    count = 10_000
    folder = refs(*(f"{number}_x" for number in range(1, count + 1)))
    step = 1 if backwards else -1
    depends: Depends = {
        each.name: ((f"{number + step}_x",) if 1 <= number + step <= count else ())
        for number, each in enumerate(folder, 1)
    }
    begun = time.process_time()

    graph = build(folder, depends)

    assert graph.order == tuple(reversed(folder) if backwards else folder)
    assert time.process_time() - begun < 5  # quadratic work would take minutes


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[MigrationRef], Depends]:
    """A folder and what is declared in it; circles happen."""
    count = draw(st.integers(1, 9))
    folder = refs(*(f"{number}_m" for number in range(1, count + 1)))
    names = st.sampled_from([each.name for each in folder])
    needs = st.none() | st.lists(names, max_size=3).map(tuple)
    return folder, {each.name: draw(needs) for each in folder}


@given(histories())
def test_every_need_comes_before_or_a_true_circle_is_shown(history: tuple[list[MigrationRef], Depends]) -> None:
    folder, depends = history

    def needs(name: str) -> tuple[str, ...]:
        number = int(name.partition("_")[0])
        declared = depends[name]
        return declared if declared is not None else ((f"{number - 1}_m",) if number > 1 else ())

    try:
        graph = build(folder, depends)
    except Refused as refusal:
        ring = refusal.details["cycle"]
        assert ring[0] == ring[-1]
        assert len(set(ring)) == len(ring) - 1
        assert all(need in needs(name) for name, need in itertools.pairwise(ring))
        return

    place = {name: index for index, name in enumerate(order(graph))}
    assert sorted(place) == sorted(each.name for each in folder)
    assert all(place[need] < place[name] for name in place for need in needs(name))
    assert all(set(graph.needs(name)) == set(needs(name)) for name in place)


@given(histories())
def test_nothing_stands_later_than_its_needs_force_it_to(history: tuple[list[MigrationRef], Depends]) -> None:
    folder, depends = history
    try:
        graph = build(folder, depends)
    except Refused:
        return
    number = {each.name: index for index, each in enumerate(folder)}
    done: set[str] = set()
    for name in order(graph):
        able = [each.name for each in folder if each.name not in done and set(graph.needs(each.name)) <= done]
        assert name == min(able, key=number.__getitem__)
        done.add(name)
