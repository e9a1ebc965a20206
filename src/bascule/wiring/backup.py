"""Where backups are kept, who takes them, with which keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from bascule.backups.encryption import Encryption
    from bascule.config.settings import Settings
    from bascule.ports.backup_store import BackupStore
    from bascule.ports.dump import Dumper
    from bascule.services.backups import Backups


def backups(settings: Settings) -> Backups:
    """Where backups of the settings' target are kept, and who takes them. Raises ConfigError for a wrong store or key;
    nothing is asked of store or server yet.
    """
    from datetime import timedelta

    from bascule import __version__
    from bascule.backups.retention import RetentionPolicy
    from bascule.services.backups import Backups

    chosen = settings.backup
    return Backups(
        store=backup_store(settings),
        dumper=_dumper(settings),
        elsewhere=lambda given: _elsewhere(settings, given),
        encryption=backup_encryption(settings),
        verify=chosen["verify"],
        retention=RetentionPolicy(
            max_age=None if chosen["max_age"] is None else timedelta(seconds=chosen["max_age"]),
            max_count=chosen["max_count"],
            max_bytes=chosen["max_bytes"],
        ),
        version=__version__,
        schema=settings.schema,
    )


def backup_store(settings: Settings) -> BackupStore:
    """Where backups are kept. Raises ConfigError for a wrong address."""
    from bascule.backups.stores.opening import open_store

    return open_store(_store_address(settings))


def backup_encryption(settings: Settings) -> Encryption | None:
    """The keys for backups, None where none is set. Raises ConfigError for a wrong or exposed one."""
    secret, recipient = settings.backup_key, settings.backup["recipient"]
    if secret is None and recipient is None:
        return None
    from bascule.backups.encryption import Encryption

    found = []
    if secret is not None and secret.file is not None:
        found.append(Encryption.from_file(str(secret.file), origin=secret.setting))
    elif secret is not None:
        found.append(Encryption.from_text(secret.reveal(), origin=secret.setting))
    if recipient is not None:
        found.append(Encryption.from_text(recipient.replace(",", "\n"), origin="backup.recipient"))
    return Encryption(
        recipients=tuple(dict.fromkeys(each for one in found for each in one.recipients)),
        identities=tuple(each for one in found for each in one.identities),
    )


def backup_tools(major: int) -> str:
    """The pg_dump for a server of that version, in words. Raises Refused with what to install."""
    from bascule.databases.postgres.pg_tools import find_tools

    tools, own = find_tools(major)
    return f"{tools.pg_dump}, version {tools.version}" + (
        "" if own else f"; none of version {major}, so a round trip has to prove it before each backup"
    )


def _store_address(settings: Settings) -> str:
    named: str | None = settings.backup["store"]
    if named is None:
        return str(settings.backup_dir)
    return named if "://" in named else str(settings.folder / os.path.expanduser(named))


def _dumper(settings: Settings) -> Dumper:
    from bascule.wiring.targets import opener

    address = settings.address
    assert address is not None, "the target was opened, so there is an address"
    if address.url.dialect == "sqlite":
        from bascule.databases.sqlite.dumper import SqliteDumper

        return SqliteDumper(address.reveal())
    from bascule.databases.postgres.dumper import PostgresDumper

    # pg_dump needs a session of its own, so past a pooler where there is a way.
    return PostgresDumper(
        opener(settings.direct or address), schema=settings.schema, past_pooler=settings.direct is not None
    )


def _elsewhere(settings: Settings, given: str) -> tuple[Dumper, str]:
    """Who makes a new database, and its name there. Raises ConfigError for an address that cannot be read."""
    from dataclasses import replace

    from bascule.config.url import parse_url

    if "://" not in given:
        return _dumper(settings), given
    url = parse_url(given, folder=settings.folder)
    if url.dialect == "sqlite":
        from bascule.databases.sqlite.dumper import SqliteDumper

        return SqliteDumper(given), str(url.database)
    from bascule.databases.postgres.dumper import PostgresDumper

    if not url.database:
        raise ConfigError("--to names a server and no database.", hint="End the address with the new database's name.")
    # One has to be connected to some database to make another: every server has this one.
    return PostgresDumper(replace(url, database="postgres").text(), schema=settings.schema), url.database
