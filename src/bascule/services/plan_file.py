"""`plan --out` and `up --plan`: a plan that is written down, and run only in the world it was made for."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bascule.domain.plan_file import FileHashes, PlanFile, World
from bascule.domain.statement import Touch
from bascule.errors import ConfigError, Refused, UsageError
from bascule.planning.changes import changed_files, changed_world
from bascule.planning.plan_text import LARGEST, plan_text, read_plan
from bascule.ports.database import WorkFailed
from bascule.services.context import Context
from bascule.services.environment import protected
from bascule.services.situation import Situation, check_applied, look

if TYPE_CHECKING:
    from bascule.domain.plan import PlannedMigration
    from bascule.services.choice import Choice
    from bascule.services.report import Report
    from bascule.services.requests import UpRequest
    from bascule.state.plans import KeptPlan

LEAST_KEY = 32
"""Bytes."""
_AGAIN = "Make a new plan with bascule plan --out, read it, and run that."


def write_plan(context: Context, planned: Sequence[PlannedMigration], path: str) -> PlanFile:
    """Write it to `path`, in the place of what is there.

    Raises:
        Refused: code ``half_done``; a migration is half done, so nobody knows what will be left of it.
        UsageError: code ``plan_file``; the file cannot be written.
        ConfigError: the secret key is too short, or cannot be read.
    """
    key = plan_key(context)
    plan = make_plan(context, planned, author=context.owner)
    text = plan_text(plan, key)
    if context.policy.approvals:
        from bascule.services.approvals import keep

        keep(context, plan, text)
    _write(path, text)
    return plan


def make_plan(context: Context, planned: Sequence[PlannedMigration], *, author: str) -> PlanFile:
    """The plan, not yet written. Raises Refused (code ``half_done``)."""
    situation = look(context)
    _require_whole(situation)
    created = context.clock.now()
    return PlanFile(
        id=str(uuid.uuid4()),
        created_at=created,
        expires_at=created + timedelta(seconds=context.policy.plan_lifetime),
        author=author,
        version=_version(),
        migrations=tuple(hashes_of(each) for each in planned),
        world=world_of(context, situation, planned),
    )


def read_plan_file(context: Context, path: str) -> PlanFile:
    """Read it, and judge its signature and age.

    Raises:
        UsageError: code ``plan_file``; it cannot be read, or is no plan.
        Refused: code ``plan_unsigned``, ``plan_signature`` or ``plan_expired``.
        ConfigError: the secret key is too short, or cannot be read.
    """
    try:
        return _judged(context, _read(path), path)
    except ValueError as wrong:
        raise UsageError(
            f"{path} cannot be read as a plan: {wrong}.", code="plan_file", hint="bascule plan --out FILE writes one."
        ) from wrong


def _judged(context: Context, text: str, path: str) -> PlanFile:
    read = read_plan(text, plan_key(context))
    _judge_signature(context, path, read.signed)
    now, until = context.clock.now(), read.plan.expires_at
    if now > until:
        raise Refused(
            f"The plan in {path} was good until {until.isoformat(timespec='seconds')}.",
            code="plan_expired",
            hint=_AGAIN,
            details={"expiresAt": until.isoformat()},
        )
    return read.plan


def up_by_plan(context: Context, request: UpRequest, path: str) -> Report:
    """Run exactly what the file names. Raises as `read_plan_file` and `up`, and `Refused` (code ``plan_stale``) where
    files, target, ledger or the touched objects are not what they were.
    """
    return _up(context, request, read_plan_file(context, path))


def up_by_kept_plan(context: Context, request: UpRequest, its_id: str, *, holding: str) -> Report:
    """As `up_by_plan`, a plan that was handed in and holds that migration. Raises as that, UsageError (code
    ``unknown_plan``), and Refused (code ``not_in_plan``).
    """
    from bascule.services.approvals import stands

    plan = kept_plan(context, stands(context, its_id).plan)
    if holding not in plan.names:
        raise Refused(
            f"{holding} is not in the plan {its_id}, which holds {', '.join(plan.names) or 'nothing'}.",
            code="not_in_plan",
            hint="Name a migration of the plan; all of the plan runs, and nothing else.",
        )
    return _up(context, request, plan)


def kept_plan(context: Context, kept: KeptPlan) -> PlanFile:
    """What was handed in under that id. Raises Refused as `read_plan_file`."""
    return _judged(context, kept.document, f"the plan {kept.id}")


def _up(context: Context, request: UpRequest, plan: PlanFile) -> Report:
    from bascule.services.approvals import require_approved
    from bascule.services.batch import apply
    from bascule.services.report import Report

    require_approved(context, plan)
    situation = look(context)
    check_applied(context, situation)
    asked = replace(request, plan=plan)
    planned = choose_by_plan(context, plan, situation).planned(context)
    check_world(context, plan, situation, planned)
    if not planned:
        return Report(success=True, message="Nothing to do: the plan names no migration.")
    return apply(context, asked, situation)


def choose_by_plan(context: Context, plan: PlanFile, situation: Situation) -> Choice:
    """The migrations of the plan, in its order. Raises `Refused` (code ``plan_stale``) where they are not to be had."""
    from bascule.services.choice import Choice, choose

    _require_whole(situation)
    if not plan.migrations:
        return Choice(order=(), read={}, warnings=())
    listed = situation.by_name
    gone = [f"{name} is not in the folder any more" for name in plan.names if name not in listed]
    applied = situation.ledger
    gone += [
        f"{name} is applied already"
        for name in plan.names
        if name in applied and name in listed and not listed[name].repeatable
    ]
    if gone:
        raise _stale(gone)
    choice = choose(context, situation, names=plan.names)
    order = tuple(ref.name for ref in choice.order)
    if order != plan.names:
        raise _stale(
            [f"what would run now is {', '.join(order) or 'nothing'}, and the plan is {', '.join(plan.names)}"]
        )
    return choice


def check_world(context: Context, plan: PlanFile, situation: Situation, planned: Sequence[PlannedMigration]) -> None:
    """Raises `Refused` (code ``plan_stale``), saying what is different."""
    words = changed_files(plan.migrations, {each.name: hashes_of(each) for each in planned})
    words += changed_world(plan.world, world_of(context, situation, planned))
    if words:
        raise _stale(words)


def hashes_of(planned: PlannedMigration) -> FileHashes:
    """A migration, by its files."""
    migration = planned.migration
    down = migration.down
    return FileHashes(
        name=planned.name,
        exact=migration.exact_hash,
        semantic=planned.semantic_hash,
        parser=planned.parser,
        down="" if down is None else _digest(down.text),
    )


def world_of(context: Context, situation: Situation, planned: Sequence[PlannedMigration]) -> World:
    """As it is now, as far as these migrations are concerned."""
    entries = [(each.name, each.exact_hash, each.semantic_hash, each.run_id) for each in situation.applied]
    return World(
        target=_target(context),
        applied=len(entries),
        newest=entries[-1][0] if entries else "",
        ledger=_digest(json.dumps(entries)),
        hooks={hook.event: _digest(hook.script.text) for hook in context.hooks()} if planned else {},
        objects=_objects(context, planned),
    )


def _target(context: Context) -> dict[str, str]:
    info = context.target.describe()
    return {
        "dialect": info.dialect,
        "database": info.database,
        "location": info.location,
        "identity": _identity(context) if info.prepared else "",
        "environment": info.environment or context.policy.environment,
    }


def _identity(context: Context) -> str:
    from bascule.backups.reach import identity_sql

    try:
        rows = context.target.query(identity_sql(context.target.dialect), seconds=10.0)
    except WorkFailed:
        return ""  # a server that keeps it to itself; its address is compared
    return str(rows[0][0]) if rows and rows[0][0] else ""


def _objects(context: Context, planned: Sequence[PlannedMigration]) -> dict[str, str]:
    touch = Touch()
    for each in planned:
        touch |= each.touch
    if not (touch.objects or touch.runs or touch.everything):
        return {}
    from bascule.rollback.ignore import leave_out

    # Of a table that an index is built on, or whose rows are changed, all matters here: not only what is changed of it.
    names = frozenset(replace(each, column=None) for each in touch.objects | touch.runs)
    seen = leave_out(context.target.snapshot(replace(touch, objects=names)), context.policy.outside)
    return {name: _digest(json.dumps(parts, sort_keys=True, default=str)) for name, parts in seen.objects.items()}


def _require_whole(situation: Situation) -> None:
    names = sorted({name for name, _ in situation.marks})
    if names:
        raise Refused(
            f"{', '.join(names)} is half done, and a plan is for a database where nothing is.",
            code="half_done",
            hint="Finish it with bascule recover, then plan again.",
        )


def _stale(words: Sequence[str]) -> Refused:
    return Refused(
        "The plan was made for another state of things:\n" + "\n".join(f"  {each}" for each in words),
        code="plan_stale",
        hint=_AGAIN,
        details={"changes": list(words)},
    )


def _judge_signature(context: Context, path: str, signed: str) -> None:
    if signed == "good":
        return
    if signed == "bad":
        raise Refused(
            f"The signature of {path} is wrong: the file was edited, or signed with another key.",
            code="plan_signature",
            hint=_AGAIN,
        )
    what = "is not signed" if signed == "unsigned" else "is signed, but no secret key is set here to look with"
    if protected(context):
        raise Refused(
            f"The plan in {path} {what}, and the target is production.",
            code="plan_unsigned",
            hint="Set BASCULE_SECRET_KEY (or BASCULE_SECRET_KEY_FILE) where plans are made and where they are run.",
        )
    if signed == "no_key" or context.policy.plan_key is not None:
        context.say(f"Warning: the plan in {path} {what}.")


def plan_key(context: Context) -> bytes | None:
    """The key that signs plans, None where none is set. Raises ConfigError for one that is too short."""
    if context.policy.plan_key is None:
        return None
    key = context.policy.plan_key().encode()
    if len(key) < LEAST_KEY:
        raise ConfigError(
            f"The secret key has {len(key)} bytes.", hint=f"It needs {LEAST_KEY} or more, as in: openssl rand -hex 32"
        )
    return key


def _write(path: str, text: str) -> None:
    """All of it or nothing: what stands there is replaced in one go."""
    begun = f"{path}.{uuid.uuid4().hex}.part"
    try:
        descriptor = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(text)
            os.replace(begun, path)
        except OSError:
            os.unlink(begun)
            raise
    except OSError as wrong:
        raise UsageError(
            f"The plan cannot be written to {path}: {wrong.strerror}.", code="plan_file", hint="Name another file."
        ) from wrong


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as wrong:
        raise UsageError(
            f"The plan {path} cannot be read: {wrong.strerror}.", code="plan_file", hint="Check the path."
        ) from wrong
    if len(data) > LARGEST:
        raise ValueError("it is too large for one")
    return data.decode("utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _version() -> str:
    from bascule import __version__

    return __version__
