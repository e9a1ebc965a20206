"""What each request passes before it is read: size, kind and pace of what comes in; headers of what goes out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bascule.server.answers import failure
from bascule.server.hosts import is_known
from bascule.server.options import Options
from bascule.server.pace import Pace
from bascule.server.proxies import seen_through

LOG = logging.getLogger("bascule.server")
ACCESS = logging.getLogger("bascule.server.access")

_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        ),
    ),
)
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PROBES = ("/healthz", "/readyz")
"""Asked by whatever looks whether the server lives, by whatever name; they tell nothing."""


class _Rejected(Exception):
    def __init__(self, status: int, message: str, code: str, hint: str) -> None:
        super().__init__(message)
        self.told = (status, message, code, hint)


class Guard:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, *, options: Options, clean: Callable[[str], str]) -> None:
        self._app, self._options, self._clean = app, options, clean
        self._reads, self._changes = Pace(options.reads_a_minute), Pace(options.changes_a_minute)
        self._refused = Pace(options.reads_a_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._options.proxies:
            scope = seen_through(scope, self._options.proxies)
        # What the layers within tell of the request stands there.
        scope.setdefault("state", {})
        begun, status = time.monotonic(), 0
        client = scope.get("client")
        caller = str(client[0]) if client else "unknown"

        async def out(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _protect(message, scope)
            await send(message)

        try:
            self._require_plain(scope)
            await self._guarded(scope, receive, out, caller)
        except _Rejected as rejected:
            await failure(*rejected.told, headers={"Connection": "close"})(scope, receive, out)
        except Exception as problem:
            # Nothing of it is told to the caller: what it holds is nobody's business but the log's.
            LOG.error("%s %s: %s", scope["method"], scope["path"], self._clean(_traceback(problem)))
            if status:
                raise
            await failure(
                500, "The server failed at this request.", "unexpected", "The server's log tells more.", state="unknown"
            )(scope, receive, out)
        finally:
            # Without the query, which may hold what nobody else should read; a name or a path breaks no line.
            who = scope.get("state", {}).get("principal")
            ms = (time.monotonic() - begun) * 1000
            what = (scope["method"], ascii(scope["path"]), status, ms)
            ACCESS.info("%s %s %d %.1f ms, %s from %s", *what, ascii(who) if who else "-", caller)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, caller: str) -> None:
        changing = scope["method"] in _CHANGING
        pace = self._changes if changing else self._reads
        wait = max(pace.wait(caller), self._refused.wait(caller))
        if wait > 0:
            answer = failure(
                429,
                "Too many requests.",
                "too_many_requests",
                f"Come again in {wait:.0f} s.",
                headers={"Retry-After": str(max(1, round(wait)))},
            )
            await answer(scope, receive, send)
            return
        pace.count(caller)
        try:
            if changing:
                body = await self._body(Headers(scope=scope), receive)
                receive = _again(body, receive)
            await self._app(scope, receive, send)
        finally:
            if scope["state"].get("refused"):
                # Whoever guesses takes no turn away from those at the same address who need not.
                pace.uncount(caller)
                self._refused.count(caller)

    def _require_plain(self, scope: Scope) -> None:
        """Raises `_Rejected` for a request whose end two readers may see at two places, or that is for somebody
        else.
        """
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            raise _Rejected(
                400,
                "The request says its length in two ways.",
                "bad_request",
                "Send either Content-Length or Transfer-Encoding.",
            )
        names, path = self._options.hosts, scope["path"].removeprefix(scope.get("root_path", ""))
        if names is None or path in _PROBES:
            return
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not is_known(hosts[0], names):
            raise _Rejected(
                400,
                "This server is not known by the name that the request has in Host.",
                "unknown_host",
                "Ask by its address, or put the name into MIGRATION_SERVER_HOSTS where the server runs.",
            )

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        most = self._options.largest_body
        too_large = _Rejected(413, "The request is too large.", "too_large", f"At most {most} bytes are taken.")
        said = headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit()):
            raise _Rejected(
                400, "The length of the request cannot be read.", "bad_request", "Send Content-Length once."
            )
        if int(said) > most:
            raise too_large
        try:
            body = await asyncio.wait_for(_read(receive, most), self._options.slowest_body)
        except TimeoutError:
            raise _Rejected(408, "The request came too slowly.", "too_slow", "Send it again.") from None
        if body is None:
            raise too_large
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind != "application/json":
            raise _Rejected(415, "The request is not JSON.", "not_json", "Send it with Content-Type: application/json.")
        return body


async def _read(receive: Receive, most: int) -> bytes | None:
    """The whole body; None where it is larger than allowed."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _protect(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(raw=message.setdefault("headers", []))
    for name, value in _HEADERS:
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
    if scope.get("scheme") == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")


def _traceback(problem: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(problem))
