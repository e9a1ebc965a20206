"""A period as one page that needs nothing else: styles and charts are in it, and no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from bascule.domain.health import Issue
from bascule.domain.metrics import Day
from bascule.domain.period import PeriodReport
from bascule.domain.run import Run

_SHOWN = 200
_WIDTH, _HEIGHT = 720, 160
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2329;--soft:#5b6670;--line:#d5dadf;--paper:#fff;--good:#1a7f4b;--bad:#c02f2f;
--back:#8a6100}
@media (prefers-color-scheme:dark){:root{--ink:#e7ebee;--soft:#a3adb6;--line:#3a424a;--paper:#14181c;--good:#4cc38a;
--bad:#ff7b72;--back:#e0b040}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem}p.about{color:var(--soft);margin-top:.2rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.8rem}
dl div{border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem}dt{color:var(--soft);font-size:.85rem}
dd{margin:0;font-size:1.35rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.number{text-align:right;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}
.completed,.healthy{color:var(--good);fill:var(--good)}.failed,.unhealthy{color:var(--bad);fill:var(--bad)}
.rolled_back,.degraded{color:var(--back);fill:var(--back)}
"""


def as_html(report: PeriodReport) -> str:
    """The page. Everything that comes from names or errors is escaped."""
    body = [
        "<h1>Migrations</h1>",
        _about(report),
        _figures(report),
        *_health(report),
        "<h2>Runs by day</h2>",
        _chart_of_days(report.metrics.trends),
        "<h2>Time of each run</h2>",
        _chart_of_times(report.runs),
        *_rules(report),
        *_alerts(report),
        "<h2>Runs</h2>",
        _runs(report.runs),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Migrations of {escape(report.target)}</title><style>{_STYLE}</style></head><body><main>"
        + "\n".join(body)
        + "</main></body></html>\n"
    )


def _about(report: PeriodReport) -> str:
    period = f"{_day(report.start)} to {_day(report.end)} (UTC)"
    return f'<p class="about">{escape(report.target)} · {period} · made {_moment(report.made_at)}</p>'


def _figures(report: PeriodReport) -> str:
    metrics = report.metrics
    figures = (
        ("runs", f"{metrics.total_migrations}"),
        ("well", f"{metrics.migration_success_rate:g} %"),
        ("failed", f"{metrics.failed_migrations}"),
        ("on average", _time(metrics.average_execution_time)),
        ("rolled back", f"{metrics.rollback_count}"),
        ("validation failures", f"{metrics.validation_failures}"),
    )
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures) + "</dl>"


def _health(report: PeriodReport) -> Iterable[str]:
    health = report.health
    if health is None:
        return
    yield f'<h2>Health now: <span class="{health.status}">{health.status}</span></h2>'
    if health.found:
        rows = (
            (
                issue.check,
                f'<span class="{issue.status}">{issue.status}</span>',
                escape(issue.message),
                escape(issue.recommendation),
            )
            for issue in health.found
        )
        yield _table(("check", "status", "what", "next"), rows)


def _issue(issue: Issue) -> tuple[str, ...]:
    status = f'<span class="{issue.status}">{issue.status}</span>'
    return issue.check, status, escape(issue.message), escape(issue.recommendation)


def _rules(report: PeriodReport) -> Iterable[str]:
    by_rule = report.metrics.validation_failures_by_rule
    if by_rule:
        yield "<h2>Validation failures by rule</h2>"
        yield _table(("rule", "times"), ((escape(rule), str(count)) for rule, count in by_rule.items()))


def _alerts(report: PeriodReport) -> Iterable[str]:
    if report.alerts:
        yield "<h2>Alerts</h2>"
        rows = (
            (
                escape(str(each.get("severity", ""))),
                escape(str(each.get("title", ""))),
                escape(str(each.get("lastAt", ""))),
            )
            for each in report.alerts[:_SHOWN]
        )
        yield _table(("severity", "what", "last"), rows)


def _chart_of_days(days: Sequence[Day]) -> str:
    """Stacked bars; the words for those who do not see them stand beside."""
    most = max((each.completed + each.failed + each.rolled_back for each in days), default=0)
    if not most:
        return "<p>Nothing has run.</p>"
    step = _WIDTH / len(days)
    bars, words = [], []
    for number, day in enumerate(days):
        bottom = float(_HEIGHT)
        words.append(f"{day.date}: {day.completed} well, {day.failed} failed, {day.rolled_back} rolled back")
        for name, count in (("completed", day.completed), ("failed", day.failed), ("rolled_back", day.rolled_back)):
            height = count * _HEIGHT / most
            bottom -= height
            if count:
                bars.append(
                    f'<rect class="{name}" x="{number * step + 1:.1f}" y="{bottom:.1f}" width="{max(step - 2, 1):.1f}" '
                    f'height="{height:.1f}"><title>{words[-1]}</title></rect>'
                )
    return _svg(bars, days[0].date, days[-1].date, f"at most {most} a day", "; ".join(words))


def _chart_of_times(runs: Sequence[Run]) -> str:
    shown = list(reversed(runs[:_SHOWN]))
    most = max((run.execution_ms for run in shown), default=0)
    if not most:
        return "<p>Nothing was timed.</p>"
    step = _WIDTH / len(shown)
    bars = []
    for number, run in enumerate(shown):
        height = max(run.execution_ms * _HEIGHT / most, 1.0)
        bars.append(
            f'<rect class="{run.status}" x="{number * step + 0.5:.1f}" y="{_HEIGHT - height:.1f}" '
            f'width="{max(step - 1, 1):.1f}" height="{height:.1f}">'
            f"<title>{escape(run.name)}: {_time(run.execution_ms)}</title></rect>"
        )
    words = f"{len(shown)} runs, the longest took {_time(most)}"
    return _svg(bars, _day(shown[0].timestamp), _day(shown[-1].timestamp), f"at most {_time(most)}", words)


def _svg(bars: Sequence[str], first: str, last: str, most: str, words: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 36}" role="img" aria-label="{escape(words)}"><text x="0" y="12">{most}'
        f'</text><g transform="translate(0 16)">{"".join(bars)}'
        f'<line x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}" stroke="currentColor" stroke-width="0.5"/>'
        f'<text x="0" y="{_HEIGHT + 14}">{first}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 14}" text-anchor="end">{last}</text></g></svg>'
    )


def _runs(runs: Sequence[Run]) -> str:
    rows = (
        (
            _moment(run.timestamp),
            f'<span class="{run.status}">{run.status.replace("_", " ")}</span>',
            escape(run.name),
            _time(run.estimated_ms) if run.estimated_ms else "",
            _time(run.execution_ms),
            escape((run.error or run.verdict or "").partition("\n")[0]),
        )
        for run in runs[:_SHOWN]
    )
    more = f"<p>and {len(runs) - _SHOWN} earlier ones</p>" if len(runs) > _SHOWN else ""
    return (
        _table(("ended (UTC)", "status", "migration", "estimated", "took", ""), rows) if runs else "<p>None.</p>"
    ) + more


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f'<th scope="col">{each}</th>' for each in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'


def _time(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s" if ms < 60_000 else f"{ms / 60_000:.1f} min"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
