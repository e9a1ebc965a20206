"""What was found becomes an answer that says neither more nor less."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bascule.domain.validation import RuleResult, Severity, ValidationReport
from bascule.ports.validation import Catalog, Finding, Inspection, Outcome, RowTest, Rule
from bascule.validation.verdict import estimated, judge

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
TEST = RowTest(table=("public", "t"), offends="x < 0", words="t.x is negative")


def rule(severity: Severity = "error") -> Rule:
    return Rule(
        id="r",
        name="R",
        description="d",
        category="data_integrity",
        severity=severity,
        inspect=lambda asked: Inspection(),
    )


def judged(*outcomes: Outcome, severity: Severity = "error", inspection: Inspection | None = None) -> RuleResult:
    found = inspection or Inspection(tests=(TEST,) * len(outcomes), advice="Mend it.", looked="all is well")
    return judge(rule(severity), found, outcomes, catalog=Catalog(dialect="postgresql"), at=AT, ms=1)


def test_nothing_found_is_a_pass_that_says_what_was_looked_at() -> None:
    result = judged(Outcome(rows=10))
    assert (result.status, result.message) == ("pass", "all is well")
    assert result.as_dict()["timestamp"] == "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(("severity", "status"), [("error", "fail"), ("warning", "warning"), ("info", "warning")])
def test_rows_that_offend_fail_an_error_and_warn_otherwise(severity: Severity, status: str) -> None:
    result = judged(Outcome(rows=10, offenders=2), severity=severity)
    assert (result.status, result.message) == (status, "t.x is negative: 2 rows")
    assert result.details["advice"] == ["Mend it."]


def test_no_answer_is_an_error_and_not_a_pass() -> None:
    assert judged(Outcome(problem="timeout"), Outcome(rows=5)).status == "error"
    assert judged(inspection=Inspection(unread=("sequences: no rights",), looked="fine")).status == "error"


def test_what_was_found_counts_more_than_what_was_not_answered() -> None:
    result = judged(Outcome(problem="timeout"), Outcome(rows=5, offenders=1))
    assert result.status == "fail"
    assert result.message == "t.x is negative: 1 row; not looked at: timeout"


def test_nothing_to_look_at_is_skipped_but_for_a_finding() -> None:
    assert judged(inspection=Inspection(skipped="nothing declared")).status == "skipped"
    finding = Finding(words="declared, but not there")
    assert judged(inspection=Inspection(skipped="x", findings=(finding,))).status == "fail"


def test_a_sample_tells_an_estimate_with_its_error() -> None:
    outcome = Outcome(rows=10_000, offenders=100, share=0.01)
    assert estimated(outcome) == (10_000, 1950)
    assert "about 10,000 rows (give or take 1,950; 1.0% of the table was read)" in judged(outcome).message
    assert judged(outcome).sampled


def test_a_sample_without_offenders_says_how_many_there_may_be() -> None:
    result = judged(Outcome(rows=10_000, share=0.01))
    assert result.status == "pass"
    assert result.details["sampling"][0]["error"] == 300


def test_rows_of_one_pass_count_once() -> None:
    assert judged(Outcome(rows=10), Outcome(rows=10)).details["rowsRead"] == 10


def report(*results: RuleResult, strict: bool = False) -> ValidationReport:
    return ValidationReport(results=results, strict=strict)


def test_warnings_refuse_in_strict_mode_alone_and_infos_never() -> None:
    warning, info = (judged(Outcome(offenders=1), severity=severity) for severity in ("warning", "info"))
    assert report(warning, info).is_valid
    assert not report(warning, strict=True).is_valid
    assert report(info, strict=True).is_valid
    assert not report(judged(Outcome(offenders=1))).is_valid


def test_the_summary_counts_each_answer_once() -> None:
    answers = (
        judged(Outcome(rows=1)),
        judged(Outcome(offenders=1)),
        judged(Outcome(problem="x")),
        judged(Outcome(offenders=1), severity="info"),
        judged(inspection=Inspection(skipped="x")),
    )
    summary = report(*answers).summary
    assert summary == {"total": 5, "passed": 1, "failed": 2, "warnings": 1, "skipped": 1, "executionTime": 0}


def test_what_was_broken_before_is_told_apart() -> None:
    old, new = judged(Outcome(offenders=1)), judged(Outcome(offenders=2))
    assert ValidationReport(results=(old,), before={"r": old}).new_issues == []
    assert ValidationReport(results=(new,), before={"r": old}).new_issues == ["R: t.x is negative: 2 rows instead of 1"]
    assert ValidationReport(results=(old,), before={"r": new}).new_issues == []
    assert ValidationReport(results=(new,), before={}).as_dict()["newIssues"] == ["R: t.x is negative: 2 rows"]


def test_chance_in_a_sample_is_not_called_worse() -> None:
    old = judged(Outcome(offenders=20, rows=1000, share=0.1))
    same = judged(Outcome(offenders=24, rows=1000, share=0.1))
    worse = judged(Outcome(offenders=200, rows=1000, share=0.1))
    assert ValidationReport(results=(same,), before={"r": old}).new_issues == []
    (words,) = ValidationReport(results=(worse,), before={"r": old}).new_issues
    assert words.startswith("R: t.x is negative: at least 1,7")


def test_a_rule_that_has_no_answer_after_a_migration_is_told() -> None:
    fine, unread = judged(Outcome(rows=1)), judged(Outcome(problem="it took too long"))
    assert ValidationReport(results=(unread,), before={"r": fine}).new_issues == ["R: not looked at: it took too long"]
    assert ValidationReport(results=(unread,), before={"r": unread}).new_issues == []


def test_only_what_is_surely_new_is_a_new_error() -> None:
    def report(now: RuleResult, before: RuleResult, *, strict: bool = False) -> list[str]:
        return ValidationReport(results=(now,), before={"r": before}, strict=strict).new_errors

    fine, broken = judged(Outcome(rows=5)), judged(Outcome(rows=5, offenders=2))
    unread = judged(Outcome(problem="it took too long"))
    assert report(broken, fine) == ["R: t.x is negative: 2 rows"]
    # No answer, then or now, is no proof of anything.
    assert report(unread, fine) == []
    assert report(broken, unread) == []
    assert ValidationReport(results=(broken,), before={}).new_errors == []
    # The same rows of a table that has another name now.
    renamed = replace(broken, counts={"u.x is negative": (2, 2)})
    assert report(renamed, broken) == []
    assert report(replace(renamed, counts={"u.x is negative": (3, 3)}), broken) != []
    warning = judged(Outcome(rows=5, offenders=2), severity="warning")
    assert report(warning, judged(Outcome(rows=5), severity="warning")) == []
    assert report(warning, judged(Outcome(rows=5), severity="warning"), strict=True) != []
