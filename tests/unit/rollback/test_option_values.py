"""Options of foreign servers differ without anybody being told their values."""

from __future__ import annotations

from typing import Any

from bascule.domain.schema import Snapshot
from bascule.rollback.verdict import compare

SERVER = "other server s"


def differences(key: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    looks = (Snapshot(objects={key: parts}, whole=False) for parts in (before, after))
    return [each.what for each in compare(*looks)]


def test_a_value_that_differs_is_named_by_its_option_alone() -> None:
    found = differences(
        SERVER,
        {"option_values": {"host": "aa", "password": "bb", "gone": "cc"}},
        {"option_values": {"host": "aa", "password": "dd", "new": "ee"}},
    )
    assert found == [
        "option gone is missing",
        "option new is left behind",
        "the value of option password is another one",
    ]


def test_values_that_an_earlier_version_kept_are_compared_and_not_told() -> None:
    kept = {"options": ["host=a", "password=SECRET=1"]}
    # From a server: left(encode(sha256('host=a'), 'hex'), 16), and the same for the password.
    now = {"option_values": {"host": "0aa80affb7686dc5", "password": "0"}}
    found = differences(SERVER, kept, now)
    assert found == ["the value of option password is another one"]


def test_options_of_foreign_tables_and_columns_that_an_earlier_version_kept_are_not_told() -> None:
    column = {"name": "a", "type": "text", "not_null": False}
    kept = {"foreign": 'SERVER s OPTIONS {"k=SEC\\"RET, x",l=SECRET}', "columns": [column | {"foreign": ["c=SECRET"]}]}
    found = differences("table public.f", kept, {"foreign": "SERVER s", "columns": [column]})
    assert found == ["option c of column a is missing", "option k is missing", "option l is missing"]


def test_a_user_mapping_of_which_only_names_were_kept_is_not_called_another() -> None:
    key = "other user mapping for u on server s"
    assert differences(key, {"options": ["user", "password"]}, {"option_values": {"user": "a", "password": "b"}}) == []
