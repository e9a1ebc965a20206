"""How PostgreSQL's own programs, and our worker processes, get to the database: by environment, never by arguments."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.address import libpq_address, place
from bascule.databases.postgres.door import Door
from bascule.errors import ConfigError, Refused

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

APPLICATION = "bascule backup"

_VARIABLES = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER",
    "password": "PGPASSWORD", "passfile": "PGPASSFILE", "channel_binding": "PGCHANNELBINDING", "service": "PGSERVICE",
    "options": "PGOPTIONS", "application_name": "PGAPPNAME", "sslmode": "PGSSLMODE", "requiressl": "PGREQUIRESSL",
    "sslcompression": "PGSSLCOMPRESSION", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE", "sslrootcert": "PGSSLROOTCERT", "sslcrl": "PGSSLCRL", "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI", "sslnegotiation": "PGSSLNEGOTIATION", "requirepeer": "PGREQUIREPEER",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION", "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "gssencmode": "PGGSSENCMODE", "krbsrvname": "PGKRBSRVNAME", "gsslib": "PGGSSLIB",
    "gssdelegation": "PGGSSDELEGATION", "connect_timeout": "PGCONNECT_TIMEOUT", "client_encoding": "PGCLIENTENCODING",
    "target_session_attrs": "PGTARGETSESSIONATTRS", "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "require_auth": "PGREQUIREAUTH", "min_protocol_version": "PGMINPROTOCOLVERSION",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
}  # fmt: skip
_WITHOUT_CONSEQUENCE = {
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
    "fallback_application_name",
}  # fmt: skip


class Access:
    """One database, as an address that may be asked for anew at each connection (a password that changes)."""

    def __init__(self, url: str | Callable[[], str], *, past_pooler: bool = False) -> None:
        """`past_pooler`: somebody has said that this address leads past every pooler in transaction mode."""
        self._ask = url if callable(url) else lambda: url
        self._past_pooler = past_pooler

    def parameters(self) -> dict[str, str]:
        """What the address says, by libpq's names. Raises `TargetUnreachable`."""
        return {name: str(value) for name, value in self._door()._parameters(libpq_address(self._ask())).items()}

    def connect(self, *, database: str | None = None) -> Connection:
        """A connection in autocommit mode; to another database of the server where one is named.

        Raises `TargetUnreachable`.
        """
        if database is None:
            return self._door().open()
        return Door(lambda: _address(self.parameters() | {"dbname": database}), application=APPLICATION, tag="").open()

    def environment(self, *, database: str | None = None) -> dict[str, str]:
        """Our own, with what leads to the database in place of what it said of one.

        Raises ConfigError where the address has something that no variable can say, and `Refused` (code
        ``behind_pooler``).
        """
        self._require_no_pooler()
        parameters = self.parameters() | ({"dbname": database} if database is not None else {})
        unsaid = sorted(set(parameters) - set(_VARIABLES) - _WITHOUT_CONSEQUENCE)
        if unsaid:
            raise ConfigError(
                f"The address of the target has {', '.join(unsaid)}, which cannot be handed to pg_dump.",
                code="bad_address",
                hint="Write it in a service file and name that with service=….",
            )
        said = {_VARIABLES[name]: value for name, value in parameters.items() if name in _VARIABLES}
        return {**without_keys(os.environ), **said, "PGAPPNAME": APPLICATION, "PGCLIENTENCODING": "UTF8", "LC_ALL": "C"}

    def _require_no_pooler(self) -> None:
        """pg_dump makes settings for its session, an empty search_path among them. A pooler in transaction mode leaves
        them in a connection that other clients are given next, the application's too.
        """
        if self._past_pooler:
            return
        with self.connect() as connection:
            row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
            if row is None or row[0] != connection.info.backend_pid:
                raise Refused(
                    "A pooler stands before the database, and pg_dump would leave its settings, an empty search_path "
                    "among them, in connections that the pooler gives to the application.",
                    code="behind_pooler",
                    hint="Name a way past it (MIGRATION_DIRECT_URL). Without a backup: --no-backup.",
                )
        self._past_pooler = True

    def where(self) -> str:
        """``host:port/database``, for people."""
        return place(self.parameters())

    def _door(self) -> Door:
        return Door(self._ask, application=APPLICATION, tag="")


def without_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without Bascule's own settings: a program that only dumps needs no key that opens backups."""
    return {name: value for name, value in environ.items() if not name.startswith(("BASCULE_", "MIGRATION_"))}


def _address(parameters: Mapping[str, str]) -> str:
    from psycopg.conninfo import make_conninfo

    return make_conninfo("", **parameters)
