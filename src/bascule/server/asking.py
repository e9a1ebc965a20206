"""Who asks, and whether that one may: the one place through which every request with a role comes. What is not allowed
is denied, and written into the audit log.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from bascule.access.principal import Principal
from bascule.access.roles import may, needed
from bascule.server.hosts import same_origin
from bascule.server.identities import COOKIE, Identities, Session, Unauthenticated
from bascule.server.pace import Pace
from bascule.server.problems import Problem

if TYPE_CHECKING:
    from bascule.services.trail import Trail

LOG = logging.getLogger("bascule.server")
_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
Who = Callable[[Request], Awaitable[Principal]]


class Doorman:
    """Knows credentials and the table of permissions."""

    def __init__(
        self, identities: Identities, *, environment: str, trail: Callable[[str, str], Trail], failures: int
    ) -> None:
        """`trail` makes one for a name and a place. `failures`: how many refusals a minute an address is told of."""
        self._failures = Pace(failures)
        self._strangers = Pace(failures)
        self.identities = identities
        self._environment = environment
        self.trail = trail

    def asks(self, action: str) -> Who:
        """A dependency that lets in whoever may do this, and answers who it is."""

        async def who(request: Request) -> Principal:
            principal = await self.principal(request)
            if may(principal.role, action, self._environment):
                return principal
            await self.denied(request, principal.name, action, f"role {principal.role}")
            least = needed(action, self._environment)
            raise Problem(
                403,
                f"The role {principal.role} may not do that"
                + (" on production." if self._environment == "production" else "."),
                "forbidden",
                f"It takes {least} or more." if least else "Nobody may.",
            )

        return who

    async def principal(self, request: Request) -> Principal:
        """Whose request it is. Raises `Problem` (401, 403)."""
        try:
            principal = await asyncio.to_thread(self._known, request)
        except Unauthenticated as stranger:
            raise await self.refused(request, stranger, "authenticate") from None
        except Problem as foreign:
            await self.denied(request, getattr(request.state, "principal", ""), "authenticate", foreign.code)
            raise
        request.state.principal = principal.name
        return principal

    async def refused(self, request: Request, stranger: Unauthenticated, action: str) -> Problem:
        """What is told to whoever came with credentials that are no good, which is written down; 429 instead to whoever
        does so again and again. Only after they were looked at: good ones are taken whoever else guesses there.
        """
        if stranger.why != "no credentials":
            request.state.refused = True
            caller = request.client.host if request.client else "unknown"
            wait = self._failures.wait(caller)
            if wait > 0:
                # Not written down either: a flood of them would fill the audit log.
                return too_many(wait)
            self._failures.count(caller)
            LOG.info("Credentials refused: %s", stranger.why)
            await self.denied(request, "", action, stranger.why)
        elif request.method not in _LOOKS:
            await self._noted(request, action, stranger.why)
        return Problem(
            401,
            "The credentials are missing or no good.",
            "unauthenticated",
            "Send Authorization: Bearer with a token of `bascule token create`, or log in at /.",
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def _noted(self, request: Request, action: str, why: str) -> None:
        """Somebody without credentials wanted to change something: the first of each minute are written down."""
        caller = request.client.host if request.client else "unknown"
        if self._strangers.wait(caller) > 0:
            return
        self._strangers.count(caller)
        await self.denied(request, "", action, why)

    async def leaving(self, request: Request) -> Session:
        """The session that is to be ended by its own page. Raises `Problem` (401, 403)."""
        try:
            session = await asyncio.to_thread(self.session, request)
        except Unauthenticated as stranger:
            raise await self.refused(request, stranger, "log out") from None
        try:
            _require_own_page(request, session)
        except Problem as foreign:
            await self.denied(request, session.principal.name, "log out", foreign.code)
            raise
        request.state.principal = session.principal.name
        return session

    def _known(self, request: Request) -> Principal:
        given = request.headers.getlist("authorization")
        if len(given) > 1:
            raise Unauthenticated("two Authorization headers")
        if given:
            scheme, _, token = given[0].partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("not a bearer token")
            return self.identities.authenticate(token.strip())
        session = self.session(request)
        request.state.principal = session.principal.name
        if request.method not in _LOOKS:
            _require_own_page(request, session)
        return session.principal

    def session(self, request: Request) -> Session:
        """What the cookie stands for. Raises `Unauthenticated`."""
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            raise Unauthenticated("no credentials")
        return self.identities.session(cookie)

    async def denied(
        self, request: Request, name: str, action: str, why: str, what: Mapping[str, Any] | None = None
    ) -> None:
        """Write it down, where that can be done; it is denied anyway. `what`: was asked for, besides the path."""
        await asyncio.to_thread(self._denied, request, name, action, why, what or {})

    async def admitted(self, request: Request, principal: Principal, action: str) -> None:
        """Write down that somebody came in. Looking is let go on where that cannot be done; no change would be."""
        outcome = {"decision": "allowed", "outcome": "done", "role": principal.role}
        await asyncio.to_thread(self._write, request, principal.name, {"action": action, **outcome})

    def _denied(self, request: Request, name: str, action: str, why: str, what: Mapping[str, Any]) -> None:
        self._write(request, name, {"action": action, "decision": "denied", "outcome": "denied", "code": why}, what)

    def _write(
        self, request: Request, name: str, entry: Mapping[str, Any], more: Mapping[str, Any] | None = None
    ) -> None:
        what = {"method": request.method, "path": request.url.path[:200], **(more or {})}
        try:
            self.trail(name or "unknown", place_of(request)).write({**entry, "what": what})
        except Exception as problem:  # noqa: BLE001 - whatever it is, who may come in has been decided
            LOG.warning("%s could not be written into the audit log: %s", entry["action"], type(problem).__name__)


def too_many(wait: float) -> Problem:
    """Somebody comes too often, and may again in so many seconds."""
    return Problem(
        429,
        "Too many requests.",
        "too_many_requests",
        f"Come again in {wait:.0f} s.",
        headers={"Retry-After": str(max(1, round(wait)))},
    )


def place_of(request: Request) -> str:
    """Where a request came from, for the audit log."""
    return f"rest {request.client.host if request.client else 'unknown'}"


def trace_of(request: Request) -> dict[str, str]:
    """The trace that the caller is in, as variables of a worker's environment (W3C Trace Context)."""
    given = {name.upper(): request.headers.get(name, "") for name in ("traceparent", "tracestate")}
    return {name: value for name, value in given.items() if value and len(value) <= 512 and value.isprintable()}


def own_origin(request: Request) -> bool:
    """The page that sent it is ours: a browser says so in Origin, and no script can change that."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site") == "same-origin"
    return same_origin(origin, request.url.scheme, request.headers.get("host", ""))


def _require_own_page(request: Request, session: Session) -> None:
    word = request.headers.get("x-csrf-token", "")
    if not own_origin(request) or not hmac.compare_digest(word.encode("utf-8", "replace"), session.csrf.encode()):
        raise Problem(
            403,
            "A change that comes with a session needs the word of its own page.",
            "csrf",
            "Send X-CSRF-Token from the session, from a page of this server; or use a token in Authorization.",
        )
