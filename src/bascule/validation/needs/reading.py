"""From planned migrations to what their statements need of the rows of today."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect, Insight, Statement
from bascule.validation.needs.need import Need

Script = tuple[str, str, Sequence[Statement], Sequence[Insight]]
"""Name and path of a script that runs before, and its statements with what is known of them."""


def list_needs(
    planned: Sequence[PlannedMigration], dialect: Dialect, *, before: Callable[[], Iterable[Script]] = tuple
) -> tuple[Need, ...]:
    """All of them in the order of the statements. Nothing is asked of a database, and where no statement can need
    anything, nothing is read a second time. `before`: scripts that run before the first (hooks), which may mend rows.
    """
    may_ask = _quick(dialect)
    if not any(
        may_ask(statement, insight)
        for each in planned
        for step in each.steps
        for statement, insight in zip(step.statements, step.insights, strict=True)
    ):
        return ()
    return tuple(_read(planned, dialect, before()))


def _quick(dialect: Dialect) -> Callable[[Statement, Insight], bool]:
    if dialect == "sqlite":
        from bascule.validation.needs.sqlite.reading import may_ask

        return may_ask
    # The pattern alone: the readers behind it are loaded when something is to be read.
    from bascule.validation.needs.postgresql.glance import may_ask as may_ask_postgresql

    return may_ask_postgresql


def _read(planned: Sequence[PlannedMigration], dialect: Dialect, before: Iterable[Script]) -> Iterable[Need]:
    ends = _ends(planned)
    if dialect == "sqlite":
        from bascule.validation.needs.sqlite.reading import read as read_sqlite
        from bascule.validation.needs.sqlite.world import World as SqliteWorld

        lite = SqliteWorld()
        for name, path, statements, insights in (*before, *_scripts(planned)):
            lite.enter(name, path)
            for statement, insight in zip(statements, insights, strict=True):
                yield from read_sqlite(lite, statement, insight)
            lite.blind = lite.blind or ends.get(name, "")
        return
    from bascule.validation.needs.postgresql.reading import read
    from bascule.validation.needs.postgresql.world import World

    world = World()
    for name, path, statements, insights in (*before, *_scripts(planned)):
        world.enter(name, path)
        for statement, insight in zip(statements, insights, strict=True):
            yield from read(world, statement, insight)
        world.go_blind(ends.get(name, ""))


def _scripts(planned: Sequence[PlannedMigration]) -> Iterable[Script]:
    for each in planned:
        statements = each.statements
        insights = tuple(insight for step in each.steps for insight in step.insights)
        yield each.name, each.migration.up.path, statements, insights


def _ends(planned: Sequence[PlannedMigration]) -> dict[str, str]:
    """Of Python migrations that read the database: why nobody knows what they do after what is known."""
    return {
        each.name: f"{each.name} decides by what it reads in the database what it does"
        for each in planned
        if any(step.kind == "python" for step in each.steps) and each.touch.everything
    }
