"""How long each migration of an up is expected to take, for its report: by the stated prior, and by what the tables
hold on which its time depends. The plan knows more: it also asks what like runs took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Insight
from bascule.planning.estimate import ALL_ROWS, Work, class_of, estimate
from bascule.services.context import Context


def estimated(context: Context, planned: Sequence[PlannedMigration]) -> Mapping[str, int]:
    """Milliseconds by name. The database is asked only about tables of which all rows have to be read or written, and
    that none of these makes; where it cannot be asked they count as empty.
    """
    heavy = _heavy(planned)
    if heavy:
        from bascule.services.forecast import rough

        return {each.name: ms for each, ms in zip(planned, rough(context, planned, heavy), strict=True)}
    return {each.name: estimate([Work(kind=class_of(one.kind)) for one in _insights(each)]).ms for each in planned}


def _heavy(planned: Sequence[PlannedMigration]) -> frozenset[Insight]:
    made: set[str] = set()
    found = set()
    for each in planned:
        for insight in _insights(each):
            if insight.kind.startswith("CREATE TABLE"):
                made |= {name.name for name in insight.touch.objects}
            elif class_of(insight.kind) in ALL_ROWS and not any(name.name in made for name in insight.touch.objects):
                found.add(insight)
    return frozenset(found)


def _insights(planned: PlannedMigration) -> list[Insight]:
    return [insight for step in planned.steps for insight in step.insights]
