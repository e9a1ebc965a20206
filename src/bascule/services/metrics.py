"""The metrics of a target: counted from its journal, so that no restart and no second host changes them.

What has been counted is kept in the state store, up to a moment before which no transaction is still open, and only
what came after is counted anew: that is quick however long the journal is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bascule.domain.metrics import Metrics, Tally, merged, metrics_of
from bascule.domain.performance import own_cost
from bascule.errors import BasculeError
from bascule.services.context import Context
from bascule.state import notes, performance

SETTLED: Final = 60.0
"""Seconds after which a fact with a smaller number does not appear any more, where nobody has the lease: it gets its
number in the last moment of its transaction."""
_KEEP_FROM: Final = 2000
"""Facts; fewer are counted anew each time."""
_NOTE: Final = "metrics"
_FORM: Final = 1
_OWN_RUNS: Final = 100


@dataclass(slots=True)
class Kept:
    """What has been counted already. A process that lives long hands in the same one each time."""

    upto: int = 0
    """The highest number of a fact that is in it."""
    tallies: tuple[Tally, ...] = ()
    asked: bool = False
    """The state store was asked for it."""


def metrics(
    context: Context, *, kept: Kept | None = None, custom: Mapping[str, Callable[[], float]] | None = None
) -> Metrics:
    """All of them. `custom`: metrics of the application's own; one that raises is left out, and said in the log. Raises
    `TargetUnreachable`, `Refused`.
    """
    return metrics_of(tallied(context, kept), monitoring=own(context), custom=_custom(custom or {}))


def tallied(context: Context, kept: Kept | None = None) -> tuple[Tally, ...]:
    """The journal, counted by day. Raises as `metrics`."""
    target = context.target
    if not target.describe().prepared:
        return ()
    kept = kept if kept is not None else Kept()
    newest = target.newest_fact()
    if newest < kept.upto:
        # The journal was begun again, or put back to an earlier day.
        kept.upto, kept.tallies, kept.asked = 0, (), False
    if not kept.asked and newest > _KEEP_FROM:
        kept.upto, kept.tallies = _recalled(context, newest)
    kept.asked = True
    if newest - kept.upto > _KEEP_FROM:
        _keep(context, kept)
    return merged(kept.tallies, target.tally(after=kept.upto) if newest > kept.upto else (), _killed(context))


def _killed(context: Context) -> list[Tally]:
    """The runs whose process was killed, and whose end nobody has written down yet."""
    from bascule.services.broken_off import broken_off

    now = context.clock.now()
    return [
        Tally(
            day=(fact.at or now).date().isoformat(),
            kind=fact.kind,
            direction=fact.direction,
            count=1,
            ms=0,
            timed=0,
            last=fact.at or now,
        )
        for fact in broken_off(context)
    ]


def own(context: Context) -> dict[str, Any]:
    """What Bascule's watching cost in the newest runs that were measured."""
    with closing(context.target.state(beside=False)) as door:
        return own_cost(performance.newest(door, limit=_OWN_RUNS, measured=True))


def _keep(context: Context, kept: Kept) -> None:
    holder = context.target.holder()
    under_way = (context.clock.now() - holder.since).total_seconds() if holder is not None else 0.0
    settled = context.target.newest_fact(older_than=SETTLED + max(0.0, under_way))
    if settled - kept.upto <= _KEEP_FROM:
        return
    kept.tallies = merged(kept.tallies, context.target.tally(after=kept.upto, upto=settled))
    kept.upto = settled
    value = {"form": _FORM, "upto": settled, "tallies": [_row(each) for each in kept.tallies]}
    # Who may only read counts anew the next time.
    with contextlib.suppress(BasculeError), closing(context.target.state(beside=False)) as door:
        notes.write(door, _NOTE, value, context.clock.now())


def _recalled(context: Context, newest: int) -> tuple[int, tuple[Tally, ...]]:
    with closing(context.target.state(beside=False)) as door:
        note = notes.read(door, _NOTE)
    if note is None or note.value.get("form") != _FORM or note.value["upto"] > newest:
        return 0, ()
    return note.value["upto"], tuple(map(_tally, note.value["tallies"]))


def _row(tally: Tally) -> list[Any]:
    last = tally.last.isoformat()
    return [tally.day, tally.kind, tally.direction, tally.rule, tally.count, tally.ms, tally.timed, last]


def _tally(row: list[Any]) -> Tally:
    day, kind, direction, rule, count, ms, timed, last = row
    return Tally(
        day=day,
        kind=kind,
        direction=direction,
        rule=rule,
        count=count,
        ms=ms,
        timed=timed,
        last=datetime.fromisoformat(last),
    )


def _custom(given: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    found = {}
    for name, ask in given.items():
        try:
            found[name] = float(ask())
        except Exception as problem:  # noqa: BLE001 - somebody else's code, whatever it raises
            import logging

            logging.getLogger("bascule.metrics").warning("The metric %s has no value: %s", name, problem)
    return found
