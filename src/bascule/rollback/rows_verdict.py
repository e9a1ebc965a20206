"""From looks at tables' rows to what a rollback reached: pure.

A table that nobody else wrote to since is compared as a whole. Where somebody did, the rows that the migration changed
are what counts: they were kept and put back (see `bascule.rollback.preimage_plan`), the migration added none, and the
way back wrote to no others. What neither of the two shows is unknown, and said to be.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bascule.domain.preimage import PreImage
from bascule.domain.rowlook import RowLook, RowsJudged

TRUNCATES_MORE = "CASCADE empties every table that refers to them"
"""Of a TRUNCATE, why nothing is kept of tables that it does not name."""

_COUNTED = tuple(f"what {kind} takes away is not followed" for kind in ("SELECT", "MERGE"))
"""Of statements whose rows the database counts, table by table: what they write to is looked at."""

_ROWS = ("update", "delete", "retype")


def judge_rows(looks: Sequence[RowLook], kept: Sequence[PreImage], *, writes: bool) -> RowsJudged:
    """`kept`: the migration's pre-images, as they are after the rollback. `writes`: the way back has statements that
    write rows, or code that may.
    """
    lost, unknown, notes = [], [], []
    proved = set()
    for look in looks:
        mine = [each for each in kept if each.name == look.name]
        if look.whole and look.undisturbed:
            proved.add(look.name)
            mended = f"mended: rows of {look.table} as they were ({look.mended})" if look.mended else ""
            notes.append(mended or f"all {_rows(look)} of {look.table} are as they were")
        elif look.whole is False and look.alone:
            if not _is_told(look, mine):
                lost.append(_difference(look))
        elif look.taken > look.inserted:
            lost.append(_took(look))
        elif (doubt := _doubt(look, mine, writes=writes)) is not None:
            sure = look.whole is False and look.changed and not writes and not any(each.kind in _ROWS for each in mine)
            if sure:
                lost.append(_stayed(look))
            else:
                unknown.append(doubt)
        elif mine:
            notes.append(f"{look.table}: looked at over the rows that the migration changed{_why(look)}")
    return RowsJudged(lost=tuple(lost), unknown=tuple(unknown), notes=tuple(notes), proved=frozenset(proved))


def without_proved(
    kept: Sequence[PreImage], proved: Collection[str], *, all_proved: bool = False
) -> tuple[PreImage, ...]:
    """Those that say nothing of a table that was seen to be whole: nothing of it was lost, kept or not. `all_proved`:
    all that were looked at are whole; those that a TRUNCATE … CASCADE empties, or a statement that nobody follows
    writes to, are among them.
    """
    return tuple(
        each
        for each in kept
        if not (all_proved and not each.name and each.why in (TRUNCATES_MORE, *_COUNTED))
        and (each.name not in proved or (each.back and "rows" in each.back))
    )


def _is_told(look: RowLook, mine: Sequence[PreImage]) -> bool:
    """What is said of the pre-images says it already."""
    told = {
        column
        for each in mine
        if each.kind not in ("update", "delete") and (each.why is not None or "failed" in (each.back or {}))
        for column in each.columns
    }
    return look.rows is not None and look.rows[0] == look.rows[1] and set(look.columns) <= told


def _doubt(look: RowLook, mine: Sequence[PreImage], *, writes: bool) -> str | None:
    """Why nobody knows whether the rows are as they were."""
    if any(each.kind == "table" and each.kept is False and "rows" in (each.back or {}) for each in mine):
        return None
    if look.inserted:
        what = f"{look.inserted} rows that the migration added to it may be there still"
    elif look.changed and not any(each.kind in _ROWS and each.why is None for each in mine):
        what = f"the migration changed {look.changed} of its rows"
    elif writes:
        what = "the way back writes rows"
    else:
        return None
    return f"rows of {look.table}: {what}, and they were not compared as a whole{_why(look)}"


def _stayed(look: RowLook) -> str:
    """Whatever others did: nothing has put back what the migration changed."""
    return (
        f"rows of {look.table}: the migration changed {look.changed} of its rows, of which nothing is kept, and the "
        f"way back writes none{_why(look)}"
    )


def _took(look: RowLook) -> str:
    """Whosever they were: not the migration's."""
    added = f"only {look.inserted} of them the migration's" if look.inserted else "none of them the migration's"
    return f"rows of {look.table}: the way back took away {_count(look.taken)}, {added}{_why(look)}"


def _why(look: RowLook) -> str:
    if look.why is not None:
        return f", because {look.why}"
    if look.undisturbed:
        return ""
    return ", because others wrote to it since" if look.undisturbed is False else ", because nobody looked at it since"


def _difference(look: RowLook) -> str:
    why = f" (they could not be made so: {look.failed})" if look.failed else ""
    if look.rows is not None and look.rows[0] != look.rows[1]:
        return f"rows of {look.table}: there are {look.rows[1]}, and there were {look.rows[0]}{why}"
    named = ", ".join(each for each in look.columns if each)
    of = f" in {named}" if named else ""
    return f"rows of {look.table}: values{of} are not as they were{why}"


def _rows(look: RowLook) -> str:
    return _count(look.rows[1] if look.rows is not None else 0)


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"
