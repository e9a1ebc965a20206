"""What the caller's callbacks raise is not the author's to catch."""

from __future__ import annotations

from contextlib import suppress
from typing import NoReturn

import pytest

from bascule.databases.operations.outside import Outside


class LeaseLost(Exception):
    pass


def fail() -> NoReturn:
    raise LeaseLost


def test_the_answer_of_a_callback_comes_through() -> None:
    assert Outside().call(divmod, 7, 2) == (3, 1)


def test_after_one_has_failed_every_other_fails_too() -> None:
    outside = Outside()
    calls: list[int] = []
    with pytest.raises(LeaseLost):
        outside.call(fail)
    with pytest.raises(LeaseLost):
        outside.call(calls.append, 1)
    assert calls == []


def test_a_failure_that_was_caught_comes_out_at_the_end() -> None:
    outside = Outside()

    def swallow() -> None:
        with outside.comes_first(), suppress(LeaseLost):
            outside.call(fail)

    with pytest.raises(LeaseLost):
        swallow()


def test_a_failure_that_was_turned_into_another_comes_out_as_it_was() -> None:
    outside = Outside()

    def turn() -> None:
        with outside.comes_first():
            try:
                outside.call(fail)
            except LeaseLost as lost:
                raise ValueError from lost

    with pytest.raises(LeaseLost):
        turn()


def test_other_errors_come_out_unchanged() -> None:
    with pytest.raises(ValueError), Outside().comes_first():
        raise ValueError
