"""Opaque API tokens: 256 bits of chance, shown once and kept as SHA-256.

A fast hash is enough: nobody guesses 256 bits, so there is nothing that a slow one would slow down.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Final

PREFIX: Final = "bascule_"
"""So that people and scanners of secrets know one when they see it."""
BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What is known of a token. Not the token."""

    id: str
    role: str
    name: str
    """Who uses it, in the words of whoever made it."""
    environment: str | None
    """It is good for targets of this environment only; None: for any."""
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def refused(self, *, now: datetime, environment: str) -> str | None:
        """Why it opens nothing, None where it does."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        if self.environment is not None and self.environment != environment:
            return "environment"
        return None


def token_of(chance: bytes) -> str:
    """The token that these random bytes are. Raises ValueError when they are too few."""
    if len(chance) != BYTES:
        raise ValueError(f"a token takes {BYTES} bytes")
    return PREFIX + urlsafe_b64encode(chance).rstrip(b"=").decode("ascii")


def is_token(text: str) -> bool:
    """Whether it looks like one of ours, and not like a JWT."""
    return text.startswith(PREFIX) and "." not in text


def hash_of(token: str) -> str:
    """What is kept of it. Looking it up by this is no comparison that time could tell about: whoever does not know the
    token does not know what its hash begins with either.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
