"""What `up` and `rollback` are about. Pictures: [x] applied, an arrow leads to what is needed, dots are file order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import MigrationRef
from bascule.errors import Refused, UsageError
from bascule.planning.graph import build
from bascule.planning.select import Selection, select_repeatable, select_rollback, select_up
from tests.unit.planning.histories import Depends, entry, ledger, nothing_declared, refs
from tests.unit.planning.test_graph import histories

FIVE = refs("1_a", "2_b", "3_c", "4_d", "5_e")


def up(
    folder: list[MigrationRef],
    applied: list[LedgerEntry],
    depends: Depends | None = None,
    *,
    names: tuple[str, ...] = (),
    to: str | None = None,
    steps: int | None = None,
    refuse_late: bool = False,
) -> Selection:
    done = {each.name for each in applied}
    read = {name: needs for name, needs in (depends or nothing_declared(folder)).items() if name not in done}
    return select_up(
        folder,
        build(folder, read, applied=applied),
        applied,
        names=names,
        to=to,
        steps=steps,
        late="refuse" if refuse_late else "apply",
    )


def order(selection: Selection) -> list[str]:
    return [each.name for each in selection.order]


class TestUp:
    def test_alone_is_everything_pending(self) -> None:
        # [1_a] <.. [2_b] <.. 3_c <.. 4_d <.. 5_e
        selection = up(FIVE, ledger("1_a", "2_b"))

        assert order(selection) == ["3_c", "4_d", "5_e"]
        assert selection == Selection(order=selection.order)

    def test_is_nothing_when_all_is_applied(self) -> None:
        assert up(FIVE, ledger("1_a", "2_b", "3_c", "4_d", "5_e")) == Selection(order=())

    def test_leaves_repeatables_to_their_own_rule(self) -> None:
        assert order(up(refs("1_a", "R__v"), [])) == ["1_a"]

    def test_steps_takes_the_first_ones(self) -> None:
        assert order(up(FIVE, ledger("1_a"), steps=2)) == ["2_b", "3_c"]
        assert order(up(FIVE, ledger("1_a"), steps=9)) == ["2_b", "3_c", "4_d", "5_e"]

    def test_to_takes_everything_up_to_it(self) -> None:
        assert order(up(FIVE, ledger("1_a"), to="c")) == ["2_b", "3_c"]
        assert order(up(FIVE, ledger("1_a"), to="5", steps=1)) == ["2_b"]

    def test_to_takes_what_is_needed_though_it_stands_later(self) -> None:
        # 2_b --> 4_d
        depends = nothing_declared(FIVE, _2_b=("4_d",), _3_c=(), _4_d=())

        assert order(up(FIVE, ledger("1_a"), depends, to="2_b")) == ["3_c", "4_d", "2_b"]

    def test_to_something_applied_is_what_came_late_before_it(self) -> None:
        assert order(up(FIVE, ledger("1_a", "3_c"), to="3_c")) == ["2_b"]
        assert order(up(FIVE, ledger("1_a", "2_b"), to="2_b")) == []

    def test_to_an_applied_one_whose_file_is_gone_is_refused(self) -> None:
        with pytest.raises(Refused, match="its file is gone") as refusal:
            up(refs("1_a", "3_c"), ledger("1_a", "2_b"), to="2_b")

        assert refusal.value.code == "missing_file"

    def test_a_name_brings_the_pending_ones_before_it(self) -> None:
        # [1_a] <.. 2_b <.. 3_c <.. 4_d
        selection = up(FIVE, ledger("1_a"), names=("4_d",))

        assert order(selection) == ["2_b", "3_c", "4_d"]
        assert selection.prerequisites == ("2_b", "3_c")
        assert selection.skipped == ()

    def test_the_walk_by_file_order_stops_at_what_is_applied(self) -> None:
        # 1_a <.. [2_b] <.. 3_c
        selection = up(FIVE, ledger("2_b"), names=("3_c",))

        assert order(selection) == ["3_c"]
        assert selection.skipped == ("1_a",)

    def test_a_name_with_declarations_brings_only_those_and_older_ones_are_warned_of(self) -> None:
        # [1_a]   2_b   3_c <-- 5_e   4_d
        selection = up(FIVE, ledger("1_a"), nothing_declared(FIVE, _3_c=("a",), _5_e=("c",)), names=("e",))

        assert order(selection) == ["3_c", "5_e"]
        assert selection.prerequisites == ("3_c",)
        assert selection.skipped == ("2_b", "4_d")

    def test_a_name_that_is_applied_is_said_and_nothing_is_run(self) -> None:
        selection = up(FIVE, ledger("1_a", "3_c"), names=("3_c",))

        assert selection == Selection(order=(), already=("3_c",))

    def test_a_name_that_is_applied_and_gone_is_said_too(self) -> None:
        selection = up(refs("1_a"), ledger("0_gone"), names=("gone",))

        assert selection == Selection(order=(), already=("0_gone",), missing=("0_gone",))

    def test_several_names_are_run_in_order_once(self) -> None:
        selection = up(FIVE, ledger("1_a"), names=("3_c", "2_b", "c"))

        assert order(selection) == ["2_b", "3_c"]
        assert selection.prerequisites == ()

    def test_a_repeatable_one_that_is_named_is_answered_apart(self) -> None:
        selection = up(refs("1_a", "R__v", "R__w"), [], names=("v",))

        assert selection.order == ()
        assert [each.name for each in selection.repeatable] == ["R__v"]

    def test_applied_ones_without_a_file_are_named_but_repeatables_are_not(self) -> None:
        assert up(refs("2_b"), ledger("1_a", "R__v")).missing == ("1_a",)

    @pytest.mark.parametrize("options", [{"to": "1_a"}, {"steps": 1}])
    def test_a_name_excludes_the_other_ways(self, options: dict[str, str]) -> None:
        with pytest.raises(UsageError, match="exclude one another"):
            up(FIVE, [], names=("1_a",), **options)  # type: ignore[arg-type]

    @pytest.mark.parametrize("steps", [0, -1])
    def test_steps_must_go_forward(self, steps: int) -> None:
        with pytest.raises(UsageError, match="must be 1 or more"):
            up(FIVE, [], steps=steps)

    @pytest.mark.parametrize("options", [{"names": ("nope",)}, {"to": "nope"}])
    def test_an_unknown_name_is_refused(self, options: dict[str, str]) -> None:
        with pytest.raises(UsageError, match="There is no migration nope"):
            up(FIVE, [], **options)  # type: ignore[arg-type]

    def test_to_a_repeatable_one_is_refused(self) -> None:
        with pytest.raises(UsageError, match="R__v is repeatable"):
            up(refs("1_a", "R__v"), [], to="R__v")


class TestLateMigrations:
    def test_are_named_and_run_in_their_place_before_newer_ones(self) -> None:
        # [1_a]   2_b   [3_c]   4_d
        selection = up(FIVE, ledger("1_a", "3_c"))

        assert order(selection) == ["2_b", "4_d", "5_e"]
        assert selection.late == ("2_b",)

    def test_are_refused_where_that_is_the_policy(self) -> None:
        with pytest.raises(Refused, match="Older than 3_c, which is applied already: 2_b") as refusal:
            up(FIVE, ledger("1_a", "3_c"), refuse_late=True)

        assert refusal.value.code == "late_migration"
        assert refusal.value.details["late"] == ["2_b"]

    def test_are_not_refused_where_they_are_not_run(self) -> None:
        assert order(up(FIVE, ledger("1_a", "3_c"), names=("4_d",), refuse_late=True)) == ["4_d"]

    def test_one_that_needs_the_newest_is_not_late(self) -> None:
        # 2_b --> [3_c]
        selection = up(FIVE, ledger("1_a", "3_c"), nothing_declared(FIVE, _2_b=("3_c",)), refuse_late=True)

        assert selection.late == ()
        assert order(selection) == ["2_b", "4_d", "5_e"]

    def test_nothing_is_late_in_an_empty_target(self) -> None:
        assert up(FIVE, [], refuse_late=True).late == ()


def back(
    applied: list[LedgerEntry],
    depends: Depends | None = None,
    *,
    folder: list[MigrationRef] = FIVE,
    name: str | None = None,
    to: str | None = None,
    steps: int | None = None,
) -> list[str]:
    return [each.name for each in select_rollback(folder, applied, depends or {}, name=name, to=to, steps=steps)]


class TestRollback:
    def test_alone_is_what_was_applied_last_whatever_its_number(self) -> None:
        # applied in the order 1_a, 3_c, 2_b
        assert back(ledger("1_a", "3_c", "2_b")) == ["2_b"]

    def test_the_ledger_may_come_in_any_order(self) -> None:
        assert back([entry("2_b", 7), entry("1_a", 3)]) == ["2_b"]

    def test_of_nothing_is_nothing(self) -> None:
        assert back([]) == []
        assert back(ledger("R__v")) == []

    def test_steps_takes_the_last_ones_the_newest_first(self) -> None:
        assert back(ledger("1_a", "2_b", "3_c"), steps=2) == ["3_c", "2_b"]
        assert back(ledger("1_a", "2_b", "3_c"), steps=9) == ["3_c", "2_b", "1_a"]

    def test_repeatables_are_passed_over(self) -> None:
        assert back(ledger("1_a", "2_b", "R__v"), folder=refs("1_a", "2_b", "R__v"), steps=2) == ["2_b", "1_a"]

    def test_to_takes_all_that_was_applied_after_it(self) -> None:
        assert back(ledger("1_a", "3_c", "2_b"), to="a") == ["2_b", "3_c"]
        assert back(ledger("1_a", "3_c", "2_b"), to="2_b") == []

    def test_to_something_not_applied_is_refused(self) -> None:
        with pytest.raises(UsageError, match="4_d is not applied") as refusal:
            back(ledger("1_a"), to="4_d")

        assert refusal.value.code == "not_applied"

    def test_a_name_takes_all_applied_after_it_where_nothing_is_declared(self) -> None:
        # [1_a] <.. [2_b] <.. [3_c]
        assert back(ledger("1_a", "2_b", "3_c"), nothing_declared(FIVE), name="b") == ["3_c", "2_b"]

    def test_a_name_takes_only_those_that_need_it_where_they_say_so(self) -> None:
        # [1_a] <-- [2_b] <-- [4_d]
        #   ^------ [3_c]
        depends = nothing_declared(FIVE, _2_b=("a",), _3_c=("1",), _4_d=("2_b",))

        assert back(ledger("1_a", "2_b", "3_c", "4_d"), depends, name="2_b") == ["4_d", "2_b"]
        assert back(ledger("1_a", "2_b", "3_c", "4_d"), depends, name="3_c") == ["3_c"]
        assert back(ledger("1_a", "2_b", "3_c", "4_d"), depends, name="1_a") == ["4_d", "3_c", "2_b", "1_a"]

    def test_one_that_declares_nothing_goes_with_anything_before_it(self) -> None:
        # [1_a] <-- [2_b]    [3_c] declares that it needs nothing    [4_d] ..> all before
        depends = nothing_declared(FIVE, _2_b=("a",), _3_c=())

        assert back(ledger("1_a", "2_b", "3_c", "4_d"), depends, name="2_b") == ["4_d", "2_b"]

    def test_a_dependent_brings_those_applied_after_itself(self) -> None:
        # applied: 2_b, 1_a, 3_c; 2_b declares 3_c (it was recorded by hand); 1_a declares nothing, so it needs 2_b
        depends = nothing_declared(FIVE, _2_b=("3_c",), _3_c=())

        assert back(ledger("2_b", "1_a", "3_c"), depends, name="3_c") == ["1_a", "2_b", "3_c"]

    def test_an_ambiguous_need_counts_for_all_that_it_may_mean(self) -> None:
        folder = refs("1_x", "2_x", "3_c")
        depends = nothing_declared(folder, _2_x=(), _3_c=("x",))

        assert back(ledger("1_x", "2_x", "3_c"), depends, folder=folder, name="1_x") == ["3_c", "1_x"]
        assert back(ledger("1_x", "2_x", "3_c"), depends, folder=folder, name="2_x") == ["3_c", "2_x"]

    def test_a_name_that_is_not_applied_is_nothing_to_do(self) -> None:
        assert back(ledger("1_a"), name="4_d") == []

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(UsageError, match="There is no migration nope"):
            back(ledger("1_a"), name="nope")

    @pytest.mark.parametrize("options", [{"name": "1_a"}, {"to": "0"}, {"steps": 3}])
    def test_one_whose_file_is_gone_cannot_go_back(self, options: dict[str, str]) -> None:
        with pytest.raises(Refused, match="without a file") as refusal:
            back(ledger("0_z", "1_a", "2_gone"), folder=refs("0_z", "1_a"), **options)  # type: ignore[arg-type]

        assert refusal.value.code == "missing_file"
        assert refusal.value.details["missing"] == ["2_gone"]

    def test_a_gone_one_that_is_named_is_known_from_the_ledger(self) -> None:
        with pytest.raises(Refused, match="2_gone"):
            back(ledger("1_a", "2_gone"), name="gone")

    def test_a_repeatable_one_is_never_rolled_back(self) -> None:
        with pytest.raises(UsageError, match="R__v is repeatable and is never rolled back"):
            back(ledger("R__v"), folder=refs("R__v"), name="v")

    @pytest.mark.parametrize("options", [{}, {"steps": 1}, {"to": "1_a"}])
    def test_what_an_older_one_declared_to_need_is_not_taken_away_silently(self, options: dict[str, str]) -> None:
        # [1_a] --> [2_b], applied in this order
        with pytest.raises(Refused, match="1_a depends on 2_b and would stay applied") as refusal:
            back(ledger("1_a", "2_b"), nothing_declared(FIVE, _1_a=("b",)), **options)  # type: ignore[arg-type]

        assert refusal.value.code == "still_needed"
        assert "bascule rollback 2_b" in refusal.value.hint

    def test_a_circle_among_applied_ones_is_refused(self) -> None:
        with pytest.raises(Refused, match="in a circle, among them 1_a, 2_b"):
            back(ledger("1_a", "2_b"), nothing_declared(FIVE, _1_a=("b",), _2_b=("a",)), name="1_a")

    @pytest.mark.parametrize(
        "options", [{"name": "1_a", "to": "1_a"}, {"to": "1_a", "steps": 1}, {"name": "1_a", "steps": 1}]
    )
    def test_only_one_way_back_at_a_time(self, options: dict[str, str]) -> None:
        with pytest.raises(UsageError, match="exclude one another"):
            back(ledger("1_a"), **options)  # type: ignore[arg-type]

    def test_ten_thousand_go_back_without_depth_or_patience(self) -> None:
        names = [f"{number}_x" for number in range(1, 10_001)]
        folder = refs(*names)
        depends: Depends = {name: (before,) for before, name in itertools.pairwise(names)} | {names[0]: ()}

        assert back(ledger(*names), depends, folder=folder, name="1_x") == names[::-1]
        assert back(ledger(*names), nothing_declared(folder), folder=folder, name="1_x") == names[::-1]


class TestRepeatables:
    def select(self, *applied: LedgerEntry, semantic: str = "m", exact: str = "x", parser: str = "p1") -> list[str]:
        chosen = select_repeatable(
            refs("1_a", "R__v"), applied, exact={"R__v": exact}, semantic={"R__v": semantic}, parser=parser
        )
        return [each.name for each in chosen]

    def test_run_when_they_never_ran(self) -> None:
        assert self.select() == ["R__v"]

    def test_run_when_their_meaning_changed(self) -> None:
        assert self.select(entry("R__v", 1, semantic_hash="old", exact_hash="x")) == ["R__v"]

    def test_rest_while_their_meaning_is_the_same(self) -> None:
        assert self.select(entry("R__v", 1, semantic_hash="m", exact_hash="old")) == []

    def test_the_last_run_counts(self) -> None:
        later, earlier = entry("R__v", 5, semantic_hash="m"), entry("R__v", 2, semantic_hash="old")

        assert self.select(later, earlier) == []

    def test_meanings_read_by_another_parser_are_not_compared(self) -> None:
        assert self.select(entry("R__v", 1, semantic_hash="other", exact_hash="x"), parser="p2") == []
        assert self.select(entry("R__v", 1, semantic_hash="m", exact_hash="old"), parser="p2") == ["R__v"]


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[MigrationRef], Depends, list[LedgerEntry]]:
    """A folder without circles, and a ledger that came about by applying some of it in some allowed order."""
    folder, depends = draw(histories())
    try:
        build(folder, depends)
    except Refused:
        depends = nothing_declared(folder)
    applied: list[LedgerEntry] = []
    for _ in range(draw(st.integers(0, 3))):
        wanted = draw(st.sampled_from(folder)).name
        for each in up(folder, applied, depends, names=(wanted,)).order:
            applied.append(entry(each.name, len(applied) + 1))
    return folder, depends, applied


@given(situations(), st.data())
def test_whatever_is_asked_for_nothing_runs_before_what_it_needs(
    situation: tuple[list[MigrationRef], Depends, list[LedgerEntry]], data: st.DataObject
) -> None:
    folder, depends, applied = situation
    graph = build(folder, depends)
    name = data.draw(st.sampled_from(folder)).name
    how = data.draw(st.sampled_from(["all", "name", "to", "steps"]))

    selection = up(
        folder,
        applied,
        depends,
        names=(name,) if how == "name" else (),
        to=name if how == "to" else None,
        steps=data.draw(st.integers(1, 5)) if how == "steps" else None,
    )

    done = {each.name for each in applied}
    for each in selection.order:
        assert each.name not in done
        if each.name in graph.declared or how != "name":
            assert set(graph.needs(each.name)) <= done
        done.add(each.name)
    if how in ("name", "to"):
        assert name in done
    if how == "all":
        assert done == {each.name for each in folder}
    if how == "name" and selection.order:
        last = order(selection)[-1]
        gone_by = {entry.name for entry in applied}
        pending = {name: needs for name, needs in depends.items() if name not in gone_by}
        between = [each.name for each in build(folder, pending, applied=applied).order if each.name not in gone_by]
        older = between[: between.index(last)]
        assert set(older) == set(order(selection)[:-1]) | set(selection.skipped)


@given(situations(), st.data())
def test_a_rollback_leaves_nothing_applied_that_depends_on_what_went(
    situation: tuple[list[MigrationRef], Depends, list[LedgerEntry]], data: st.DataObject
) -> None:
    folder, depends, applied = situation
    if not applied:
        return
    name = data.draw(st.sampled_from(applied)).name
    graph = build(folder, depends)

    gone = back(applied, depends, folder=folder, name=name)

    assert gone[-1] == name
    position = {each.name: each.position for each in applied}
    for index, each in enumerate(gone):
        still = set(position) - set(gone[: index + 1])
        for other in still:
            if depends[other] is None:
                assert position[other] < position[each]
            else:
                assert each not in graph.needs(other)


@given(situations())
def test_up_and_all_the_way_back_leaves_nothing(
    situation: tuple[list[MigrationRef], Depends, list[LedgerEntry]],
) -> None:
    folder, depends, applied = situation
    for each in up(folder, applied, depends).order:
        applied.append(entry(each.name, len(applied) + 1))

    assert sorted(back(applied, depends, folder=folder, steps=len(folder))) == sorted(each.name for each in folder)
    while applied:
        (last,) = back(applied, depends, folder=folder)
        applied = [each for each in applied if each.name != last]


@given(situations(), st.data())
def test_back_to_a_migration_leaves_it_as_the_newest(
    situation: tuple[list[MigrationRef], Depends, list[LedgerEntry]], data: st.DataObject
) -> None:
    folder, depends, applied = situation
    if not applied:
        return
    name = data.draw(st.sampled_from(applied)).name

    gone = back(applied, depends, folder=folder, to=name)

    assert [each.name for each in applied if each.name not in gone][-1] == name
