"""Which facts, and what of health, are alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from bascule.domain.alert import Alert, AlertType, Raised, Settled
from bascule.domain.health import Health, Issue
from bascule.domain.history import Fact
from bascule.monitoring.alerts.policy import AlertPolicy

RUNS: Final = frozenset({"run_failed", "run_interrupted", "validation_failed"})
"""Rules whose alerts are over when the migration has been applied."""
HEALTH: Final = "health."
"""Begins the rules that stand for conditions of health."""

_LOSSES: Final = ("lossy", "none")
_LONGEST: Final = 4000
"""Characters of a message."""
_TOLD_BY_FACTS: Final = frozenset({"failed_runs", "failed_rollbacks", "validation_failures"})
"""Conditions of health about what a fact tells sooner and better."""
_TOLD_BY_ANOTHER: Final = frozenset({"not_looked_at"})
"""Those that are nothing but what another condition leads to."""


def of_fact(fact: Fact, policy: AlertPolicy) -> Iterator[Raised]:
    """The alerts that a fact is by itself."""
    kind, data = fact.kind, fact.data
    if kind == "run_failed" and fact.direction == "down":
        yield _raised(
            fact, "rollback_failed", "critical", f"{fact.migration} could not be rolled back", _error(data), state=data
        )
    elif kind == "run_failed":
        safe = data.get("state") == "unchanged"
        words = _error(data) + ("" if safe else f"\nThe database is {data.get('state') or 'unknown'}.")
        yield _raised(
            fact, "run_failed", "error" if safe else "critical", f"{fact.migration} failed", words, state=data
        )
    elif kind == "run_interrupted":
        yield _raised(fact, "run_interrupted", *_broken(fact), state=data)
    elif kind == "verdict" and data.get("verdict") in _LOSSES:
        words = "; ".join(str(each) for each in data.get("differences") or ()) or "Something did not come back."
        yield _raised(
            fact,
            "rollback_lossy",
            "warning",
            f"The rollback of {fact.migration} did not bring everything back",
            words,
            subject=fact.run_id,
        )
    elif kind == "validation_failed":
        rules = ", ".join(str(each) for each in data.get("rules") or ())
        words = "\n".join(str(each) for each in data.get("words") or ()) or "The data rules found errors."
        broke = f"{fact.migration} left new faults in the data" if fact.run_id else f"{fact.migration} was refused"
        broke = broke if fact.migration else "The data rules found errors"
        yield _raised(fact, "validation_failed", "warning", f"{broke}: {rules}" if rules else broke, words)
    elif kind == "backup_verified" and data.get("good") is False:
        its_id = str(data.get("id") or "")
        yield _raised(
            fact,
            "backup_unverified",
            "error",
            f"Backup {its_id} could not be proved",
            str(data.get("why") or "It is not what it was made of."),
            subject=its_id,
        )
    elif kind == "protected_run":
        names = ", ".join(str(each) for each in data.get("migrations") or ())
        words = f"{data.get('owner')} runs {names}. The reason given: {data.get('reason')}"
        title = "A run on a protected target without a plan"
        yield _raised(fact, "protected_run", "warning", title, words, subject=str(fact.number))
    elif kind == "run_completed" and policy.slow is not None:
        took = data.get("ms")
        if isinstance(took, int | float) and took >= policy.slow * 1000:
            words = f"It took {took / 1000:.1f} s; {policy.slow:g} s are allowed."
            yield _raised(fact, "slow_run", "warning", f"{fact.migration} was slow", words, subject=fact.run_id)


def many_failures(failed: Sequence[Fact], policy: AlertPolicy) -> Raised | None:
    """That too many runs failed within a time. `failed`: the facts of them, oldest first, enough of the newest."""
    newest = failed[-policy.failures :] if policy.failures else ()
    if not newest or len(newest) < policy.failures:
        return None
    first, last = newest[0].at, newest[-1].at
    if first is None or last is None or last - first > timedelta(seconds=policy.failures_within):
        return None
    names = ", ".join(dict.fromkeys(each.migration for each in newest))
    return Raised(
        rule="many_failures",
        subject="",
        type="critical",
        title=f"{len(newest)} runs failed within {policy.failures_within / 60:g} min",
        message=f"The newest of them: {names}.",
        at=last,
        fact=newest[-1].number,
    )


def of_health(health: Health, known: Iterable[Alert]) -> Iterator[Raised | Settled]:
    """What is wrong now, and which alerts of earlier looks are over."""
    told = _TOLD_BY_FACTS | _TOLD_BY_ANOTHER
    raised = [_of_issue(issue, health.last_check) for issue in health.found if issue.condition not in told]
    # A target that is not there has not got better in everything else.
    blind = any(issue.condition == "unreachable" for issue in health.found)
    now = {each.fingerprint for each in raised}
    for alert in known:
        if alert.rule.startswith(HEALTH) and alert.fingerprint not in now and not blind:
            yield Settled(fingerprint=alert.fingerprint, at=health.last_check, why="health is well again")
    yield from raised


def _of_issue(issue: Issue, at: datetime) -> Raised:
    return Raised(
        rule=f"{HEALTH}{issue.condition}",
        subject="",
        type="error" if issue.status == "unhealthy" else "warning",
        title=f"{issue.check.capitalize()}: {issue.condition.replace('_', ' ')}",
        message=f"{issue.message}\nNext: {issue.recommendation}"[:_LONGEST],
        at=at,
        data={"check": issue.check, "condition": issue.condition, "subjects": list(issue.subjects)},
    )


def _raised(
    fact: Fact,
    rule: str,
    its_type: AlertType,
    title: str,
    message: str,
    *,
    subject: str | None = None,
    state: Any = None,
) -> Raised:
    assert fact.at is not None, "it was read from the journal"
    known = {key: state[key] for key in ("state", "sqlstate", "line") if state.get(key)} if state else {}
    return Raised(
        rule=rule,
        subject=fact.migration if subject is None else subject,
        type=its_type,
        title=title[:300],
        message=message[:_LONGEST],
        at=fact.at,
        migration=fact.migration,
        run_id=fact.run_id,
        fact=fact.number,
        data=known,
    )


def _broken(fact: Fact) -> tuple[AlertType, str, str]:
    """Type, title and words: nobody wanted a run to be killed."""
    if fact.data.get("why") != "killed":
        return "warning", f"{fact.migration} was stopped", _error(fact.data)
    safe = fact.data.get("state") == "unchanged"
    words = f"{_error(fact.data)}\nNext: {fact.data.get('next')}"
    return "error" if safe else "critical", f"{fact.migration} was broken off: its process was killed", words


def _error(data: Any) -> str:
    return str(data.get("error") or "The journal does not say why.")
