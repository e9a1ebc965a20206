"""The database of the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from bascule.config.address import Address
    from bascule.config.settings import Settings
    from bascule.ports.database import Target


def open_target(settings: Settings, *, read_only: bool = False) -> Target:
    """The database of the settings; it connects when it is first asked something.

    Raises:
        ConfigError: nothing names a database (code ``no_database``), or its password cannot be had.
        TargetUnreachable: the driver is not installed, or there is no connection.
    """
    from bascule.ports.database import Limits, TargetOptions

    address = settings.address
    if address is None:
        raise ConfigError(
            settings.missing,
            code="no_database",
            hint="Set DATABASE_URL, give --database-url, or let `bascule init` write down an SQLite file. "
            "`bascule demo` needs none.",
        )
    options = TargetOptions(
        schema=settings.schema,
        limits=Limits(**settings.limits),  # type: ignore[arg-type]
        direct_url=opener(settings.direct) if settings.direct else None,
        search_path=settings.search_path,
        state_url=settings.state.reveal() if settings.state else None,
        read_only=read_only,
    )
    if address.url.dialect == "sqlite":
        from bascule.databases.sqlite.target import SqliteTarget

        return SqliteTarget(address.reveal(), options)
    from bascule.databases.postgres.target import PostgresTarget

    return PostgresTarget(opener(address), options)


def opener(address: Address) -> str | Callable[[], str]:
    """The address, or what is asked for it at each connection where its password changes."""
    return address.reveal if address.changes else address.reveal()
