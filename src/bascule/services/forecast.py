"""Impact, time, way back and checks of a plan, from what the target holds today and what it has seen before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bascule.domain.forecast import BackupPlan, Forecast, MigrationForecast, RollbackPlan, ValidationPlan
from bascule.domain.migration import Script
from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Insight, ObjectName, Statement
from bascule.domain.way_back import MigrationWayBack
from bascule.errors import BasculeError
from bascule.planning.estimate import PRIOR, Estimate, Past, Work, class_of, estimate, total
from bascule.planning.impact import Held, Impact, highest, weighed
from bascule.planning.sizes import Size, counted, counts_sql, read_sizes, tables_there_sql
from bascule.planning.steps import read_script
from bascule.ports.database import WorkFailed
from bascule.services.context import Context
from bascule.services.foresee import ways_back_of
from bascule.services.situation import Situation
from bascule.sql.postgres.tree import shown

RUNS = 30
"""Past migrations that are looked at."""
_SECONDS = 2.0
"""For one look at the catalog."""
_AT_ONCE = 200

Pair = tuple[Statement, Insight]
Settings = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Sizes:
    """What tables hold today, asked once for each name."""

    context: Context
    known: dict[tuple[Settings, ObjectName], Size] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)

    def learn(self, wanted: Mapping[Settings, dict[ObjectName, None]]) -> None:
        for settings, tables in wanted.items():
            names = tuple(tables)
            for at in range(0, len(names), _AT_ONCE):
                try:
                    self._ask(names[at : at + _AT_ONCE], settings)
                except WorkFailed as failure:
                    self.unseen.append(f"how much the tables hold: {failure.message}")

    def _ask(self, tables: Sequence[ObjectName], settings: Settings) -> None:
        target = self.context.target
        rows = target.query(tables_there_sql(tables, target.dialect), seconds=_SECONDS, settings=settings)
        found = read_sizes(tables, rows)
        uncounted = tuple(table for table, size in found.items() if size is None)
        self.known |= {(settings, table): size for table, size in found.items() if size is not None}
        if uncounted:
            ((*numbers,),) = target.query(counts_sql(uncounted), seconds=_SECONDS)
            for table, number in zip(uncounted, numbers, strict=True):
                self.known[settings, table] = counted(number)


def forecast(context: Context, planned: Sequence[PlannedMigration], situation: Situation) -> Forecast:
    """Asks the catalog and the ledger; changes nothing. What cannot be looked at is said, not raised."""
    downs = {each.name: _down_of(context, each) for each in planned}
    past = list(_past(context, situation)) if planned else []
    sizes = _Sizes(context=context)
    ups = {each.name: _pairs(each) for each in planned}
    sizes.learn(_wanted(context, [*ups.values(), *downs.values(), *(pairs for pairs, _ in past)]))
    history = [Past(work=_work(context, pairs, sizes), ms=ms) for pairs, ms in past]
    backs = ways_back_of(context, planned)
    told = {name: _of_one(context, pairs, sizes, history, backs[name]) for name, pairs in ups.items()}
    back = total([estimate(_work(context, pairs, sizes)) for pairs in downs.values()])
    return Forecast(
        migrations={name: each for name, (each, _, _) in told.items()},
        impact=highest(level for _, level, _ in told.values()),
        total=total([each for _, _, each in told.values()]).as_dict(),
        prior=PRIOR,
        rollback=_rollback(planned, situation, back.ms, backs),
        validation=_validation(context, planned),
        backup=_backup(context, planned),
        unseen=tuple(dict.fromkeys(sizes.unseen)),
    )


def rough(context: Context, planned: Sequence[PlannedMigration], heavy: Collection[Insight]) -> Iterator[int]:
    """Milliseconds of each by the prior alone, asking only what the tables of these statements hold."""
    ups = [_pairs(each) for each in planned]
    sizes = _Sizes(context=context)
    sizes.learn(_wanted(context, [[pair for pair in pairs if pair[1] in heavy or pair[1].session] for pairs in ups]))
    return (estimate(_work(context, pairs, sizes)).ms for pairs in ups)


def _of_one(
    context: Context, pairs: Sequence[Pair], sizes: _Sizes, history: Sequence[Past], back: MigrationWayBack
) -> tuple[MigrationForecast, Impact, Estimate]:
    levels: list[Impact] = []
    reasons = []
    for (statement, insight), held in zip(pairs, _held(context, pairs, sizes), strict=True):
        level, words = weighed(
            insight,
            statement.line,
            [Held(table=shown(table), words=s.words(), rows=s.rows, bytes=s.weight) for table, s in held.items()],
        )
        levels.append(level)
        if words:
            reasons.append(words)
    time = estimate(_work(context, pairs, sizes), history)
    level = highest(levels)
    return MigrationForecast(impact=level, reasons=tuple(reasons), estimate=time.as_dict(), back=back), level, time


def _work(context: Context, pairs: Sequence[Pair], sizes: _Sizes) -> tuple[Work, ...]:
    return tuple(
        Work(kind=class_of(insight.kind), bytes=sum(size.weight for size in held.values()))
        for (_, insight), held in zip(pairs, _held(context, pairs, sizes), strict=True)
    )


def _held(context: Context, pairs: Sequence[Pair], sizes: _Sizes) -> Iterator[dict[ObjectName, Size]]:
    """For each statement the tables that were there before the script, with what they hold."""
    made: set[str] = set()
    for settings, (statement, insight) in _with_settings(pairs):
        tables = _tables(context, statement, insight)
        if insight.kind.startswith("CREATE TABLE"):
            made |= {table.name for table in tables}
        yield {
            table: sizes.known[settings, table]
            for table in tables
            if table.name not in made and (settings, table) in sizes.known
        }


def _wanted(context: Context, scripts: Sequence[Sequence[Pair]]) -> dict[Settings, dict[ObjectName, None]]:
    wanted: dict[Settings, dict[ObjectName, None]] = {}
    for pairs in scripts:
        for settings, (statement, insight) in _with_settings(pairs):
            if tables := _tables(context, statement, insight):
                wanted.setdefault(settings, {}).update(tables)
    return wanted


def _with_settings(pairs: Sequence[Pair]) -> Iterator[tuple[Settings, Pair]]:
    """Each statement with the search path that the script made before it."""
    settings: Settings = ()
    for pair in pairs:
        if pair[1].search_path is not None:
            settings = (*settings, pair[0].text)
        yield settings, pair


def _tables(context: Context, statement: Statement, insight: Insight) -> dict[ObjectName, None]:
    if context.target.dialect == "sqlite" and insight.kind.startswith(("INSERT", "UPDATE", "DELETE")):
        from bascule.validation.needs.sqlite.reading import changed_table

        return {ObjectName(kind="relation", name=changed_table(statement)): None}
    touch = insight.touch
    names = (
        ObjectName(kind="relation", name=each.name, schema=each.schema)
        for each in sorted(touch.objects | touch.runs, key=lambda each: (each.schema or "", each.name))
        if each.kind == "relation"
    )
    return dict.fromkeys(names)


def _pairs(planned: PlannedMigration) -> list[Pair]:
    return [pair for step in planned.steps for pair in zip(step.statements, step.insights, strict=True)]


def _down_of(context: Context, planned: PlannedMigration) -> list[Pair]:
    down = planned.migration.down
    if planned.migration.irreversible or down is None or down.empty or down.language != "sql":
        return []
    return list(zip(*read_script(down, context.target.dialect), strict=True))


def _past(context: Context, situation: Situation) -> Iterator[tuple[list[Pair], int]]:
    """The newest runs that the ledger has, with their milliseconds."""
    python = {ref.name for ref in situation.refs if ref.language == "python"}
    runs = [each for each in situation.applied if each.how == "run" and each.execution_ms > 0]
    for entry in runs[-RUNS:]:
        text = context.target.script(entry.name) if entry.name not in python else None
        if not text:
            continue
        try:
            read = read_script(Script(text=text, path=entry.name), context.target.dialect)
        except BasculeError:
            continue  # of a file that is gone nothing tells the language: what is no SQL is no history
        yield list(zip(*read, strict=True)), entry.execution_ms


def _rollback(
    planned: Sequence[PlannedMigration], situation: Situation, ms: int, backs: Mapping[str, MigrationWayBack]
) -> RollbackPlan:
    undone = [each for each in planned if not each.migration.ref.repeatable]
    names = {each.name for each in undone}
    needed = [name for each in undone for name in each.migration.depends or () if name not in names]
    applied = [entry.name for entry in situation.applied if not entry.repeatable]
    losses = [words for each in undone for words in backs[each.name].losses]
    return RollbackPlan(
        target_migration=applied[-1] if applied else None,
        migrations_to_revert=tuple(each.name for each in reversed(undone)),
        backup_required=any(way.way in ("backup", "none") for each in undone for way in backs[each.name].ways),
        data_loss_warning="; ".join(losses) or None,
        estimated_time=ms,
        dependencies=tuple(dict.fromkeys(needed)),
    )


def _backup(context: Context, planned: Sequence[PlannedMigration]) -> BackupPlan | None:
    from bascule.services.saving import foreseen

    reach = foreseen(context, planned)
    return None if reach is None else BackupPlan(tables=reach.tables, why=reach.why)


def _validation(context: Context, planned: Sequence[PlannedMigration]) -> ValidationPlan:
    from bascule.validation.rules import BUILT_IN

    return ValidationPlan(
        pre_migration_checks=tuple(_before(context, planned)) if context.policy.validate else (),
        post_migration_checks=tuple(_after(context, planned)) if context.policy.validate else (),
        data_integrity_checks=tuple(rule.id for rule in BUILT_IN if rule.category == "data_integrity"),
        performance_checks=tuple(rule.id for rule in BUILT_IN if rule.category == "performance"),
    )


def _before(context: Context, planned: Sequence[PlannedMigration]) -> Iterator[str]:
    from bascule.validation.needs.reading import list_needs

    if context.policy.strict:
        yield "strict mode: the data rules about all tables that are touched; a warning refuses"
    needs = list_needs(planned, context.target.dialect)
    yield from dict.fromkeys(
        f"{need.path}:{need.line}: {need.words}{f' (not judged: {need.doubt})' if need.doubt else ''}"
        for need in needs
        if need.words
    )


def _after(context: Context, planned: Sequence[PlannedMigration]) -> Iterator[str]:
    from bascule.validation.counts import written_tables

    for each in planned:
        tables, _ = written_tables(each, context.target.dialect)
        if tables:
            yield f"{each.name}: rows before and after of {', '.join(map(shown, tables))}"
