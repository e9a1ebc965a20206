from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from bascule.cli.stopping import Stop


def until(true: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true() if callable(true) else False:
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_cancels_from_another_thread(number: signal.Signals) -> None:
    cancelled: list[str] = []
    said: list[str] = []
    with Stop(said.append) as stop:
        stop.cancels(lambda: cancelled.append(threading.current_thread().name))
        assert stop() is None
        os.kill(os.getpid(), number)
        until(lambda: cancelled)
        assert stop() == number.name
    assert cancelled[0] == "bascule-stop"
    assert said[0].startswith(f"{number.name}: stopping")


def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1.0)


def test_the_second_signal_breaks_off() -> None:
    with Stop(lambda _: None) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: stop() is not None)
        with pytest.raises(KeyboardInterrupt):
            interrupted()


def test_a_question_is_ended_by_the_first_signal() -> None:
    with Stop(lambda _: None) as stop, stop.answering(), pytest.raises(KeyboardInterrupt):
        interrupted()


def test_a_cancel_that_fails_is_told_and_nothing_else_happens() -> None:
    said: list[str] = []

    def broken() -> None:
        raise OSError("no second connection")

    with Stop(said.append) as stop:
        stop.cancels(broken)
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: len(said) > 1)
    assert "no second connection" in said[1]


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stop(lambda _: None):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert not [thread for thread in threading.enumerate() if thread.name == "bascule-stop"]
