"""Which migrations a command is about, with their files read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bascule.domain.migration import Migration, MigrationRef
from bascule.domain.plan import PlannedMigration
from bascule.planning.graph import build
from bascule.planning.meaning import meaning
from bascule.planning.select import Selection, select_repeatable, select_up
from bascule.services.context import Context
from bascule.services.planned import plan_one
from bascule.services.situation import Situation
from bascule.sql.checksum import SEMANTIC_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an `up` will run, in order, and what has to be said about it."""

    order: tuple[MigrationRef, ...]
    read: dict[str, Migration]
    warnings: tuple[str, ...]

    def planned(self, context: Context) -> tuple[PlannedMigration, ...]:
        """The order, cut into steps. Every file is looked at before any of them runs."""
        return tuple(plan_one(context, self.read[ref.name], "up") for ref in self.order)


def choose(
    context: Context,
    situation: Situation,
    *,
    names: tuple[str, ...] = (),
    to: str | None = None,
    steps: int | None = None,
) -> Choice:
    """Select what `up` would run now. Raises UsageError for unknown names, Refused for broken dependencies."""
    read = {ref.name: context.source.read(ref) for ref in situation.pending()}
    depends = {name: migration.depends for name, migration in read.items()}
    graph = build(situation.refs, depends, applied=situation.applied)
    selection = select_up(
        situation.refs, graph, situation.applied, names=names, to=to, steps=steps, late=context.policy.late
    )
    repeatables = () if to is not None or steps is not None else selection.repeatable if names else graph.repeatables
    return Choice(
        order=(*selection.order, *_changed(context, situation, read, repeatables)),
        read=read,
        warnings=(*_words(selection, names), *_passed_over(context)),
    )


def _changed(
    context: Context, situation: Situation, read: dict[str, Migration], refs: Sequence[MigrationRef]
) -> tuple[MigrationRef, ...]:
    """Repeatable files whose meaning (with the values of variables) is not the one that ran last."""
    for ref in refs:
        read[ref.name] = context.source.read(ref)
    return select_repeatable(
        refs,
        situation.applied,
        exact={ref.name: read[ref.name].exact_hash for ref in refs},
        semantic={ref.name: meaning(read[ref.name].up, context.target.dialect) for ref in refs},
        parser=SEMANTIC_VERSION,
    )


def _words(selection: Selection, names: tuple[str, ...]) -> list[str]:
    words = []
    if selection.already:
        words.append(f"Applied already: {', '.join(selection.already)}.")
    if selection.prerequisites:
        words.append(f"Needed by {', '.join(names)} and run first: {', '.join(selection.prerequisites)}.")
    if selection.late:
        words.append(f"Older than the newest applied one (came late, from a branch): {', '.join(selection.late)}.")
    if selection.skipped:
        words.append(
            f"Older and pending, but not needed by what you named, so not run: {', '.join(selection.skipped)}."
        )
    return words


def _passed_over(context: Context) -> list[str]:
    return [f"Passed over: {words}" for words in context.source.passed_over()]
