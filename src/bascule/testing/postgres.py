"""A PostgreSQL server of one's own: up in half a second, thrown away with all it held.

::

    with PostgresServer() as server:
        url = server.create_database("orders")

It listens on 127.0.0.1 and on a Unix socket, keeps its data in a temporary folder, and is gone at the end of the
``with`` block, at the end of the process, and also when the process is killed. Root is no obstacle: the server then
runs as the user ``postgres`` or ``nobody``.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import quote, urlencode

from bascule.testing.account import Account
from bascule.testing.binaries import find_postgres, postgres_major, within_reach
from bascule.testing.guard import Guard
from bascule.testing.process import ServerFailed, ServerProcess, free_port

if TYPE_CHECKING:
    from psycopg import Connection

StopMode = Literal["smart", "fast", "immediate"]

_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_PORT_TAKEN = "could not create any TCP/IP sockets"
_PORT_TRIES = 5
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0

# Small, in UTC, and with room for tests that start many processes at once.
_SETTINGS = {"timezone": "UTC", "log_timezone": "UTC", "max_connections": "200", "shared_buffers": "32MB"}
# Nothing outlives a test, so nothing needs to reach the disk. A killed server loses nothing by these (what it wrote is
# in the system's cache), only a machine that loses power would. Turning synchronous_commit off is another matter: what
# it leaves unwritten dies with the server, and tests of crashes would see commits vanish.
_WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer:
    """One cluster with its server process. Ready for connections when the constructor returns."""

    superuser = "postgres"

    def __init__(
        self,
        bin_dir: str | os.PathLike[str] | None = None,
        *,
        fsync: bool = False,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Make a cluster and start its server.

        `bin_dir` holds the server's programs (without it: see `postgres_bin_dirs`); `fsync` True makes it as durable,
        and as slow, as in production; with a `password` every connection must give it; `settings` are written as in
        ``postgresql.conf``. Raises `ServerNotFound` and `ServerFailed`.
        """
        self._process: ServerProcess | None = None
        self._account = Account.for_servers()
        programs = within_reach(find_postgres(bin_dir), self._account)
        self.bin_dir = programs.bin_dir
        self.major = postgres_major(self.bin_dir)
        self.password = password
        self.port = free_port()
        self._settings = {**_SETTINGS, **({} if fsync else _WITHOUT_FSYNC), **(settings or {})}
        self.folder = self._account.new_folder("bascule-pg-")
        self.data_dir = self.folder / "data"
        self._owner = os.getpid()
        folders = [self.folder, *([programs.copied_to] if programs.copied_to else [])]
        self._guard = Guard(
            pid_file=self.data_dir / "postmaster.pid", home=self.data_dir, stop_signal="INT", folders=folders
        )
        atexit.register(self.close)
        try:
            self._make_cluster()
            self._start_on_a_free_port()
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
    def is_running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """The process id of the postmaster. Raises `ServerFailed` when the server is not running."""
        return self._running().pid

    @property
    def log(self) -> str:
        """All that the server has logged, over all its starts."""
        return self._log_file.read_text(encoding="utf-8", errors="replace") if self._log_file.exists() else ""

    def url(self, database: str = "postgres", *, user: str | None = None, socket: bool = False) -> str:
        """The URL of a database, over TCP or the Unix socket, as the superuser or as `user` without a password."""
        login = quote(user or self.superuser, safe="")
        if self.password is not None and user is None:
            login += ":" + quote(self.password, safe="")
        name = quote(database, safe="")
        if socket:
            return f"postgresql://{login}@/{name}?" + urlencode({"host": str(self.folder), "port": self.port}, safe="/")
        return f"postgresql://{login}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start a stopped or crashed server on the same data and port. Raises `ServerFailed`."""
        if self.is_running:
            return
        settings = self._settings | {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            [self.bin_dir / "postgres", "-D", self.data_dir, "-p", str(self.port), *options],
            account=self._account,
            folder=self.folder,
            log=self._log_file,
        )
        self.wait_until_ready()

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop it in one of PostgreSQL's three ways; the data stays for `start`. Raises `ServerFailed` after a minute.

        ``smart`` waits for sessions to end, ``fast`` ends them, ``immediate`` goes down without a checkpoint, so the
        next start recovers.
        """
        if self._process is not None:
            self._process.end(_STOP_SIGNALS[mode], seconds=_STOP_SECONDS)

    def restart(self, mode: StopMode = "fast") -> None:
        """`stop` and `start`."""
        self.stop(mode)
        self.start()

    def crash(self) -> None:
        """Kill every process of the server at once. `start` brings it up again, through crash recovery."""
        self._running().kill_tree()

    def kill_backend(self, pid: int, *, how: signal.Signals = signal.SIGKILL) -> None:
        """Signal one session's process. After SIGKILL the server ends all other sessions too and recovers by itself.

        SIGTERM ends this one session as ``pg_terminate_backend`` does; SIGINT cancels its statement.
        """
        os.kill(pid, how)

    def wait_until_ready(self) -> None:
        """Return when the server takes connections. Raises `ServerFailed` when it ends, or after a minute."""
        probe: list[str | Path] = [self.bin_dir / "pg_isready", "-q", "-h", str(self.folder), "-p", str(self.port)]
        if self._process is None:
            raise ServerFailed("The server was never started.", hint="Call start().")
        self._process.wait_until(
            lambda: self._account.run(probe, cwd=self.folder).returncode == 0, seconds=_START_SECONDS
        )

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database, as a copy of `template` if given, and return its URL."""
        from psycopg import sql

        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self._administrator() as connection:
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str, *, force: bool = True) -> None:
        """Drop a database if it is there; `force` ends the sessions that still use it."""
        from psycopg import sql

        statement = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
        if force:
            statement += sql.SQL(" WITH (FORCE)")
        with self._administrator() as connection:
            connection.execute(statement)

    def close(self) -> None:
        """Stop the server and remove all its files. A second call does nothing; nor does one in a forked child."""
        if os.getpid() != self._owner:
            return
        try:
            # Nothing of it is kept, so there is nothing to write back.
            self.stop("immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._guard.dismiss()
            atexit.unregister(self.close)

    @property
    def _log_file(self) -> Path:
        return self.folder / "server.log"

    def _running(self) -> ServerProcess:
        if self._process is None or not self._process.is_running:
            raise ServerFailed("The server is not running.", hint="Call start().")
        return self._process

    def _administrator(self) -> Connection:
        import psycopg

        return psycopg.connect(self.url(), autocommit=True)

    def _make_cluster(self) -> None:
        command: list[str | Path] = [
            self.bin_dir / "initdb",
            f"--pgdata={self.data_dir}",
            f"--username={self.superuser}",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]
        if self.password is None:
            command.append("--auth=trust")
        else:
            password_file = self.folder / "password"
            password_file.touch(mode=0o600)
            password_file.write_text(f"{self.password}\n", encoding="utf-8")
            self._account.own(password_file)
            command += ["--auth=scram-sha-256", f"--pwfile={password_file}"]
        done = self._account.run(command, cwd=self.folder)
        if done.returncode != 0:
            raise ServerFailed(f"initdb failed with status {done.returncode}:\n{done.stdout}{done.stderr}")

    def _start_on_a_free_port(self) -> None:
        for _ in range(_PORT_TRIES):
            try:
                self.start()
            except ServerFailed as failed:
                # Between the choice of the number and its use somebody else can take it.
                if _PORT_TAKEN not in failed.message:
                    raise
                self.port = free_port()
            else:
                return
        raise ServerFailed(f"Each of {_PORT_TRIES} free TCP ports was taken by somebody else before the server had it.")
