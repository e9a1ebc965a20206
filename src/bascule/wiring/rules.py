"""The data rules: built in, declared, the project's own, and who reads for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.ports.validation import DataReader, Declaration, ValidationRule
    from bascule.services.validate import Validation
    from bascule.validation.passes import Passes


def validation(
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
    stopping: Callable[[], str | None] = lambda: None,
) -> Validation:
    """The data rules and who reads for them; the caller closes the reader.

    Raises ConfigError for a declaration that cannot be read, and as `open_target`. Rules of the project that cannot be
    loaded are in `Validation.broken`.
    """
    from bascule.monitoring.clock import SystemClock
    from bascule.ports.validation import ValidationOptions
    from bascule.services.validate import Validation, with_rules

    chosen = settings.validation
    declared, own = _declared_rules(settings)
    brought, broken = brought_rules(settings)
    found = Validation(
        reader=_data_reader(settings),
        clock=SystemClock(),
        declared=declared,
        options=ValidationOptions(
            seconds=chosen["timeout"],
            sample_above=chosen["sample_above"],
            large_table=chosen["large_table"],
            trust_catalog=chosen["trust_catalog"],
        ),
        strict=settings.validation_strict,
        passes=lambda: _passes(settings),
        broken=broken,
        progress=progress,
        stopping=stopping,
    )
    return with_rules(found, [*brought, *own])


def _passes(settings: Settings) -> Passes:
    import hashlib
    from pathlib import Path

    from bascule.sources.cache import cache_home
    from bascule.validation.passes import Passes

    folder = hashlib.sha256(os.fsencode(os.path.realpath(settings.folder))).hexdigest()
    return Passes(path=Path(cache_home()) / f"validate-{folder[:40]}.json")


def _data_reader(settings: Settings) -> DataReader:
    # Says what is missing, in the words of every other command.
    from bascule.wiring.targets import open_target, opener

    open_target(settings, read_only=True).close()
    address = settings.address
    assert address is not None, "open_target has refused that"
    if address.url.dialect == "sqlite":
        from bascule.databases.sqlite.validation import SqliteReader

        return SqliteReader(address.reveal())
    from bascule.databases.postgres.validation import PostgresReader

    return PostgresReader(
        opener(settings.direct or address), own_schema=settings.schema, search_path=settings.search_path
    )


def _declared_rules(settings: Settings) -> tuple[dict[str, tuple[Declaration, ...]], list[ValidationRule]]:
    """Declarations by rule, and rules written as SQL. Raises ConfigError."""
    from bascule.config.values import duration
    from bascule.ports.validation import Declaration
    from bascule.validation.declared import read_rule

    found: dict[str, tuple[Declaration, ...]] = {}
    own: list[ValidationRule] = []
    for number, said in enumerate(settings.validation["rules"] or (), 1):
        try:
            read = read_rule(said, duration=lambda value: duration(value, unit=86_400.0))
        except ValueError as wrong:
            raise ConfigError(
                f"Setting validation.rules, table {number}: {wrong}.",
                hint="Correct it there.",
                details={"setting": "validation.rules"},
            ) from None
        if isinstance(read, Declaration):
            found[read.rule] = (*found.get(read.rule, ()), read)
        else:
            own.append(read)
    return found, own


def brought_rules(settings: Settings) -> tuple[list[ValidationRule], tuple[str, ...]]:
    """Rules of the project's modules and of plugins, and in words those that cannot be had."""
    from functools import partial
    from importlib.metadata import entry_points
    from types import ModuleType

    from bascule.validation.custom import as_rule, rules_in

    base = settings.config_file.parent if settings.config_file else settings.folder
    sources: list[tuple[str, Callable[[], object]]] = [
        (name, partial(_imported, name, str(base))) for name in settings.validation["custom"] or ()
    ]
    sources += [(f"the plugin {entry.name}", entry.load) for entry in entry_points(group="bascule.validation_rules")]
    found: list[ValidationRule] = []
    broken = []
    for name, load_it in sources:
        try:
            given = load_it()
            found += rules_in(given) if isinstance(given, ModuleType) else [as_rule(given)]
        except Exception as exc:  # noqa: BLE001 - somebody else's code, whatever it raises
            broken.append(f"the rules of {name} cannot be loaded: {type(exc).__name__}: {exc}")
    return found, tuple(broken)


def _imported(name: str, folder: str) -> object:
    """A module, or what it calls by a name, looked for in the project's folder first."""
    import importlib
    import sys

    module, _, attribute = name.partition(":")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found: object = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        found = getattr(found, part)
    return found
