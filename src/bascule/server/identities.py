"""Whose credentials these are: API tokens, JWTs of ours or of a company's identity provider, and sessions made of them.

The algorithm of a JWT is fixed by the settings; what its header says decides nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bascule.access.principal import Principal
from bascule.access.roles import is_role
from bascule.access.tokens import is_token
from bascule.errors import BasculeError, ConfigError
from bascule.server.issuer_keys import PATIENCE, IssuerAway, IssuerKeys, UnknownKey
from bascule.server.problems import Problem
from bascule.state.sessions import LONGEST

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.ports.state import StateDoor

LOG = logging.getLogger("bascule.server")
COOKIE: Final = "bascule_session"
_LONGEST_TOKEN: Final = 16_384
"""Letters. Nothing longer is looked at."""
_SYMMETRIC: Final = ("HS256", "HS384", "HS512")
_ASYMMETRIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
SHORTEST_SECRET: Final = 32
"""Bytes."""
_FEWEST: Final = 8
"""Different bytes in it: what chance makes has far more."""
_LOOKED: Final = 1.0
"""Seconds for which a live stream goes by the last look at its credentials."""
_STREAMS: Final = 10_000
_MAKE_ONE: Final = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
_LEEWAY: Final = 10.0
"""Seconds by which two clocks may differ."""
_MOMENTS: Final = ("exp", "nbf", "iat")
_LAST_MOMENT: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""Later than that there are no dates."""
_NOTED_AGAIN: Final = timedelta(minutes=1)
"""After a store refused to be written, nobody asks it to note a token's use for so long."""


class Unauthenticated(Exception):
    """The credentials are missing or no good."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        """For the log and the audit; a stranger is told no more than that they are no good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a cookie stands for."""

    principal: Principal
    csrf: str


class Identities:
    """Asks the state store about tokens, and keys about the rest. May be called from several threads."""

    def __init__(
        self,
        settings: Settings,
        door: Callable[[], StateDoor],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ConfigError for settings that contradict each other."""
        self._settings, self._open, self._now = settings, door, now
        self._door: StateDoor | None = None
        self._guard = threading.Lock()
        self._note_from: datetime | None = None
        self._ended: set[str] = set()
        self._looked: dict[tuple[str | None, str | None], tuple[float, bool]] = {}
        self._secret = settings.secret_key.reveal().encode() if settings.secret_key is not None else None
        if self._secret is not None:
            require_strong(self._secret)
        # Without a key of the settings, sessions end with this process.
        self._session_key = hashlib.sha256(b"bascule session\0" + (self._secret or os.urandom(32))).digest()
        self._alg = _algorithm(settings.jwt, self._secret)
        self._issuer = IssuerKeys(settings.jwt.get("jwks_url") or "")

    def authenticate(self, token: str) -> Principal:
        """Whose token it is. Raises `Unauthenticated`, `Problem` (503: the issuer is away), and as the state store."""
        if not token or len(token) > _LONGEST_TOKEN:
            raise Unauthenticated("no token")
        if is_token(token):
            from bascule.services.tokens import carried_by

            found = carried_by(
                self.door(),
                token,
                now=self._now(),
                environment=self._settings.environment,
                note=self._note_use,
            )
            if isinstance(found, str):
                raise Unauthenticated(found)
            return found
        return self._of_jwt(token)

    def still_good(self, principal: Principal) -> bool:
        """What `authenticate` answered holds by now: neither expired nor revoked."""
        if principal.expires_at is not None and self._now() >= principal.expires_at:
            return False
        from bascule.state.sessions import has_ended
        from bascule.state.tokens import by_id

        if principal.session in self._ended:
            return False
        if principal.token_id is None:
            return principal.session is None or not has_ended(self.door(), principal.session)
        found = by_id(self.door(), principal.token_id, session=principal.session)
        return found is not None and found.refused(now=self._now(), environment=self._settings.environment) is None

    def good_lately(self, principal: Principal) -> bool:
        """As `still_good`, asked of the store again after a moment only, however many streams ask."""
        if principal.expires_at is not None and self._now() >= principal.expires_at:
            return False
        key, now = (principal.token_id, principal.session), time.monotonic()
        known = self._looked.get(key)
        if known is not None and now - known[0] < _LOOKED:
            return known[1]
        good = self.still_good(principal)
        if len(self._looked) >= _STREAMS:
            self._looked.clear()
        self._looked[key] = (now, good)
        return good

    def end_session(self, session: Session) -> None:
        """It opens nothing from now on, at no server of this store. Raises as the state store, where it is over here
        at least.
        """
        from bascule.state.sessions import end

        its_id = session.principal.session
        if its_id is None:
            return
        self._looked.pop((session.principal.token_id, its_id), None)
        try:
            end(self.door(), its_id, self._now())
        except BasculeError:
            self._ended.add(its_id)
            raise

    def begin_session(self, principal: Principal) -> tuple[str, Session, int]:
        """The cookie's value, the session, and for how many seconds it is good."""
        latest = self._now() + LONGEST
        until = min(principal.expires_at or latest, latest)
        csrf, its_id = secrets.token_urlsafe(24), secrets.token_hex(16)
        content = {
            "id": its_id,
            "name": principal.name,
            "role": principal.role,
            "how": principal.how,
            "token": principal.token_id,
            "until": until.timestamp(),
            "csrf": csrf,
        }
        body = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        session = Session(principal=replace(principal, expires_at=until, session=its_id), csrf=csrf)
        return f"{body}.{self._sign(body)}", session, max(1, int((until - self._now()).total_seconds()))

    def session(self, cookie: str) -> Session:
        """What the cookie stands for. Raises `Unauthenticated`, and as the state store."""
        body, _, signature = cookie[:_LONGEST_TOKEN].partition(".")
        if not hmac.compare_digest(self._sign(body).encode(), signature.encode("utf-8", "replace")):
            raise Unauthenticated("session")
        content = json.loads(base64.urlsafe_b64decode(body))
        if "id" not in content:
            # Of a version whose sessions could not be ended.
            raise Unauthenticated("session ended")
        until = datetime.fromtimestamp(content["until"], UTC)
        principal = Principal(
            name=content["name"],
            role=content["role"],
            how=content["how"],
            expires_at=until,
            token_id=content["token"],
            session=content["id"],
        )
        if not self.still_good(principal):
            raise Unauthenticated("session ended")
        return Session(principal=principal, csrf=content["csrf"])

    def door(self) -> StateDoor:
        """To the state store, opened once."""
        with self._guard:
            if self._door is None:
                self._door = self._open()
            return self._door

    def close(self) -> None:
        """Give the connection back."""
        with self._guard:
            if self._door is not None:
                self._door.close()
                self._door = None

    def _note_use(self, token_id: str) -> None:
        """As well as it can be done: a store that cannot be written keeps nobody from reading."""
        from bascule.state.tokens import used

        now = self._now()
        if self._note_from is not None and now < self._note_from:
            return
        try:
            used(self.door(), token_id, now)
        except BasculeError as problem:
            self._note_from = now + _NOTED_AGAIN
            LOG.warning("When tokens were last used is not noted: %s", self._settings.clean(problem.message))

    def _sign(self, body: str) -> str:
        return hmac.new(self._session_key, body.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _of_jwt(self, token: str) -> Principal:
        if self._alg is None:
            raise Unauthenticated("no key is set for JWTs")
        import jwt

        chosen = self._settings.jwt
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=[self._alg],
                issuer=chosen.get("issuer"),
                audience=chosen.get("audience"),
                leeway=_LEEWAY,
                options={"require": ["exp"], "verify_aud": True, "verify_iss": bool(chosen.get("issuer"))},
            )
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as wrong:
            raise Unauthenticated(f"jwt: {type(wrong).__name__}") from wrong
        # The library takes "5" and true for numbers, and dates that no calendar has.
        if not all(_is_moment(claims[name]) for name in _MOMENTS if name in claims):
            raise Unauthenticated("jwt: no moment")
        role = claims.get(chosen.get("role_claim") or "role")
        if not is_role(role):
            # What cannot be told apart from a viewer's token must not become one.
            raise Unauthenticated("jwt: no role")
        return Principal(
            name=str(claims.get("sub") or claims.get("email") or "jwt"),
            role=str(role),
            how="jwt",
            expires_at=datetime.fromtimestamp(float(claims["exp"]), UTC),
        )

    def _key(self, token: str) -> Any:
        if self._alg in _SYMMETRIC:
            return self._secret
        import jwt

        header = jwt.get_unverified_header(token)
        its_id = header.get("kid")
        # Nobody is asked for the key of a token that would not be taken with any.
        if header.get("alg") != self._alg or not isinstance(its_id, str):
            raise Unauthenticated("jwt: no key of the issuer's")
        try:
            return self._issuer.key(its_id)
        except UnknownKey:
            raise Unauthenticated("jwt: unknown key") from None
        except IssuerAway:
            raise Problem(
                503,
                "The keys of whoever issues tokens could not be fetched, so this one cannot be judged.",
                "issuer_away",
                "Come again, or use a token of `bascule token create`; BASCULE_JWT_JWKS_URL says where keys are.",
                headers={"Retry-After": str(int(PATIENCE))},
            ) from None


def _is_moment(value: object) -> bool:
    """Seconds since 1970 of a date that exists."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # False for what is no number (NaN) too.
    return 0 <= value < _LAST_MOMENT


def _algorithm(chosen: Mapping[str, str], secret: bytes | None) -> str | None:
    """Which algorithm JWTs must have; None: they are not taken. Raises ConfigError."""
    alg, jwks = chosen.get("alg"), chosen.get("jwks_url")
    if alg is None:
        alg = "RS256" if jwks else "HS256" if secret is not None else None
    if alg is None:
        return None
    if alg in _SYMMETRIC:
        if secret is None:
            raise ConfigError(f"BASCULE_JWT_ALG is {alg}, and there is no secret.", hint="Set BASCULE_SECRET_KEY.")
        return alg
    if alg in _ASYMMETRIC:
        if not jwks:
            raise ConfigError(
                f"BASCULE_JWT_ALG is {alg}, and nothing names the issuer's keys.", hint="Set BASCULE_JWT_JWKS_URL."
            )
        _require_safe(jwks, chosen.get("audience"))
        return alg
    raise ConfigError(
        f"BASCULE_JWT_ALG {alg!r} is no algorithm that is taken.",
        hint=f"One of {', '.join((*_SYMMETRIC, *_ASYMMETRIC))}.",
    )


def require_strong(secret: bytes) -> None:
    """Raises ConfigError (code ``weak_secret``) for a secret that can be guessed."""
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(
            f"The secret key is shorter than {SHORTEST_SECRET} bytes: whoever guesses it makes tokens.",
            code="weak_secret",
            hint=_MAKE_ONE,
        )
    if len(secret.strip()) < SHORTEST_SECRET or len(set(secret)) < _FEWEST:
        raise ConfigError(
            f"The secret key is blank, or made of fewer than {_FEWEST} different characters: whoever guesses it makes "
            "tokens.",
            code="weak_secret",
            hint=_MAKE_ONE,
        )


def _require_safe(jwks: str, audience: str | None) -> None:
    """Raises ConfigError for keys that somebody on the way could exchange, and for tokens meant for anybody."""
    address = urlsplit(jwks)
    if address.scheme != "https" and not (address.scheme == "http" and is_loopback(address.hostname or "")):
        raise ConfigError(
            "BASCULE_JWT_JWKS_URL is not https: whoever is on the way could give keys of his own.",
            hint="Give an address that begins with https://.",
        )
    if not audience:
        raise ConfigError(
            "BASCULE_JWT_JWKS_URL is set, and BASCULE_JWT_AUDIENCE is not: tokens that the same issuer made for other "
            "applications would open this one.",
            hint="Set BASCULE_JWT_AUDIENCE to what the issuer writes into tokens for this server.",
        )


def is_loopback(host: str) -> bool:
    """Nobody but this machine can reach it. A name that is not ``localhost`` may lead anywhere."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
