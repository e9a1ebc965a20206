"""What the audit log and the tokens in a state store must show, on every database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bascule.access.audit_chain import Head, verify
from bascule.access.principal import Principal
from bascule.access.tokens import BYTES, ApiToken, hash_of, token_of
from bascule.ports.database import Target
from bascule.ports.state import StateDoor
from bascule.services.tokens import carried_by
from bascule.state import audit, tokens

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
KEY = b"a key that is not in the database"


def token(its_id: str, **changes: object) -> ApiToken:
    known = {
        "id": its_id,
        "role": "operator",
        "name": "Zoë",
        "environment": None,
        "created_at": NOW,
        "created_by": "me",
        "expires_at": NOW + timedelta(days=1),
    }
    return ApiToken(**(known | changes))  # type: ignore[arg-type]


class AccessConformance:
    """Promises of `bascule.state.audit` and `bascule.state.tokens`."""

    @pytest.fixture
    def doors(self, target_factory: Callable[[], Target]) -> Iterator[Callable[[], StateDoor]]:
        target = target_factory()
        opened: list[StateDoor] = []

        def open_one() -> StateDoor:
            opened.append(target.state())
            return opened[-1]

        yield open_one
        for door in opened:
            door.close()

    def test_an_empty_log_is_empty_and_whole(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        assert (audit.count(door), list(audit.lines(door)), audit.newest(door, limit=5)) == (0, [], [])
        assert audit.mac_of(door, 1) is None

    def test_lines_come_back_as_they_were_written(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        written = [audit.append(door, {"who": f"é \0 {n}", "n": n}, at=NOW, key=KEY) for n in range(3)]
        assert list(audit.lines(door)) == written
        assert audit.newest(door, limit=2) == [written[2], written[1]]
        assert audit.newest(door, limit=2, before=2) == [written[0]]
        assert audit.mac_of(door, 2) == written[1].mac
        assert verify(audit.lines(door), key=KEY, heads=[Head(number=3, mac=written[2].mac)]) == []

    def test_writers_at_once_make_one_chain(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        audit.append(door, {"who": "first"}, at=NOW, key=KEY)

        def write(own: StateDoor) -> None:
            for number in range(8):
                audit.append(own, {"n": number}, at=NOW, key=KEY)

        threads = [threading.Thread(target=write, args=(own,)) for own in (door, doors(), doors())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert audit.count(door) == 25
        assert verify(audit.lines(door), key=KEY) == []

    def test_a_token_is_found_by_its_hash_and_nothing_else(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        text = token_of(b"k" * BYTES)
        assert carried_by(door, text, now=NOW, environment="staging") == "unknown"
        tokens.add(door, token("one"), hash_of(text))
        tokens.add(door, token("two", created_at=NOW + timedelta(seconds=1), expires_at=None), "another")
        assert tokens.by_hash(door, hash_of(text)) == token("one") == tokens.by_id(door, "one")
        assert tokens.by_hash(door, hash_of("' OR 1=1 --")) is None
        assert [each.id for each in tokens.every(door)] == ["two", "one"]

    def test_who_carries_a_token_and_until_when(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        text = token_of(b"k" * BYTES)
        tokens.add(door, token("one", environment="staging"), hash_of(text))
        carried = carried_by(door, text, now=NOW, environment="staging")
        assert isinstance(carried, Principal)
        assert (carried.name, carried.role, carried.how) == ("Zoë", "operator", "token one")
        used = tokens.by_id(door, "one")
        assert used is not None
        assert used.last_used_at == NOW
        assert carried_by(door, text, now=NOW, environment="production") == "environment"
        assert carried_by(door, text, now=NOW + timedelta(days=1), environment="staging") == "expired"

    def test_revoked_is_revoked_for_good(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        text = token_of(b"k" * BYTES)
        tokens.add(door, token("one"), hash_of(text))
        first = tokens.revoke(door, "one", NOW)
        assert first is not None
        assert first.revoked_at == NOW
        assert tokens.revoke(door, "one", NOW + timedelta(hours=1)) == first
        assert tokens.revoke(door, "none", NOW) is None
        assert carried_by(door, text, now=NOW, environment="staging") == "revoked"

    def test_a_role_that_somebody_wrote_into_the_table_is_none(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        text = token_of(b"k" * BYTES)
        tokens.add(door, token("one", role="root"), hash_of(text))
        assert carried_by(door, text, now=NOW, environment="staging") == "role"
