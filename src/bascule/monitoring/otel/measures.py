"""Metrics as instruments of OpenTelemetry: the same names and values that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from bascule.domain.family import Family


class Measures:
    """The newest value of each metric, told whenever somebody collects them."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}

    def tell(self, families: Iterable[Family]) -> None:
        """These are the values from now on."""
        for family in families:
            new = family.name not in self._values
            known = self._values.setdefault(family.name, {})
            for labels, value in family.values:
                if value is not None:
                    known[_key(labels)] = value
            if new:
                self._make(family)

    def _make(self, family: Family) -> None:
        # What is counted is counted by the journal: an instrument that counts by itself would begin at 0 in each
        # process.
        make: Any = (
            self._meter.create_observable_counter if family.kind == "counter" else self._meter.create_observable_gauge
        )
        make(family.name, callbacks=[self._asked(family.name)], description=family.help)

    def _asked(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda options: [Observation(value, dict(key)) for key, value in tuple(self._values[name].items())]


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
