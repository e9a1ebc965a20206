"""When the engine tries again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.engine.retry import CLASHES, LONGEST_WAIT, next_wait
from bascule.ports.database import FailureKind

AGAIN: tuple[FailureKind, ...] = ("lock_timeout", "deadlock", "serialization")
NEVER: tuple[FailureKind, ...] = ("error", "lost", "fence", "cancelled", "timeout", "full")


@pytest.mark.parametrize("kind", NEVER)
def test_only_what_may_go_better_next_time_is_tried_again(kind: FailureKind) -> None:
    assert next_wait(kind, attempt=1, elapsed=0, limit=60, jitter=0.5) is None


@given(
    st.sampled_from(AGAIN),
    st.integers(1, CLASHES),
    st.floats(0, 60),
    st.floats(0, 0.999),
)
def test_a_wait_is_positive_bounded_and_within_the_limit(
    kind: FailureKind, attempt: int, elapsed: float, jitter: float
) -> None:
    wait = next_wait(kind, attempt=attempt, elapsed=elapsed, limit=60, jitter=jitter)
    if wait is not None:
        assert 0 < wait <= LONGEST_WAIT
        assert elapsed + wait <= 60


def test_two_runners_do_not_come_back_in_step() -> None:
    waits = {next_wait("lock_timeout", attempt=3, elapsed=0, limit=60, jitter=jitter / 10) for jitter in range(10)}
    assert len(waits) == 10


def test_endless_deadlocks_are_not_bad_luck() -> None:
    assert next_wait("deadlock", attempt=CLASHES + 1, elapsed=0, limit=60, jitter=0) is None
