"""Names of runs, and runs told from facts."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.ports.clock import Clock


class RunNames:
    """Mints run ids: the migration's name and the start in milliseconds, never the same twice in a process.

    Between processes the lease keeps two runs of one migration from starting in the same millisecond.
    """

    def __init__(self, clock: Clock, *, given: Mapping[str, str] | None = None) -> None:
        """`given`: by migration the id that its next run was promised."""
        self._clock = clock
        self._given = dict(given or {})
        self._last: dict[str, int] = {}

    def mint(self, name: str) -> str:
        """A new run id for a migration."""
        promised = self._given.pop(name, None)
        if promised is not None:
            return promised
        moment = int(self._clock.now().timestamp() * 1000)
        moment = max(moment, self._last.get(name, 0) + 1)
        self._last[name] = moment
        return f"{name}_{moment}"
