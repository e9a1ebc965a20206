"""What the user leaves out of comparisons."""

from __future__ import annotations

import pytest

from bascule.domain.schema import Snapshot
from bascule.domain.statement import ObjectName, Touch
from bascule.rollback.ignore import leave_out

SEEN = Snapshot(
    objects={
        "table public.jobs": {},
        "table ops.jobs": {},
        "table jobs_old": {},
        "function public.today(integer)": {},
        "materialized view public.report": {},
    }
)


@pytest.mark.parametrize(
    ("outside", "gone"),
    [
        (ObjectName(kind="relation", name="jobs", schema="public"), {"table public.jobs"}),
        (ObjectName(kind="relation", name="jobs"), {"table public.jobs", "table ops.jobs"}),
        (ObjectName(kind="relation", name="jobs_old"), {"table jobs_old"}),
        (ObjectName(kind="routine", name="today"), {"function public.today(integer)"}),
        (ObjectName(kind="relation", name="report"), {"materialized view public.report"}),
        (ObjectName(kind="relation", name="nothing"), set()),
    ],
)
def test_the_named_object_is_left_out_and_nothing_else(outside: ObjectName, gone: set[str]) -> None:
    kept = leave_out(SEEN, Touch(objects=frozenset({outside})))
    assert set(SEEN.objects) - set(kept.objects) == gone


def test_nothing_is_left_out_where_nothing_is_named() -> None:
    assert leave_out(SEEN, Touch()) is SEEN
