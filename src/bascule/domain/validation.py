"""What the data rules found, as people and machines read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from bascule.domain.run import iso

Status = Literal["pass", "fail", "warning", "skipped", "error"]
"""``fail``: a rule of severity error found something; ``warning``: another rule did; ``error``: the rule itself came to
no answer (it raised, or took too long).
"""
Severity = Literal["error", "warning", "info"]
Category = Literal["data_integrity", "performance", "business_logic"]

CATEGORIES: tuple[Category, ...] = ("data_integrity", "performance", "business_logic")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """The answer of one rule."""

    rule_id: str
    rule_name: str
    category: str
    severity: Severity
    status: Status
    message: str
    timestamp: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    sample: Sequence[Mapping[str, Any]] = ()
    """A few of the offending rows: table, what is wrong, and the row's key and values as texts."""
    execution_ms: int = 0
    sampled: bool = False
    """Some tables were too large to be read whole; `details` names them with the error of the estimate."""
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """What is wrong → in how many rows at least and at most, which differ where a table was sampled: what a later look
    is compared with. Not in the JSON, which lists findings.
    """

    cached_since: datetime | None = None
    """It has passed then, and nothing has changed since; None: it was asked now."""

    @property
    def found(self) -> bool:
        """It did not pass, and was not left out."""
        return self.status in ("fail", "warning", "error")

    def as_dict(self) -> dict[str, Any]:
        """The JSON of the contract."""
        return {
            "ruleId": self.rule_id,
            "ruleName": self.rule_name,
            "category": self.category,
            "severity": self.severity,
            "status": self.status,
            "message": self.message,
            "details": dict(self.details),
            "sample": [dict(row) for row in self.sample],
            "executionTime": self.execution_ms,
            "timestamp": iso(self.timestamp),
            "sampled": self.sampled,
        } | ({} if self.cached_since is None else {"cached": True, "since": iso(self.cached_since)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """The answers of all rules that were asked."""

    results: tuple[RuleResult, ...]
    execution_ms: int = 0
    strict: bool = False
    """Warnings refuse too."""
    plan: tuple[str, ...] = ()
    """The passes over tables that answered the rules, for people."""
    migration: str | None = None
    """What it was asked for."""
    after: bool = False
    """The migration has run."""
    needs: tuple[Mapping[str, Any], ...] = ()
    """What the pending migration needs of today's rows."""
    needs_words: tuple[str, ...] = ()
    """Needs that are not met, for people."""
    before: Mapping[str, RuleResult] | None = None
    """What the rules answered before the migration ran, by id. None: nobody looked then."""
    about: tuple[RuleResult, ...] | None = None
    """The answers to be compared with those of before, where these were about fewer tables; None: `results`."""
    known_from: Mapping[str, Any] | None = None
    """Which run has kept the answers of before: ``runId``, ``at``, ``tables``. None: this process has looked itself."""

    @property
    def errors(self) -> list[str]:
        """Why it is not valid, one sentence each."""
        return [*self.needs_words, *(_told(result) for result in self.results if self.refuses(result))]

    @property
    def warnings(self) -> list[str]:
        """What was found and does not refuse."""
        return [_told(result) for result in self.results if result.found and not self.refuses(result)]

    @property
    def is_valid(self) -> bool:
        """Nothing refuses."""
        return not self.errors

    @property
    def critical_issues(self) -> list[str]:
        """What rules of severity error found, and needs that are not met."""
        found = [_told(result) for result in self.results if result.found and result.severity == "error"]
        return [*self.needs_words, *found]

    @property
    def new_issues(self) -> list[str]:
        """After a migration: what was found now and not before it, or in fewer rows."""
        return [words for _, words in self._worse()]

    @property
    def worse_rules(self) -> list[str]:
        """The ids of the rules that `new_issues` come from."""
        return list(dict.fromkeys(result.rule_id for result, _ in self._worse()))

    @property
    def new_errors(self) -> list[str]:
        """Those of `new_issues` that would refuse and are surely new: the rule came to an answer both times, and what
        it finds more is not what it found before under another name.
        """
        known = self.before or {}
        return [
            words
            for result, words in self._worse()
            if self.refuses(result) and _is_surely_new(known.get(result.rule_id), result)
        ]

    def _worse(self) -> list[tuple[RuleResult, str]]:
        known = self.before or {}
        now = self.results if self.about is None else self.about
        found = [(result, _worse(known.get(result.rule_id), result)) for result in now if result.found]
        return [(result, words) for result, words in found if words]

    @property
    def recommendations(self) -> list[str]:
        """What to do about it, each once."""
        found = [word for result in self.results if result.found for word in result.details.get("advice", ())]
        return list(dict.fromkeys(found))

    @property
    def summary(self) -> dict[str, int]:
        """Counts, and milliseconds."""
        count = dict.fromkeys(("pass", "fail", "warning", "skipped", "error"), 0)
        for result in self.results:
            count[result.status] += 1
        return {
            "total": len(self.results),
            "passed": count["pass"],
            "failed": count["fail"] + count["error"],
            "warnings": count["warning"],
            "skipped": count["skipped"],
            "executionTime": self.execution_ms,
        }

    def refuses(self, result: RuleResult) -> bool:
        """Whether that answer makes the report invalid."""
        return result.found and (result.severity == "error" or (self.strict and result.severity == "warning"))

    def as_dict(self) -> dict[str, Any]:
        """The JSON of the contract."""
        document: dict[str, Any] = {
            "isValid": self.is_valid,
            "summary": self.summary,
            "results": [result.as_dict() for result in self.results],
            "recommendations": self.recommendations,
            "criticalIssues": self.critical_issues,
            "errors": self.errors,
            "warnings": self.warnings,
            "strict": self.strict,
            "plan": list(self.plan),
        }
        if self.migration is not None:
            needs = [dict(need) for need in self.needs]
            document |= {"migrationName": self.migration, "after": self.after, "needs": needs}
        if self.before is not None:
            document |= {"newIssues": self.new_issues, "newErrors": self.new_errors}
        if self.known_from is not None:
            document["comparedWith"] = dict(self.known_from)
        return document


def _is_surely_new(before: RuleResult | None, now: RuleResult) -> bool:
    if before is None or "error" in (before.status, now.status) or before.details.get("notLookedAt"):
        return False
    if not now.counts:
        return True
    more = sum(max(0, least - before.counts.get(words, (0, 0))[1]) for words, (least, _) in now.counts.items())
    # A table that was renamed takes its faults along.
    gone = sum(most for words, (_, most) in before.counts.items() if words not in now.counts)
    return more > gone


def _worse(before: RuleResult | None, now: RuleResult) -> str:
    """What a rule found more than before; nothing where that is nothing."""
    if before is None or not before.found:
        return _told(now)
    if not now.counts:
        return "" if before.status == now.status else _told(now)
    worse = [
        f"{words}: {'' if least == most else 'at least '}{least:,} {'row' if least == 1 else 'rows'}"
        + (f" instead of {known:,}" if known else "")
        for words, (least, most) in now.counts.items()
        if least > (known := before.counts.get(words, (0, 0))[1])
    ]
    return f"{now.rule_name}: {'; '.join(worse)}" if worse else ""


def _told(result: RuleResult) -> str:
    return f"{result.rule_name}: {result.message}"
