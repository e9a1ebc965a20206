"""Access tokens of the REST API: made, listed, revoked, and asked who carries one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from bascule.access.principal import Principal
from bascule.access.roles import ROLES, is_role
from bascule.access.tokens import BYTES, ApiToken, hash_of, token_of
from bascule.domain.run import iso
from bascule.errors import UsageError
from bascule.state import tokens

if TYPE_CHECKING:
    from bascule.ports.state import StateDoor
    from bascule.services.context import Context

_NOTED_EVERY: Final = timedelta(minutes=1)
"""When a token was last used is kept no finer than this: it would be a write for each request."""


_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new token, and the only time that it is seen."""

    text: str
    token: ApiToken

    def as_dict(self) -> dict[str, Any]:
        """In the JSON form."""
        return {"token": self.text, **token_line(self.token)}


def create(context: Context, *, role: str, name: str, lifetime: float | None, environment: str | None, by: str) -> Made:
    """Make a token. `lifetime`: seconds, None: it does not expire. Needs the right to write the state store.

    Raises UsageError for a word that is no role.
    """
    if not is_role(role):
        raise UsageError(f"There is no role {role!r}.", hint=f"The roles are {', '.join(ROLES)}.", code="no_role")
    if not (name.isprintable() and len(name) <= _LONGEST_NAME):
        raise UsageError(f"The name of a token is one line of at most {_LONGEST_NAME} letters.", hint="Give another.")
    now = context.clock.now()
    text = token_of(os.urandom(BYTES))
    made = ApiToken(
        id=secrets.token_hex(6),
        role=role,
        name=name,
        environment=environment,
        created_at=now,
        created_by=by,
        expires_at=None if lifetime is None else now + timedelta(seconds=lifetime),
    )
    if context.trail is not None:
        # Also on a target where nothing is kept yet.
        context.trail.begin()
    door = context.target.state()
    try:
        tokens.add(door, made, hash_of(text))
    finally:
        door.close()
    return Made(text=text, token=made)


def every(context: Context) -> Sequence[ApiToken]:
    """All tokens, the newest first."""
    door = context.target.state()
    try:
        return tokens.every(door)
    finally:
        door.close()


def revoke(context: Context, its_id: str) -> ApiToken:
    """Take one back from now on. Raises UsageError (code ``no_token``) where there is none of that id."""
    door = context.target.state()
    try:
        found = tokens.revoke(door, its_id, context.clock.now()) if door.about() else None
    finally:
        door.close()
    if found is None:
        raise UsageError(
            f"There is no token {its_id!r}.", code="no_token", hint="`bascule token list` shows their ids."
        )
    return found


def carried_by(
    door: StateDoor, text: str, *, now: datetime, environment: str, note: Callable[[str], None] | None = None
) -> Principal | str:
    """Who carries this token; or why it opens nothing: ``unknown``, ``revoked``, ``expired``, ``environment``,
    ``role``. `note` writes down that the token of this id was used; where it is not given, that is written here.
    """
    found = tokens.by_hash(door, hash_of(text))
    if found is None:
        return "unknown"
    why = found.refused(now=now, environment=environment)
    if why is not None:
        return why
    if not is_role(found.role):
        return "role"
    if found.last_used_at is None or now - found.last_used_at > _NOTED_EVERY:
        if note is not None:
            note(found.id)
        else:
            tokens.used(door, found.id, now)
    return Principal(
        name=found.name or found.id,
        role=found.role,
        how=f"token {found.id}",
        expires_at=found.expires_at,
        token_id=found.id,
    )


def token_line(token: ApiToken) -> dict[str, Any]:
    """What is known of a token, in the JSON form."""
    return {
        "id": token.id,
        "role": token.role,
        "name": token.name,
        "environment": token.environment,
        "createdAt": iso(token.created_at),
        "createdBy": token.created_by,
        "expiresAt": iso(token.expires_at) if token.expires_at else None,
        "revokedAt": iso(token.revoked_at) if token.revoked_at else None,
        "lastUsedAt": iso(token.last_used_at) if token.last_used_at else None,
    }
