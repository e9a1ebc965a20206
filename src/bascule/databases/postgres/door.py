"""Opening connections to one address, with patience where the server only needs a moment."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.address import libpq_address, place, secrets_of, tagged_name, without_secrets
from bascule.databases.postgres.errors import is_worth_waiting, missing_driver, unreachable
from bascule.errors import TargetUnreachable

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

PATIENCE: Final = 10.0
"""Seconds to go on trying when every connection of the server is taken, or it is just starting."""
CONNECT_TIMEOUT: Final = 10
"""Seconds for one try, where neither address nor environment say otherwise."""
_DEFAULTS: Mapping[str, int] = {
    # A peer that vanished without a word is noticed after a minute, not after the system's two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class Door:
    """One address. `open` may be called from several threads."""

    def __init__(
        self,
        url: str | Callable[[], str],
        *,
        application: str,
        tag: str,
        check: Callable[[Connection], None] | None = None,
    ) -> None:
        """`url` may be a function, which is then asked for each connection (a password that changes). `tag` ends the
        application name of every connection, so that its server process can be told from those of other processes.
        `check` is given each new connection before anybody else, and raises where it must not be used.
        """
        self._ask = url if callable(url) else lambda: url
        self._application = application
        self._tag = tag
        self._check = check
        self._place = ""
        self.user, self.database = "", ""
        """Whom the last connection was opened as, and to which database; empty before one was."""

    def open(self, *, patience: float = PATIENCE) -> Connection:
        """A connection in autocommit mode that prepares no statements by itself.

        Raises:
            TargetUnreachable: after `patience` seconds where waiting may help, at once where it cannot.
        """
        until = time.monotonic() + patience
        pause = 0.02
        while True:
            try:
                return self._try(until - time.monotonic())
            except TargetUnreachable as exc:
                left = until - time.monotonic()
                if left <= 0 or not is_worth_waiting(exc.code):
                    raise
            # Half of the pause is chance: fifty processes must not come back in the same instant.
            time.sleep(min(left, pause * (0.5 + random.random())))
            pause = min(pause * 1.6, 1.0)

    def where(self) -> str:
        """``host:port/database``, for messages; known once a connection was tried."""
        return self._place or "the address given"

    def _try(self, seconds: float) -> Connection:
        try:
            import psycopg
        except ImportError as exc:
            raise missing_driver(exc) from exc
        address = libpq_address(self._ask())
        parameters = self._parameters(address)
        self._place = place(parameters)
        try:
            connection = psycopg.connect(
                "", autocommit=True, prepare_threshold=None, **self._completed(parameters, max(1, int(seconds)))
            )
        except (psycopg.Error, UnicodeError) as exc:
            words = without_secrets(str(exc), address)
            raised = unreachable(words, where=self._place, user=str(parameters.get("user") or ""))
            # The driver's error may repeat the password: it is kept as the cause only where there is none to repeat.
            raise raised from (None if secrets_of(address) else exc)
        self.user, self.database = connection.info.user, connection.info.dbname
        if self._check is not None:
            try:
                self._check(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _parameters(self, address: str) -> dict[str, Any]:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        try:
            return dict(conninfo_to_dict(address))
        except psycopg.Error as exc:
            words = without_secrets(str(exc), address)
            raise unreachable(words, where="the address given") from (None if secrets_of(address) else exc)

    def _completed(self, parameters: dict[str, Any], seconds: int) -> dict[str, Any]:
        """Address, then what we add where the user said nothing. A service file may say it, and parameters would
        overrule it.
        """
        name = parameters.get("application_name") or os.environ.get("PGAPPNAME") or self._application
        completed = {**parameters, "application_name": tagged_name(str(name), self._tag), "client_encoding": "utf8"}
        if "service" in parameters or "PGSERVICE" in os.environ:
            return completed
        timeout = (
            {} if "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": min(CONNECT_TIMEOUT, max(2, seconds))}
        )
        return {**_DEFAULTS, **timeout, **completed}
