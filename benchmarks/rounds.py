"""Contenders in turns: each on a database of its own, timed as a whole process, its result looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.contenders import Contender
from benchmarks.places import Place, Wrong, check
from benchmarks.timing import DidNotWork, Timed, environment, spread, timed


@dataclass(slots=True, kw_only=True)
class Results:
    """What was measured, by the contender's name."""

    count: int
    """Migrations in each run."""
    runs: dict[str, list[Timed]] = field(default_factory=dict)
    urls: dict[str, list[str]] = field(default_factory=dict)
    """The databases of these runs."""
    failed: dict[str, str] = field(default_factory=dict)
    """Peers that did not do their work, and what became of it. They are in no other field."""

    def wall(self, name: str) -> float:
        """Median of the seconds."""
        return spread([each.wall for each in self.runs[name]]).median

    def times(self, name: str, base: str) -> float:
        """How often `base` goes into `name`: the median over the rounds, each with its own two runs.

        A machine that is slow for a minute is slow for both runs of that round, so it does not enter as it would
        into a ratio of medians.
        """
        pairs = zip(self.runs[name], self.runs[base], strict=True)
        return spread([mine.wall / other.wall for mine, other in pairs]).median


def take_turns(
    place: Place,
    contenders: Sequence[Contender],
    *,
    rounds: int,
    count: int,
    database: Callable[[str], str],
    label: str,
) -> Results:
    """Each round begins with another contender. `database`: from a name to the URL of a new one, named from `label`.

    A peer that fails is left out from there on. Raises `DidNotWork` or `Wrong` where the loop or Bascule does.
    """
    results = Results(count=count)
    for turn in range(rounds):
        first = turn % len(contenders)
        for number, each in enumerate([*contenders[first:], *contenders[:first]]):
            if each.name in results.failed:
                continue
            url = database(f"{label}_{turn}_{number}")
            try:
                taken = timed(each.command(url), cwd=each.folder, env=environment(**each.environment(url)))
                check(place, url, count, recorded=each.recorded)
            except (DidNotWork, Wrong, OSError) as problem:
                if not each.is_peer:
                    raise
                results.failed[each.name] = str(problem)
                results.runs.pop(each.name, None)
                results.urls.pop(each.name, None)
                continue
            results.runs.setdefault(each.name, []).append(taken)
            results.urls.setdefault(each.name, []).append(url)
    return results
