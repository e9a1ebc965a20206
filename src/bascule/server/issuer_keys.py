"""The public keys of whoever issues JWTs, fetched from a JWKS address, and not more often than is good for it.

What a token's header says is a stranger's word: a thousand tokens that name a thousand keys lead to one question.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

LIFESPAN: Final = 300.0
"""Seconds after which keys are fetched anew: for so long a withdrawn one may still be taken."""
PATIENCE: Final = 10.0
"""Seconds between two questions for keys that are not known, and after one that was not answered."""
_TIMEOUT: Final = 5


class IssuerAway(Exception):
    """The issuer did not answer, and no key of it is known that is young enough."""


class UnknownKey(Exception):
    """The issuer has no such key."""


class IssuerKeys:
    """Keys by their id. May be asked from several threads; one of them fetches."""

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], dict[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` answers the keys by their ids; it may raise anything."""
        self._url, self._fetch, self._clock = url, fetch or fetched, clock
        self._guard = threading.Lock()
        self._known: tuple[dict[str, Any], float] | None = None
        self._asked_at: float | None = None

    def key(self, its_id: str) -> Any:
        """Raises `UnknownKey`, `IssuerAway`."""
        # Whoever has a known key does not wait for somebody else's question.
        found = self._found()
        if found is None or its_id not in found:
            with self._guard:
                found = self._found()
                if (found is None or its_id not in found) and self._may_ask():
                    found = self._ask() or found
        if found is None:
            raise IssuerAway
        if its_id not in found:
            raise UnknownKey
        return found[its_id]

    def _found(self) -> dict[str, Any] | None:
        """The keys, while they are young enough."""
        known = self._known
        return known[0] if known is not None and self._clock() - known[1] < LIFESPAN else None

    def _may_ask(self) -> bool:
        return self._asked_at is None or self._clock() - self._asked_at >= PATIENCE

    def _ask(self) -> dict[str, Any] | None:
        try:
            keys = self._fetch(self._url)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, no key came
            return None
        finally:
            # After the answer: a slow issuer is not asked again at once.
            self._asked_at = self._clock()
        self._known = (keys, self._clock())
        return keys


def fetched(url: str) -> dict[str, Any]:
    """The signing keys at an address, by id. Raises PyJWTError."""
    import jwt

    client = jwt.PyJWKClient(url, cache_keys=False, cache_jwk_set=False, timeout=_TIMEOUT)
    return {str(each.key_id): each.key for each in client.get_signing_keys()}
