"""Listening: on which address, with TLS or without, and when that is refused."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bascule.errors import ConfigError, Refused, UsageError
from bascule.server.identities import is_loopback, require_strong
from bascule.server.options import Options
from bascule.server.recipe import Recipe

if TYPE_CHECKING:
    from bascule.config.settings import Settings

_GRACE: Final = 5
"""Seconds for requests under way when the server is told to end; work in workers goes on by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where, and how."""

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: str | None = None
    key: str | None = None
    behind_proxy: bool = False
    proxies: int | None = None
    """How many proxies stand in front, one behind the other; None: one."""

    @property
    def scheme(self) -> str:
        """``https`` with a certificate."""
        return "https" if self.certificate else "http"


def require_safe(where: Listening, settings: Settings) -> None:
    """Raises `Refused` (code ``open_port``), `UsageError`, `ConfigError` for what must not be listened with."""
    if bool(where.certificate) != bool(where.key):
        raise UsageError("--ssl-certfile and --ssl-keyfile go together.", hint="Give both, or none.")
    if where.proxies is not None and not where.behind_proxy:
        raise UsageError("--proxies goes with --behind-proxy.", hint="Give both, or none.")
    for path in (where.certificate, where.key):
        if path is not None and not Path(path).is_file():
            raise UsageError(f"There is no file {path}.", hint="Check the path.")
    if not is_loopback(where.host) and not where.certificate and not where.behind_proxy:
        raise Refused(
            f"{where.host} can be reached from other machines, and tokens would go there unencrypted. Nothing listens.",
            code="open_port",
            hint="Give --ssl-certfile and --ssl-keyfile; or --behind-proxy, where a proxy in front speaks TLS; or "
            "listen on 127.0.0.1.",
        )
    if settings.secret_key is not None:
        require_strong(settings.secret_key.reveal().encode())


def serve(recipe: Recipe, where: Listening, options: Options, settings: Settings, tell: Callable[[str], None]) -> int:
    """Listen until told to end. Raises as `require_safe`, and `Refused` (code ``port_taken``)."""
    require_safe(where, settings)
    try:
        import uvicorn
    except ImportError as missing:
        raise ConfigError(
            f"The server needs {missing.name}, which is not installed.",
            code="missing_extra",
            hint="pip install 'bascule[server]'",
        ) from missing
    from bascule.server.application import application

    listener = _listener(where)
    host, port = listener.getsockname()[:2]
    # Whoever names an address to listen on is asked by it; on a wildcard that is any address of the machine.
    proxies = (where.proxies or 1) if where.behind_proxy else 0
    app = application(recipe, replace(options, hosts=frozenset({where.host}), proxies=proxies))
    tell(f"Listening on {where.scheme}://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C ends it).")
    config: dict[str, Any] = {}
    if where.certificate:
        config |= {"ssl_certfile": where.certificate, "ssl_keyfile": where.key}
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            # It would believe the left end of X-Forwarded-For, which is the client's own: see `proxies`.
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 * 1024,
            **config,
        )
    )
    server.run(sockets=[listener])
    return 0


def _listener(where: Listening) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            where.host.strip("[]"), where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as problem:
        raise UsageError(f"{where.host} is no address to listen on: {problem}.", hint="Give an address.") from problem
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # From here on whoever comes is kept waiting, not sent away.
        listener.listen(2048)
    except OSError as problem:
        listener.close()
        raise Refused(
            f"Port {where.port} of {where.host} is not to be had: {problem.strerror}.",
            code="port_taken",
            hint="End what listens there, or choose another by --port.",
        ) from problem
    return listener
