"""The same rows are the same rows, in whatever order and pieces they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bascule.databases.postgres.row_sums import RowSum

ROWS = st.lists(st.lists(st.sampled_from(["", "a", "b", "\\\\N", "\u00e9"]), min_size=2, max_size=2), max_size=8)


def summed(rows: list[list[str]], cuts: list[int], columns: int = 0) -> RowSum:
    text = "".join("\t".join(row) + "\n" for row in rows).encode()
    found, at = RowSum(columns), 0
    for cut in sorted(min(cut, len(text)) for cut in cuts):
        found.add(text[at:cut])
        at = cut
    found.add(text[at:])
    return found


@given(rows=ROWS, cuts=st.lists(st.integers(0, 30), max_size=4), other=ROWS, data=st.data())
def test_order_and_pieces_do_not_matter_and_rows_do(
    rows: list[list[str]], cuts: list[int], other: list[list[str]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rows))
    assert summed(rows, []).same_as(summed(shuffled, cuts))
    assert summed(rows, []).same_as(summed(other, cuts)) == (sorted(rows) == sorted(other))
    half = len(rows) // 2
    both = summed(rows[:half], [])
    both.join(summed(rows[half:], cuts))
    assert both.same_as(summed(rows, []))


def test_columns_have_sums_of_their_own() -> None:
    one, two = summed([["a", "b"], ["b", "a"]], [], 2), summed([["a", "a"], ["b", "b"]], [3], 2)
    assert one.by_column == two.by_column
    assert not one.same_as(two)
    assert summed([["a", "b"]], [], 2).by_column[0] == summed([["a", "c"]], [], 2).by_column[0]
