"""A PgBouncer of one's own in front of a `PostgresServer`, thrown away like it."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from bascule.testing.account import Account
from bascule.testing.binaries import find_pgbouncer
from bascule.testing.guard import Guard
from bascule.testing.postgres import PostgresServer
from bascule.testing.process import ServerProcess, free_port

PoolMode = Literal["session", "transaction", "statement"]

_SECONDS = 30.0


class PgBouncer:
    """A pooler that passes every database name through, logged in to the server as its superuser."""

    def __init__(
        self,
        server: PostgresServer,
        *,
        pool_mode: PoolMode = "transaction",
        pool_size: int = 20,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start it; ready for connections on return. `pool_size`: server connections for each database.

        `settings` go into the section ``[pgbouncer]`` as they are. Raises `ServerNotFound` and `ServerFailed`.
        """
        self._account = Account.for_servers()
        program = find_pgbouncer()
        self._server = server
        self.port = free_port()
        self.folder = self._account.new_folder("bascule-pgb-")
        self._owner = os.getpid()
        self._guard = Guard(pid_file=self.folder / "pid", home=self.folder, stop_signal="TERM", folders=[self.folder])
        atexit.register(self.close)
        self._write_configuration(pool_mode, pool_size, settings or {})
        self._process: ServerProcess | None = None
        try:
            self._process = ServerProcess(
                [program, self.folder / "pgbouncer.ini"],
                account=self._account,
                folder=self.folder,
                log=self.folder / "server.log",
            )
            self._process.wait_until(self._answers, seconds=_SECONDS)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def url(self, database: str = "postgres") -> str:
        """The URL of a database of the server, through the pooler. The database ``pgbouncer`` is its console."""
        return f"postgresql://{self._server.superuser}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def close(self) -> None:
        """End it and remove its files. A second call does nothing; nor does one in a forked child."""
        if os.getpid() != self._owner:
            return
        try:
            if self._process is not None:
                # SIGTERM is its way to end at once; SIGINT would wait for the clients.
                self._process.end(signal.SIGTERM, seconds=_SECONDS)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._guard.dismiss()
            atexit.unregister(self.close)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _write_configuration(self, pool_mode: PoolMode, pool_size: int, settings: Mapping[str, str]) -> None:
        login = f"user={self._server.superuser}"
        if self._server.password is not None:
            escaped = self._server.password.replace("'", "''")
            login += f" password='{escaped}'"
        pooler = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": str(self.folder),
            "auth_type": "any",
            "pool_mode": pool_mode,
            "default_pool_size": str(pool_size),
            "max_client_conn": "1000",
            "pidfile": str(self.folder / "pid"),
            **settings,
        }
        lines = [
            "[databases]",
            f"* = host=127.0.0.1 port={self._server.port} {login}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in pooler.items()),
        ]
        configuration = self.folder / "pgbouncer.ini"
        configuration.touch(mode=0o600)  # it may hold the password
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._account.own(configuration)
