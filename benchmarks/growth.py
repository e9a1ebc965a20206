"""Whether what Bascule adds to a migration grows with the migrations before it."""

from __future__ import annotations

import statistics

from benchmarks.contenders import BASCULE, LOOP
from benchmarks.places import Place
from benchmarks.rounds import Results
from benchmarks.timing import table

EDGE = 100
"""Migrations at the beginning and at the end that are compared."""
_MOMENTS = {
    ("postgresql", BASCULE): "SELECT extract(epoch FROM applied_at)::float8 FROM bascule.ledger ORDER BY position",
    ("sqlite", BASCULE): "SELECT (julianday(applied_at) - 2440587.5) * 86400 FROM bascule_ledger ORDER BY position",
    ("postgresql", LOOP): "SELECT applied_at FROM loop_ledger ORDER BY name",
    ("sqlite", LOOP): "SELECT applied_at FROM loop_ledger ORDER BY name",
}


def growth(place: Place, results: Results) -> str:
    """From the moments in both ledgers: milliseconds from one migration to the next, among the first and the last.

    The distance of two rows holds everything: reading, deciding, the messages, the commit, and whatever else is done
    between two migrations. The catalog's own growth is in the loop's figures too, so the difference is Bascule's part.
    """
    if results.count < 2 * EDGE + 1:
        return f"The first and the last {EDGE} are compared only where there are more than {2 * EDGE} migrations."
    paces = {name: _paces(place, name, results.urls[name]) for name in (BASCULE, LOOP)}
    rows = [["ms from one migration to the next", f"first {EDGE}", f"last {EDGE}"]]
    rows += [[name, *(f"{pace:.3f}" for pace in paces[name])] for name in paces]
    own = [mine - bare for mine, bare in zip(paces[BASCULE], paces[LOOP], strict=True)]
    rows.append(["Bascule's own part (the difference)", *(f"{each:+.3f}" for each in own)])
    return table(rows)


def _paces(place: Place, name: str, urls: list[str]) -> tuple[float, float]:
    """Medians over the runs."""
    runs = [[float(str(each)) for (each,) in place.query(url, _MOMENTS[place.dialect, name])] for url in urls]
    first = statistics.median(moments[EDGE] - moments[0] for moments in runs)
    last = statistics.median(moments[-1] - moments[-1 - EDGE] for moments in runs)
    return first / EDGE * 1000, last / EDGE * 1000
