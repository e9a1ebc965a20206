"""API tokens, by the hash of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bascule.access.tokens import ApiToken
from bascule.ports.state import Row, StateDoor
from bascule.state.moment import moment, read_moment
from bascule.state.sessions import is_open

_COLUMNS = "id, role, name, environment, created_at, created_by, expires_at, revoked_at, last_used_at"


def add(door: StateDoor, token: ApiToken, its_hash: str) -> None:
    """Keep a new one."""
    door.write(
        f"INSERT INTO @token (hash, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            its_hash,
            token.id,
            token.role,
            token.name,
            token.environment,
            moment(token.created_at),
            token.created_by,
            moment(token.expires_at) if token.expires_at else None,
            None,
            None,
        ),
    )


def by_hash(door: StateDoor, its_hash: str) -> ApiToken | None:
    """The token with this hash, revoked and expired ones too."""
    rows = door.read(f"SELECT {_COLUMNS} FROM @token WHERE hash = ?", (its_hash,))
    return _token(rows[0]) if rows else None


def by_id(door: StateDoor, its_id: str, *, session: str | None = None) -> ApiToken | None:
    """The token of this id; None also where somebody has ended that session of its."""
    condition, values = is_open(session) if session is not None else ("TRUE", ())
    rows = door.read(f"SELECT {_COLUMNS} FROM @token WHERE id = ? AND {condition}", (its_id, *values))
    return _token(rows[0]) if rows else None


def every(door: StateDoor) -> Sequence[ApiToken]:
    """All of them, the newest first."""
    return [_token(row) for row in door.read(f"SELECT {_COLUMNS} FROM @token ORDER BY created_at DESC, id")]


def revoke(door: StateDoor, its_id: str, now: datetime) -> ApiToken | None:
    """Revoke it from now on; None where there is none of that id. One that is revoked already stays as it is."""
    door.write("UPDATE @token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (moment(now), its_id))
    return by_id(door, its_id)


def used(door: StateDoor, its_id: str, now: datetime) -> None:
    """Note when it was last used."""
    door.write("UPDATE @token SET last_used_at = ? WHERE id = ?", (moment(now), its_id))


def remove_before(door: StateDoor, before: datetime) -> int:
    """Remove those that expired or were revoked before that moment; answers how many. They are then unknown, and no
    more good than before.
    """
    at = moment(before)
    return len(door.write("DELETE FROM @token WHERE expires_at < ? OR revoked_at < ? RETURNING id", (at, at)))


def _token(row: Row) -> ApiToken:
    its_id, role, name, environment, created_at, created_by, expires_at, revoked_at, last_used_at = row
    return ApiToken(
        id=its_id,
        role=role,
        name=name,
        environment=environment,
        created_at=read_moment(created_at),
        created_by=created_by,
        expires_at=read_moment(expires_at) if expires_at else None,
        revoked_at=read_moment(revoked_at) if revoked_at else None,
        last_used_at=read_moment(last_used_at) if last_used_at else None,
    )
