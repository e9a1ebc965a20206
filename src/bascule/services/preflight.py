"""Ask today's rows whether they meet what pending migrations will need, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bascule.domain.event import Event
from bascule.domain.plan import PlannedMigration
from bascule.errors import Interrupted, Refused
from bascule.ports.database import WorkFailed
from bascule.services.context import Context
from bascule.services.validation_failed import NEEDS, note_failed
from bascule.validation.needs.reading import Script, list_needs

if TYPE_CHECKING:
    from bascule.domain.statement import ObjectName
    from bascule.validation.needs.facts import Facts
    from bascule.validation.needs.need import Need

ONE = 10.0
"""Seconds for one question about rows; a stronger lock that somebody wants waits for it no longer than that."""
ALL = 60.0
"""Seconds after which no further question is begun."""
SAY_AFTER = 2.0
"""Seconds after which a person is told what takes so long."""
_TOLD = 5
"""Needs of which a message tells in full."""

_OF_ONE = {
    "are": "is",
    "break": "breaks",
    "do": "does",
    "exclude": "excludes",
    "have": "has",
    "refer": "refers",
    "share": "shares",
}
"""Verbs of an offence, where it is one row's."""

Status = Literal["met", "not_met", "not_judged", "not_looked_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the rows say to one need."""

    need: Need
    status: Status
    offenders: int | None = None
    """None: some, but the server does not say how many; or none were counted."""
    heading: tuple[str, ...] = ()
    sample: tuple[tuple[str | None, ...], ...] = ()
    """The first offenders, in the columns of `heading`."""
    why: str = ""
    """Why it was not judged or not looked at, or the server's words."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        need = self.need
        answer: dict[str, Any] = {
            "migration": need.migration,
            "line": need.line,
            "table": _shown(need.table),
            "need": need.words,
            "status": self.status,
        }
        if self.status == "not_met":
            answer |= {
                "offenders": self.offenders,
                "columns": list(self.heading),
                "sample": list(map(list, self.sample)),
            }
        return answer | ({"why": self.why} if self.why else {})

    def lines(self) -> Iterator[str]:
        """For people."""
        need = self.need
        where = f"{need.path}:{need.line}: {need.words}"
        if self.status != "not_met":
            yield f"{where}: {'not judged' if self.status == 'not_judged' else 'not looked at'}: {self.why}"
            return
        yield f"{where}, but {self._count()} {self._offence()}{f': {self.why}' if self.why else '.'}"
        for row in self.sample:
            yield "    " + ", ".join(f"{name} {_value(value)}" for name, value in zip(self.heading, row, strict=True))
        more = 0 if self.offenders is None or not self.sample else self.offenders - len(self.sample)
        if more > 0 and "rows" not in self.heading:
            yield f"    and {more} more"

    def _offence(self) -> str:
        verb, _, rest = self.need.offence.partition(" ")
        return f"{_OF_ONE.get(verb, verb) if self.offenders == 1 else verb} {rest}".rstrip()

    def _count(self) -> str:
        from bascule.validation.needs.filled import MOST

        if self.offenders is None:
            return "some rows"
        if self.offenders > MOST and self.need.offence.startswith(("have no", "would be NULL", "would share NULL")):
            return f"more than {MOST} rows"
        return f"{self.offenders} row" + ("" if self.offenders == 1 else "s")


def preflight(context: Context, planned: Sequence[PlannedMigration]) -> tuple[Answer, ...]:
    """As `look`, before a run.

    Raises:
        Refused: code ``needs_not_met``; rows are there on which a statement surely fails.
        Interrupted: told to stop.
    """
    begun = context.clock.monotonic()
    answers = look(context, planned)
    broken = [answer for answer in answers if answer.status == "not_met"]
    if broken:
        _publish(context, broken, took=context.clock.monotonic() - begun)
        raise _refused(answers, broken)
    return answers


def look(context: Context, planned: Sequence[PlannedMigration]) -> tuple[Answer, ...]:
    """Ask all that the migrations need. No question is asked of the database where they need nothing. Raises
    `Interrupted`.
    """
    needs = list_needs(planned, context.target.dialect, before=lambda: _hooks(context))
    return tuple(ask(context, needs)) if needs else ()


def ask(context: Context, needs: Sequence[Need]) -> Iterator[Answer]:
    """What the rows say to each, in order; a need that nothing of today concerns has no answer."""
    begun = context.clock.monotonic()
    said = False
    resolved = [each for need in needs for each in _resolved(context, need)]
    facts = _facts(context, [each for each in resolved if not isinstance(each, Answer)])
    for number, each in enumerate(resolved):
        if not said and context.clock.monotonic() - begun > SAY_AFTER:
            said = True
            context.say(
                f"Asking today's rows what the migrations will need of them ({number} of {len(resolved)} done)."
            )
        answer = each if isinstance(each, Answer) else _answer(context, each, facts[each.settings], begun + ALL)
        if answer is not None:
            yield answer


def _resolved(context: Context, need: Need) -> list[Need | Answer]:
    """Needs that only the catalog can spell out, spelled out; it may take two looks."""
    from bascule.validation.needs.lookup import Lookup

    if not isinstance(need.question, Lookup):
        return [need]
    try:
        rows = context.target.query(need.question.sql, seconds=ONE, settings=need.settings)
    except WorkFailed as failure:
        return [_unseen(need, failure)]
    found = need.question.found(need, rows)
    return [each for one in found for each in _resolved(context, one)]


def _facts(context: Context, needs: Sequence[Need]) -> dict[tuple[str, ...], Facts]:
    """What the catalog says of all tables, in one look for each search path."""
    from bascule.validation.needs.facts import Facts

    dialect = context.target.dialect
    version = context.target.describe().version if needs else 0
    wanted: dict[tuple[str, ...], dict[ObjectName, None]] = {}
    for need in needs:
        tables = wanted.setdefault(need.settings, {})
        tables |= dict.fromkeys((need.table, *need.question.tables))
        if not need.doubt:
            tables |= dict.fromkeys(change.table for change in need.earlier)
        if need.unless is not None:
            tables[need.unless] = None
    found = {}
    for settings, tables in wanted.items():
        found[settings] = Facts(dialect=dialect, version=version, tables=_look_up(context, tuple(tables), settings))
    return found


def _look_up(context: Context, tables: tuple[ObjectName, ...], settings: tuple[str, ...]) -> Any:
    if context.target.dialect == "sqlite":
        from bascule.validation.needs.sqlite.facts import facts_sql, read_facts
    else:
        from bascule.validation.needs.postgresql.facts import facts_sql, read_facts
    found: dict[ObjectName, Any] = {}
    for at in range(0, len(tables), _AT_ONCE):
        some = tables[at : at + _AT_ONCE]
        try:
            rows = context.target.query(facts_sql(some), seconds=ONE, settings=settings)
        except WorkFailed as failure:
            context.say(f"Warning: the catalog could not be read before the run: {failure.message}")
            continue
        found |= read_facts(some, rows)
    return found


_AT_ONCE = 100
"""Tables in one query; SQLite takes at most 500 parts of a UNION."""


def _answer(context: Context, need: Need, facts: Facts, until: float) -> Answer | None:
    known = facts.of(need.table)
    if not known.exists or _does_nothing(need, facts):
        return None
    doubt = need.doubt or _reached(need, facts)
    if doubt:
        return Answer(need=need, status="not_judged", why=doubt)
    count = need.question.count(facts)
    if count is None:
        return Answer(need=need, status="met", offenders=0)
    if (signal := context.stopping()) is not None:
        raise Interrupted(f"Stopped by {signal} while the rows were looked at.", hint="Nothing was begun.")
    if context.clock.monotonic() > until:
        return Answer(need=need, status="not_looked_at", why=f"{ALL:g} s for all questions were over")
    return _asked(context, need, facts, count)


def _asked(context: Context, need: Need, facts: Facts, count: str) -> Answer:
    try:
        ((offenders,),) = context.target.query(count, seconds=ONE, settings=need.settings)
    except WorkFailed as failure:
        if need.server_words and failure.sqlstate[:2] in _BAD_VALUE:
            return _sifted(context, need, facts, failure)
        return _unseen(need, failure)
    offenders = int(offenders)
    if not offenders:
        return Answer(need=need, status="met", offenders=0)
    heading, sample = need.question.heading(facts), need.question.sample(facts)
    try:
        rows = context.target.query(sample, seconds=ONE, settings=need.settings) if sample else ()
    except WorkFailed as failure:
        if failure.kind == "cancelled":
            raise Interrupted("Stopped while the rows were looked at.", hint="Nothing was begun.") from failure
        # The count stands; only the names of the rows are missing.
        rows = ()
    return Answer(
        need=need, status="not_met", offenders=offenders, heading=heading, sample=tuple(tuple(row) for row in rows)
    )


_BAD_VALUE = ("22", "23")
"""SQLSTATE classes: data exception, and what a domain has against a value."""


def _sifted(context: Context, need: Need, facts: Facts, failure: WorkFailed) -> Answer:
    """The server has met a value that it cannot compute with: which rows have such values, as far as time allows."""
    from bascule.validation.needs.sieve import ANSWER, read, sieve

    unknown = Answer(need=need, status="not_met", why=failure.message)
    asked = sieve(need.question, facts, seconds=ONE)
    if asked is None:
        return unknown
    try:
        ((told,),) = context.target.query(ANSWER, settings=(*need.settings, *asked.statements))
    except WorkFailed as problem:
        if problem.kind == "cancelled":
            raise Interrupted("Stopped while the rows were looked at.", hint="Nothing was begun.") from problem
        return unknown
    found = read(told)
    if found is None:
        return unknown
    words = found.said if found.whole else f"{found.said} (and maybe more: they were counted for {ONE * 0.8:g} s)"
    return Answer(
        need=need, status="not_met", offenders=found.found, heading=asked.heading, sample=found.sample, why=words
    )


def _unseen(need: Need, failure: WorkFailed) -> Answer:
    """Neither a pass nor a refusal. Raises `Interrupted` for a question that was stopped on request."""
    if failure.kind == "cancelled":
        raise Interrupted("Stopped while the rows were looked at.", hint="Nothing was begun.") from failure
    words = f"it took longer than {ONE:g} s" if failure.kind == "timeout" else failure.message
    return Answer(need=need, status="not_looked_at", why=words)


def _does_nothing(need: Need, facts: Facts) -> bool:
    if need.unless is not None and facts.of(need.unless).exists:
        return True
    return need.unless_column is not None and need.unless_column in facts.of(need.table).columns


def _reached(need: Need, facts: Facts) -> str:
    """Whether a change of other rows, which runs before, may have changed these."""
    mine = {need.table, *need.question.tables}
    for change in need.earlier:
        where = (
            f"line {change.line}" if change.migration == need.migration else f"{change.migration}, line {change.line}"
        )
        if change.table in mine:
            return f"{where} changes rows of {_shown(change.table)} first"
        if facts.of(change.table).reaches:
            return f"{where} changes rows of {_shown(change.table)} first, whose triggers or cascades reach further"
    return ""


def _hooks(context: Context) -> Iterator[Script]:
    """The scripts that run before the first migration."""
    from bascule.planning.steps import read_script

    for hook in context.hooks():
        if hook.event == "before_up" and not hook.script.empty:
            statements, insights = read_script(hook.script, context.target.dialect)
            yield f"hooks/{hook.event}", hook.script.path, statements, insights


def _refused(answers: Sequence[Answer], broken: Sequence[Answer]) -> Refused:
    names = list(dict.fromkeys(answer.need.migration for answer in broken))
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    lines = [f"Today's rows do not meet what {', '.join(names[:3])}{rest} will need:"]
    for answer in broken[:_TOLD]:
        lines += [f"  {line}" for line in answer.lines()]
    if len(broken) > _TOLD:
        lines.append(f"  and {len(broken) - _TOLD} more needs that are not met")
    return Refused(
        "\n".join(lines),
        code="needs_not_met",
        hint="Correct these rows, or let the migration do it before that line, and run again. "
        "--no-validate runs without this look.",
        details={"report": {"needs": [answer.as_dict() for answer in answers]}},
    )


def _publish(context: Context, broken: Sequence[Answer], *, took: float) -> None:
    for name in dict.fromkeys(answer.need.migration for answer in broken):
        needs = [answer for answer in broken if answer.need.migration == name]
        told = [answer.as_dict() for answer in needs]
        data = {"needs": told, "rules": [NEEDS], "executionTime": round(took * 1000)}
        # The rows themselves are for whoever asked now, not to be kept.
        note_failed(context, name, [NEEDS], [f"line {answer.need.line}: {answer.need.words}" for answer in needs])
        context.publish(
            Event(name="migration.validation_failed", run_id="", migration=name, at=context.clock.now(), data=data)
        )


def warnings(answers: Sequence[Answer]) -> list[str]:
    """What nobody has judged or looked at, for people."""
    return [line for answer in answers if answer.status in ("not_judged", "not_looked_at") for line in answer.lines()]


def of_migration(answers: Sequence[Answer], name: str) -> dict[str, Any]:
    """The needs of one migration, as its RUN reports them."""
    return {"needs": [answer.as_dict() for answer in answers if answer.need.migration == name]}


def _shown(table: ObjectName) -> str:
    from bascule.sql.postgres.tree import shown

    return shown(table)


def _value(value: str | None) -> str:
    """On one line, whatever it holds."""
    if value is None:
        return "NULL"
    return value if value.isprintable() and value else repr(value)
