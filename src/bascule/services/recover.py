"""Finish or undo what a crash left, and take a person's answer where only a person knows."""

from __future__ import annotations

from typing import Literal

from bascule.domain.history import Fact
from bascule.errors import Refused, UsageError
from bascule.services.context import Context
from bascule.services.environment import guard_environment
from bascule.services.leasing import leased
from bascule.services.report import Report
from bascule.services.situation import look


def recover(
    context: Context,
    *,
    answer: Literal["done", "again", None] = None,
    reason: str | None = None,
    let_in: bool = False,
) -> Report:
    """Carry every half-done script to its end. Transactional migrations need nothing but to be told of as broken off:
    they are whole or were never there.

    `answer` replies to the question an earlier run asked with exit 5: ``done``, the statement ran; ``again``, it did
    not. `reason`: why a file that has been edited since is gone on with on production; `let_in`: a server's door has
    looked at who asks. Raises as `up`; `UsageError` when there is no question to answer.
    """
    situation = look(context)
    if not situation.marks:
        if answer is not None:
            raise UsageError("Nothing is half done, so there is no question to answer.", hint="See bascule status.")
        return _settled(context)
    guard_environment(context)
    from bascule.services.unfinished import finish

    with leased(context, "recovery") as lease:
        assert lease is not None, "without `needless` the lease is had or an error raised"
        if answer is not None:
            _answer(context, answer)
        runs = finish(context, lease, reason=reason, let_in=let_in)
    return Report(success=True, message=f"Recovered: {', '.join(run.name for run in runs)}.", runs=tuple(runs))


def _settled(context: Context) -> Report:
    """No script is half done; but a process may have been killed, which nobody has written down yet."""
    from bascule.services.broken_off import anything_left, settle

    nothing = "Nothing to recover: no migration is half done."
    if not anything_left(context):
        return Report(success=True, message=nothing)
    guard_environment(context)
    names = ", ".join(fact.migration for fact in settle(context))
    return Report(success=True, message=f"{nothing} Broken off, and undone: {names}." if names else nothing)


def _answer(context: Context, answer: Literal["done", "again"]) -> None:
    question = _open_question(context)
    fact = Fact(
        kind="answered",
        run_id=question.run_id,
        migration=question.migration,
        direction=question.direction,
        step=question.step,
        data={"answer": answer, "actor": context.owner},
    )
    context.target.append((fact,), durable=True)


def _open_question(context: Context) -> Fact:
    for (name, direction), marks in context.target.marks().items():
        run_id = next(iter(marks.values()))[1]
        facts = [
            fact
            for fact in context.target.journal(run_id=run_id)
            if fact.kind in ("asked", "answered") and fact.migration == name and fact.direction == direction
        ]
        if facts and facts[-1].kind == "asked":
            return facts[-1]
    raise Refused(
        "No run has asked a question.", code="no_question", hint="Run bascule recover without --answer first."
    )
