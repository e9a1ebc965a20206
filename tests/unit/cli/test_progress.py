from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bascule.cli.moment import Moment
from bascule.cli.picture import picture
from bascule.cli.progress import Drawing, Heartbeat, Progress
from bascule.domain.event import Event


def event(name: str, migration: str = "one", **data: Any) -> Event:
    return Event(name=f"migration.{name}", run_id="one_1", migration=migration, at=datetime.now(UTC), data=data)


class Canvas:
    """Remembers what was drawn."""

    def __init__(self) -> None:
        self.drawn: list[str] = []
        self.visible = False

    def draw(self, moment: Moment) -> None:
        self.drawn.append(moment.name)
        self.visible = True

    def clear(self) -> None:
        self.visible = False


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def canvas() -> Canvas:
    return Canvas()


@pytest.fixture
def progress(lines: list[str], canvas: Drawing) -> Iterator[Progress]:
    progress = Progress(lines.append, canvas)
    yield progress
    progress.close()


def test_each_migration_has_a_line_at_its_beginning_and_at_its_end(progress: Progress, lines: list[str]) -> None:
    progress(event("started", steps=1))
    progress(event("completed", executionTime=12, notes=["resumed at step 2"]))
    progress(event("started", "two", steps=1))
    progress(event("failed", "two", error="no"))
    assert lines == ["applying one", "applied one in 12 ms", "  resumed at step 2", "applying two", "FAILED two"]


def test_the_way_back_is_told_as_such(progress: Progress, lines: list[str]) -> None:
    progress(event("rollback_started"))
    progress(event("rollback_completed", executionTime=1200, verdict="exact"))
    assert lines == ["rolling back one", "rolled back one in 1.2 s"]


def test_something_is_drawn_while_it_runs_and_nothing_after(
    progress: Progress, lines: list[str], canvas: Canvas
) -> None:
    progress(event("started", steps=1))
    deadline = time.monotonic() + 5
    while not canvas.drawn and time.monotonic() < deadline:
        time.sleep(0.01)
    assert canvas.visible
    progress(event("completed", executionTime=500))
    assert not canvas.visible
    assert "applied one in 500 ms" in lines


@pytest.mark.parametrize("breaks", ["draw", "clear"])
def test_a_display_that_fails_is_told_once_and_the_run_goes_on_in_lines(
    lines: list[str], canvas: Canvas, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such colour")

    monkeypatch.setattr(canvas, breaks, fail)
    progress = Progress(lines.append, canvas)
    progress(event("started", steps=1))
    told = "The display of progress failed (ValueError: no such colour); the run goes on without it."
    deadline = time.monotonic() + 5
    while told not in lines and time.monotonic() < deadline:
        time.sleep(0.01)
    progress(event("completed", executionTime=12))
    progress.close()
    assert sorted(lines) == sorted([told, "applying one", "applied one in 12 ms"])


def test_a_line_of_somebody_else_takes_the_drawing_away_first(
    progress: Progress, lines: list[str], canvas: Canvas
) -> None:
    canvas.visible = True
    progress.line("waiting for ana@host:7")
    assert (canvas.visible, lines) == (False, ["waiting for ana@host:7"])


def test_events_that_are_not_of_a_run_are_passed_over(progress: Progress, lines: list[str]) -> None:
    progress(event("health_check"))
    assert lines == []


def test_without_a_terminal_a_long_statement_is_heard_of_now_and_then() -> None:
    lines: list[str] = []
    heartbeat = Heartbeat(lines.append, every=10)
    begun = time.monotonic()
    data = {
        "step": 1,
        "statement": "create index\n  on t (x)",
        "phase": "building index",
        "percent": 41.6,
        "waiting": ["pid 7"],
    }
    for elapsed in (1, 9, 10.5, 12, 21):
        heartbeat.draw(Moment(name="one", begun=begun - elapsed, steps=3, data=data))
    assert len(lines) == 2
    assert lines[0] == (
        "still applying one, after 10.5 s, step 2 of 3, building index, 42 %, create index on t (x), blocked by pid 7"
    )


def test_the_picture_shows_steps_statement_percentage_and_who_blocks() -> None:
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    data = {
        "step": 0,
        "statement": "alter table t add x int",
        "phase": "waiting",
        "percent": 7.0,
        "waiting": ["pid 7 (app)"],
    }
    console.print(picture(Moment(name="one", begun=time.monotonic() - 61, steps=4, done=3, data=data)))
    shown = console.export_text()
    for words in (
        "one",
        "step 1 of 4",
        "1 min 1 s",
        "3 done",
        "alter table t add x int",
        "7 %",
        "blocked by pid 7 (app)",
    ):
        assert words in shown
