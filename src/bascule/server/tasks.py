"""What a worker can do: each piece of long work, and the facts that let it be found again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bascule.domain.event import Event
from bascule.domain.history import ENDED, REQUESTED, Fact
from bascule.domain.run import iso
from bascule.errors import BasculeError, MigrationFailed, Refused

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.run import Run
    from bascule.server.pipe import Line
    from bascule.server.worker import Stopping
    from bascule.services.context import Context
    from bascule.services.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One job, and what surrounds it."""

    settings: Settings
    line: Line
    stopping: Stopping
    run_id: str
    """The name of the run that is asked for; empty where the work is none."""
    asked_by: Mapping[str, str]
    """Name, role and address of whoever asked."""
    watched: bool = False
    """The server sends the messages that become due."""

    def publish(self, event: Event) -> None:
        """Tell the server."""
        self.line.tell(
            {
                "event": event.name,
                "run": event.run_id,
                "migration": event.migration,
                "at": iso(event.at),
                "data": dict(event.data),
            }
        )

    def say(self, words: str) -> None:
        """A warning or a wait, in words."""
        self.line.tell({"said": self.settings.clean(words)})


def perform(task: Task, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of that work: ``success``, ``message``, ``data``. Raises what its service raises."""
    return _VERBS[verb](task, arguments)


@contextmanager
def _changing(task: Task, action: str, what: Mapping[str, Any]) -> Iterator[Context]:
    from bascule import wiring
    from bascule.services.performance import keep_measured
    from bascule.services.trail import audited

    opened = wiring.context(task.settings, publish=task.publish, say=task.say, stopping=task.stopping)
    who, where = task.asked_by.get("name", ""), task.asked_by.get("from", "rest")
    trail = wiring.trail(task.settings, opened.target, where=where, who=who)
    context = dataclasses.replace(opened, trail=trail)
    task.stopping.cancel = context.target.cancel
    try:
        with audited(context, action, what):
            yield context
    finally:
        if trail.last is not None:
            # Into the server's log, which whoever cuts the audit log does not have.
            task.say(f"Audit log: {trail.last.number}:{trail.last.mac}")
        task.stopping.cancel = None
        if keep_measured(context):
            wiring.keep_textfile(task.settings, context)
        # Where the server sends the messages neither the answer nor this worker's place waits for a receiver.
        wiring.keep_watch(task.settings, context, seconds=0.0 if task.watched else 2.0)
        wiring.tell_otel(task.settings, context)
        context.target.close()


def _execute(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    from bascule.services.requests import UpRequest
    from bascule.services.up import up

    request = UpRequest(
        names=(given["name"],),
        validate=given["validateBefore"],
        backup=given["createBackup"],
        progress=given["monitorProgress"],
        rollback_on_failure=given["rollbackOnFailure"],
        accept_data_loss=given["acceptDataLoss"],
        let_in=True,
    )
    kept = given.get("planId")
    if kept is None:
        return _run(task, given["name"], "up", lambda context: up(context, request), _options(given))
    from bascule.services.plan_file import up_by_kept_plan

    asked = dataclasses.replace(request, names=())
    name = given["name"]
    return _run(task, name, "up", lambda context: up_by_kept_plan(context, asked, kept, holding=name), _options(given))


def _rollback(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    from bascule.services.requests import RollbackRequest
    from bascule.services.rollback import rollback

    request = RollbackRequest(
        name=given["name"],
        backup=given["backupPath"],
        accept_data_loss=given["acceptDataLoss"],
        reason=given["reason"],
        let_in=True,
    )
    return _run(task, given["name"], "down", lambda context: rollback(context, request), _options(given))


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for besides the name, as the audit log tells it."""
    return {name: value for name, value in given.items() if name != "name" and value not in (None, "")}


def _run(
    task: Task, name: str, direction: str, work: Callable[[Context], Report], what: Mapping[str, Any]
) -> dict[str, Any]:
    from bascule.services.environment import guard_environment

    action = "execute" if direction == "up" else "rollback"
    with _changing(task, action, {"name": name, "run": task.run_id, **what}) as opened:
        context = dataclasses.replace(opened, run_ids={name: task.run_id})
        guard_environment(context)
        asked = Fact(
            kind=REQUESTED,
            run_id=task.run_id,
            migration=name,
            direction=direction,
            data={"owner": context.owner, **task.asked_by},
        )
        context.target.append((asked,))
        try:
            report = work(context)
        except BaseException as problem:
            _write_end(task, context, asked, _failed(task, problem))
            raise
        run = next((run for run in report.runs if run.name == name), None)
        if run is not None and run.id != task.run_id:
            # What had been begun before was carried to its end, under the name that run had.
            task.say(f"Run {run.id} was finished.")
        document = run.as_dict() if run is not None else _applied_already(context, name, direction).as_dict()
        end = {"success": True, "message": report.message, "data": document}
        if report.warnings:
            end["warnings"] = list(report.warnings)
        _write_end(task, context, asked, end)
        return end


def _failed(task: Task, problem: BaseException) -> dict[str, Any]:
    from bascule.server.worker import refusal, unexpected

    return refusal(problem if isinstance(problem, BasculeError) else unexpected(problem), task.settings.clean)


def _write_end(task: Task, context: Context, asked: Fact, end: Mapping[str, Any]) -> None:
    from bascule.ports.database import WorkFailed

    fact = dataclasses.replace(asked, kind=ENDED, data={**end, "owner": context.owner})
    try:
        context.target.append((fact,))
    except (BasculeError, WorkFailed) as problem:
        task.say(f"The end of run {task.run_id} could not be written to the journal: {problem}")


def _applied_already(context: Context, name: str, direction: str) -> Run:
    from bascule.domain.run import Run

    for entry in context.target.ledger():
        if entry.name == name and direction == "up":
            return Run(
                id=entry.run_id,
                name=name,
                timestamp=entry.applied_at,
                execution_ms=entry.execution_ms,
                status="completed",
                notes=("it was applied already",),
            )
    if direction == "down":
        raise Refused(
            f"{name} is not applied, so there is nothing to roll back.", code="not_applied", hint="See the status."
        )
    raise MigrationFailed(f"{name} was not applied.", hint="See the status.")


def _validate(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    from bascule import wiring
    from bascule.services.validate import Wanted, validate
    from bascule.services.validate_migration import before

    wanted = Wanted(
        tables=tuple(given.get("targets", ())), rules=tuple(given.get("ruleTypes", ())), context=given["context"]
    )
    name = given.get("name")
    validation = wiring.validation(task.settings, stopping=task.stopping)
    with closing(validation.reader):
        if name is None:
            report = validate(validation, wanted)
        else:
            context = wiring.context(task.settings, publish=task.publish, say=task.say, read_only=True)
            with closing(context.target):
                report = before(context, validation, name, wanted=wanted)
    words = "Migration validation" if name is not None else "Validation"
    message = f"{words} {'passed' if report.is_valid else 'failed'}"
    return {"success": report.is_valid, "message": message, "data": report.as_dict()}


def _rules(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    from bascule import wiring
    from bascule.services.validate import Wanted, chosen_rules

    validation = wiring.validation(task.settings)
    with closing(validation.reader):
        rules = chosen_rules(validation.rules, Wanted(category=given["category"]))
    data = [
        {
            "id": rule.id,
            "name": rule.name,
            "description": rule.description,
            "category": rule.category,
            "severity": rule.severity,
        }
        for rule in rules
    ]
    return {"success": True, "message": f"{len(data)} rules", "data": data}


def _plan(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    from bascule import wiring
    from bascule.services.approvals import hand_in
    from bascule.services.plan import create_plan

    opened = wiring.context(task.settings, publish=task.publish, say=task.say, read_only=True)
    who, where = task.asked_by.get("name", ""), task.asked_by.get("from", "rest")
    context = dataclasses.replace(opened, trail=wiring.trail(task.settings, opened.target, where=where, who=who))
    with closing(context.target):
        report = create_plan(context, names=tuple(given["migrations"]), to=given["to"])
        data = report.as_dict()
        if given["keep"] and report.migrations and context.target.describe().prepared:
            try:
                plan = hand_in(context, report.migrations, task.asked_by.get("name", ""))
                data |= {"id": plan.id, "expiresAt": iso(plan.expires_at)}
            except Refused as problem:
                # On a standby a plan is shown all the same; nobody can hand one in there.
                if problem.code != "read_only":
                    raise
                task.say(f"The plan is not handed in: {problem.message}")
    return {"success": True, "message": "Migration plan created", "data": data}


def _rollback_plan(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    from bascule import wiring
    from bascule.services.loss import losses_of
    from bascule.services.requests import RollbackRequest
    from bascule.services.rollback import rollback

    context = wiring.context(task.settings, publish=task.publish, say=task.say, read_only=True)
    with closing(context.target):
        report = rollback(context, RollbackRequest(name=given["name"], dry_run=True))
        planned = [{"name": each.name, "losses": list(losses_of(each))} for each in report.planned]
    return {"success": True, "message": report.message, "data": {"migrations": planned}}


def _verify(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    from bascule.services.backup_verify import verify

    with _changing(task, "backups.verify", {"backup": given["backup"]}) as context:
        proof = verify(context, given["backup"])[0]
    words = "is good" if proof.good else f"is not good: {proof.why}"
    return {"success": proof.good, "message": f"Backup {proof.id} {words}", "data": proof.as_dict()}


def _recover(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is half done is finished, which the run that was named is part of; the answer is that one."""
    from bascule.server.runs import facts_of, run_of
    from bascule.services.broken_off import settle
    from bascule.services.environment import guard_environment
    from bascule.services.recover import recover

    name = given["name"]
    with _changing(task, "recover", {"name": name, "run": task.run_id, **_options(given)}) as context:
        guard_environment(context)
        settle(context)
        report = recover(context, answer=given["answer"], let_in=True)
        run = next((run for run in report.runs if run.name == name), None)
        data = run.as_dict() if run is not None else run_of(context, facts_of(context, task.run_id), here=False)
    message = report.message if run is not None else f"Nothing of {name} is half done, so there is nothing to finish."
    return {"success": True, "message": message, "data": data}


_VERBS: Mapping[str, Callable[[Task, Mapping[str, Any]], dict[str, Any]]] = {
    "execute": _execute,
    "rollback": _rollback,
    "rollback_plan": _rollback_plan,
    "validate": _validate,
    "rules": _rules,
    "plan": _plan,
    "verify": _verify,
    "recover": _recover,
}
