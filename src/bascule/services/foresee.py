"""What a rollback would lose and leave different, told before the up runs: by the plan, and by `up` itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bascule.domain.plan import PlannedMigration
from bascule.services.context import Context
from bascule.services.loss import losses_of

if TYPE_CHECKING:
    from bascule.domain.migration import Script
    from bascule.domain.preimage import Assessed
    from bascule.domain.statement import Insight, Statement
    from bascule.domain.way_back import Foretold, MigrationWayBack, WayBack
    from bascule.rollback.pictures.picture import Picture

SHOWN = 5
"""Notices of one migration that `up` says; the plan has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """Of all that an up would run."""

    losses: tuple[str, ...] = ()
    """What has to be accepted."""
    notices: tuple[str, ...] = ()
    """What a rollback would leave different, or may."""


def foresee(context: Context, planned: Sequence[PlannedMigration], *, wanted: bool) -> Foreseen:
    """Before an up. `wanted`: what it destroys is kept. Migrations that one statement makes and another takes back are
    not looked at more closely.
    """
    from bascule.rollback.foretold import mirrored

    closer = [each for each in planned if each.destroys or not mirrored(each)]
    if not closer:
        return Foreseen()
    found = ways_back_of(context, planned, wanted=wanted)
    return Foreseen(
        losses=tuple(words for each in planned for words in found[each.name].losses),
        notices=tuple(words for each in planned for words in _shortened(each.name, found[each.name])),
    )


def _shortened(name: str, back: MigrationWayBack) -> tuple[str, ...]:
    words = back.notices(name)
    more = len(words) - SHOWN
    return (*words[:SHOWN], f"{name}: and {more} more, which `bascule plan` shows") if more > 0 else words


UNKNOWN_LOSS = "what it destroys is not known"


def ways_back_of(
    context: Context, planned: Sequence[PlannedMigration], *, wanted: bool = True
) -> Mapping[str, MigrationWayBack]:
    """Of each. The database is asked only where something stored is destroyed, or where the two scripts of a migration
    do not tell by themselves that one takes back what the other does.
    """
    kept, unseen = _assessed(context, [each for each in planned if each.destroys and each.direction == "up"], wanted)
    told = foretold_of(context, planned)
    return {
        each.name: _of_one(context, each, kept.get(each.name, ()), told.get(each.name), unseen, wanted=wanted)
        for each in planned
    }


def _assessed(
    context: Context, planned: Sequence[PlannedMigration], wanted: bool
) -> tuple[Mapping[str, Sequence[Assessed]], str | None]:
    """What would come of their pre-images, asked once for all; why that could not be asked."""
    if not wanted or not planned:
        return {}, "nothing is to be kept (--no-backup)" if planned and not wanted else None
    from bascule.errors import BasculeError
    from bascule.ports.database import WorkFailed
    from bascule.rollback.preimage_plan import keeps_of

    wants = {
        each.name: [keep for keeps in keeps_of(each, context.target.dialect).values() for keep in keeps]
        for each in planned
    }
    try:
        answers = iter(context.target.preimages().assess([keep for keeps in wants.values() for keep in keeps]))
        return {name: [next(answers) for _ in keeps] for name, keeps in wants.items()}, None
    except (WorkFailed, BasculeError) as failure:
        return {}, f"what can be kept could not be asked: {failure}"


def _of_one(
    context: Context,
    planned: PlannedMigration,
    kept: Sequence[Assessed],
    told: Foretold | None,
    unseen: str | None,
    *,
    wanted: bool,
) -> MigrationWayBack:
    from bascule.domain.way_back import Foretold, MigrationWayBack
    from bascule.rollback.ways_back import heaviest, ways_back

    told = told or Foretold()
    backup = wanted and context.save and context.backups is not None
    ways = ways_back(planned, context.target.dialect, kept, backup=backup, foretold=told, unseen=unseen)
    if not backup:
        ways = tuple(_without_a_backup(planned, ways))
    proved = _is_proved(context, planned)
    return MigrationWayBack(
        way=heaviest(ways, planned),
        ways=ways,
        losses=tuple(_losses(planned, ways, proved=proved)),
        foretold=told,
    )


def _without_a_backup(planned: PlannedMigration, ways: Sequence[WayBack]) -> Iterator[WayBack]:
    """Of a statement of which nobody knows what it destroys, only a backup of everything leads back."""
    from dataclasses import replace

    from bascule.backups.endangered import unforeseeable

    unknown = {
        (statement.line, insight.kind)
        for step in planned.steps
        for statement, insight in zip(step.statements, step.insights, strict=True)
        if planned.direction == "up" and insight.destroys is None and unforeseeable(statement, insight) is not None
    }
    for each in ways:
        if (each.line, each.what) in unknown:
            yield replace(each, way="none", loses=(UNKNOWN_LOSS,))
        else:
            yield each


def _losses(planned: PlannedMigration, ways: Sequence[WayBack], *, proved: bool) -> list[str]:
    """Those of the migration that no way brings again, with what else is lost on the way."""
    destroyed = {f"line {each.line} {each.what}": each for each in ways}
    found = []
    for words in losses_of(planned):
        loss = words.removeprefix(f"{planned.name}: ")
        way = destroyed.get(loss)
        if way is not None and way.way == "preimage":
            found += [f"{planned.name}: {loss}: {each}" for each in way.loses]
        elif way is not None and way.why is not None:
            found.append(f"{words} (not kept: {way.why})")
        elif not (proved and loss == "it has no down script"):
            found.append(words)
    found += [
        f"{planned.name}: line {each.line} {each.what}: {UNKNOWN_LOSS}, and there is no backup of before"
        for each in ways
        if each.loses == (UNKNOWN_LOSS,)
    ]
    return found


def _is_proved(context: Context, planned: PlannedMigration) -> bool:
    if planned.direction != "up" or planned.migration.down is not None:
        return False
    from bascule.rollback.inverse import inverse_script

    return inverse_script(planned.migration, planned.statements, context.target.dialect) is not None


# What the two scripts leave different


def foretold_of(context: Context, planned: Sequence[PlannedMigration]) -> Mapping[str, Foretold]:
    """By name, of those of which the two scripts have to be compared. First by the scripts alone; where that leaves
    something open, once more from what the catalog has today.
    """
    from bascule.rollback.foretold import is_foreseeable, mirrored
    from bascule.rollback.pictures.picture import Picture

    subjects = {each.name for each in planned if is_foreseeable(each) and not mirrored(each)}
    if not subjects:
        return {}
    last = max(at for at, each in enumerate(planned) if each.name in subjects)
    followed = [each for each in planned[: last + 1] if each.direction == "up"]
    found = _followed(context, followed, subjects, Picture())
    if all(each.exact and not each.guessed for each in found.values()):
        return found
    picture = _drawn(context, followed)
    return found if picture is None else _followed(context, followed, subjects, picture)


def _followed(
    context: Context, planned: Sequence[PlannedMigration], subjects: set[str], picture: Picture
) -> Mapping[str, Foretold]:
    from bascule.planning.steps import read_script
    from bascule.rollback.foretold import foretell

    def read(script: Script) -> list[tuple[Statement, Insight]]:
        return list(zip(*read_script(script, context.target.dialect), strict=True))

    found = {each.name: foretell(each, context.target.dialect, picture, read) for each in planned}
    return {name: each for name, each in found.items() if name in subjects}


def _drawn(context: Context, planned: Sequence[PlannedMigration]) -> Picture | None:
    """What the catalog has of all that these name; None where it cannot be asked."""
    from bascule.domain.statement import Touch
    from bascule.errors import BasculeError
    from bascule.ports.database import WorkFailed
    from bascule.rollback.pictures import catalog, sqlite
    from bascule.rollback.pictures.picture import Picture

    objects = frozenset().union(*(each.touch.objects for each in planned))
    try:
        seen = context.target.snapshot(Touch(objects=objects))
    except (WorkFailed, BasculeError):
        return None
    picture = Picture(known=True)
    drawing = sqlite.pictured if context.target.dialect == "sqlite" else catalog.pictured
    drawing(seen.objects, picture)
    return picture
