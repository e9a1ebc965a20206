"""Reports as CSV, HTML and Prometheus text, whatever is in them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bascule.domain.health import Health, Issue
from bascule.domain.metrics import Day, Metrics, Tally, merged, metrics_of
from bascule.domain.performance import Performance, own_cost
from bascule.domain.period import PeriodReport
from bascule.domain.run import Run
from bascule.errors import Refused
from bascule.monitoring.prometheus import exposition, write_textfile
from bascule.monitoring.report_csv import COLUMNS, as_csv
from bascule.monitoring.report_html import as_html

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVIL = '<script>alert("x")</script>'


def run(name: str, **more: object) -> Run:
    given: dict[str, object] = {"id": f"{name}_1", "timestamp": AT, "execution_ms": 12, "status": "completed"}
    return Run(name=name, **(given | more))  # type: ignore[arg-type]


REPORT = PeriodReport(
    start=AT - timedelta(days=1),
    end=AT + timedelta(days=1),
    made_at=AT,
    target=f"shop {EVIL}",
    metrics=Metrics(
        total_migrations=3,
        successful_migrations=2,
        failed_migrations=1,
        validation_failures=1,
        validation_failures_by_rule={'fk "x"': 1},
        last_migration_time=AT,
        trends=(Day(date="2026-05-01", completed=2, failed=1), Day(date="2026-05-02", rolled_back=1)),
        monitoring={"sharePercent": 0.5, "droppedEvents": 0},
        custom={"queue length": 3.0},
    ),
    runs=(
        run("=cmd()", status="failed", error='said "no",\nand more'),
        run(EVIL),
        run("é_😀"),
    ),
    performance=(Performance(id="1", run_id="é_😀_1", migration="é_😀", at=AT, rows=5, execution_ms=12.5),),
    health=Health(
        last_check=AT,
        found=(Issue(check="migrations", condition="drift", status="degraded", message=EVIL, recommendation="Look."),),
    ),
)


def test_csv_comes_back_as_it_was_and_no_cell_is_a_formula() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(REPORT))))
    assert tuple(rows[0]) == COLUMNS
    assert [row[1] for row in rows[1:]] == ["'=cmd()", EVIL, "é_😀"]
    assert rows[1][COLUMNS.index("error")] == 'said "no",\nand more'
    assert rows[3][COLUMNS.index("rowsAffected")] == "5"


def test_the_page_is_whole_has_no_script_and_asks_nobody_for_anything() -> None:
    page = as_html(REPORT)
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "link", "img", "iframe")
            assert not [name for name, value in attrs if name in ("src", "href") or name.startswith("on")]
            if tag not in ("meta", "line", "rect"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("meta", "line", "rect"):
                assert opened.pop() == tag

    Reader().feed(page)
    assert opened == []
    assert EVIL not in page
    assert page.count("<rect") == 3 + 3
    assert "2026-05-01: 2 well, 1 failed, 0 rolled back" in page


def test_a_page_of_nothing_says_so() -> None:
    nothing = PeriodReport(start=AT, end=AT, made_at=AT, target="t", metrics=Metrics(), runs=(), performance=())
    assert "Nothing has run." in as_html(nothing)


def test_prometheus_text_names_each_family_once_and_escapes_labels() -> None:
    text = exposition(REPORT.metrics, health=REPORT.health, performance=REPORT.performance, labels={"target": 'a"b\n'})
    lines = text.splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert 'bascule_runs_total{target="a\\"b\\n",direction="up",outcome="completed"} 2' in lines
    assert 'bascule_validation_rule_failures_total{target="a\\"b\\n",rule="fk \\"x\\""} 1' in lines
    assert 'bascule_health{target="a\\"b\\n",check="migrations"} 1' in lines
    assert 'bascule_custom_queue_length{target="a\\"b\\n"} 3.0' in lines
    for line in lines:
        assert line.startswith("# ") or float(line.rpartition(" ")[2]) >= 0


def test_the_textfile_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "metrics"
    for text in ("a 1\n", "a 2\n"):
        assert write_textfile(folder, text).read_text(encoding="utf-8") == text
    assert [each.name for each in folder.iterdir()] == ["bascule.prom"]
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused) as refused:
        write_textfile(tmp_path / "file", "a 3\n")
    assert refused.value.code == "metrics_file"


def test_tallies_are_added_up_by_day_kind_direction_and_rule() -> None:
    def tally(day: str, kind: str, count: int, ms: int = 0, direction: str = "up") -> Tally:
        return Tally(day=day, kind=kind, direction=direction, count=count, ms=ms, timed=count, last=AT)

    one = (tally("2026-05-01", "run_completed", 2, 10), tally("2026-05-01", "run_failed", 1))
    other = (tally("2026-05-01", "run_completed", 3, 40), tally("2026-05-02", "rolled_back", 1, 9, "down"))
    assert merged(one, other) == merged(other, one)
    found = metrics_of(merged(one, other))
    assert (found.total_migrations, found.average_execution_time, found.total_execution_time) == (6, 10.0, 50)
    assert [(day.date, day.completed, day.failed, day.rolled_back) for day in found.trends] == [
        ("2026-05-01", 5, 1, 0),
        ("2026-05-02", 0, 0, 1),
    ]
    assert metrics_of(()).as_dict()["migrationSuccessRate"] == 0.0


def test_watching_is_told_as_a_share_of_the_runs() -> None:
    records = tuple(
        Performance(id=str(n), run_id="r", migration="m", at=AT, execution_ms=100.0, own_ms=1.0, events=3, dropped=n)
        for n in range(2)
    )
    assert own_cost(records) == {
        "runs": 2,
        "events": 6,
        "samples": 0,
        "droppedEvents": 1,
        "time": 2.0,
        "sharePercent": 1.0,
    }
    assert own_cost(())["sharePercent"] == 0.0
