"""An answer is made once, until something changes."""

from __future__ import annotations

import threading

import pytest

from bascule.monitoring.kept import Kept


def test_it_is_made_anew_when_the_pulse_changes_or_it_is_old() -> None:
    made: list[int] = []
    pulse, now = [0], [0.0]

    def make(_: None) -> int:
        made.append(1)
        return len(made)

    kept = Kept(make, pulse=lambda _: pulse[0], most=10.0, clock=lambda: now[0])
    assert [kept.get(None), kept.get(None)] == [1, 1]
    pulse[0] = 1
    assert [kept.get(None), kept.get(None)] == [2, 2]
    now[0] = 10.0
    assert [kept.get(None), kept.get(None)] == [3, 3]
    kept.forget()
    assert kept.get(None) == 4


def test_of_many_who_ask_at_once_one_makes_it() -> None:
    made: list[int] = []
    begun = threading.Event()

    def make(_: None) -> int:
        begun.wait(5)
        made.append(1)
        return len(made)

    kept = Kept(make, pulse=lambda _: 0, most=10.0)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(kept.get(None))) for _ in range(8)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    assert answers == [1] * 8


def test_a_failure_is_not_kept() -> None:
    tries: list[int] = []

    def make(_: None) -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ZeroDivisionError
        return "well"

    kept = Kept(make, pulse=lambda _: 0, most=10.0)
    with pytest.raises(ZeroDivisionError):
        kept.get(None)
    assert kept.get(None) == "well"
