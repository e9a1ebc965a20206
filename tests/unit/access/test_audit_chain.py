"""Nobody without the key can change the audit log unseen, and the log says what it cannot promise without one."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.access.audit_chain import Head, canonical, code, read_head, verify
from tests.acceptance.audit_damage import KEY, missed, written


def head_of(count: int) -> Head:
    last = written(count)[-1]
    return Head(number=last.number, mac=last.mac)


@pytest.mark.parametrize("key", [KEY, None])
def test_a_log_that_nobody_touched_is_whole(key: bytes | None) -> None:
    log = written(10, key)
    heads = [Head(number=each.number, mac=each.mac) for each in (log[3], log[-1])]
    assert verify(log, key=key, heads=heads) == []
    assert verify([], key=key) == []


def test_random_damage_is_found() -> None:
    assert missed(1500, seed=7) == []


def test_a_cut_tail_is_told_apart_and_where() -> None:
    (found,) = verify(written(10)[:7], key=KEY, heads=[head_of(10)])
    assert (found.kind, found.number) == ("cut", 8)
    assert verify(written(10)[:7], key=KEY) == [], "without a head nobody can know"


def test_a_gap_is_named() -> None:
    log = written(10)
    found = verify([*log[:3], *log[6:]], key=KEY)
    assert [(each.kind, each.number) for each in found if each.kind == "removed"] == [("removed", 4)]


def test_without_the_key_a_keyed_log_is_looked_at_for_its_order_only() -> None:
    log = written(5)
    assert verify(log, key=None) == []
    changed = [*log[:2], dataclasses.replace(log[2], entry="{}"), *log[3:]]
    assert verify(changed, key=None) == [], "which the verb says aloud"
    assert [each.number for each in verify(changed, key=KEY)] == [3]


def test_a_key_that_comes_later_is_no_fault_and_one_that_goes_is() -> None:
    plain, keyed = written(3, None), written(6)
    moved = [*plain]
    for each in keyed[3:]:
        before = moved[-1].mac
        mac = code(each.number, each.at, each.entry, before, KEY)
        moved.append(dataclasses.replace(each, previous=before, mac=mac))
    assert verify(moved, key=KEY) == []
    last = moved[-1]
    mac = code(7, last.at, last.entry, last.mac, None)
    moved.append(dataclasses.replace(last, number=7, previous=last.mac, mac=mac))
    assert [each.kind for each in verify(moved, key=KEY)] == ["inserted"]


@given(st.text(), st.text(), st.text(), st.text())
def test_no_field_lends_letters_to_its_neighbour(one: str, two: str, three: str, four: str) -> None:
    same = (one, two) == (three, four)
    assert (code(1, one, two, "", KEY) == code(1, three, four, "", KEY)) == same


def test_one_content_has_one_text() -> None:
    assert canonical({"b": 1, "a": "é\0"}) == canonical({"a": "é\0", "b": 1}) == '{"a":"\\u00e9\\u0000","b":1}'


@pytest.mark.parametrize("text", ["", "7", "7:", "x:h1:aa", "7:md5:aa", "-1:h1:aa"])
def test_a_damaged_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NUMBER:CODE"):
        read_head(text)
    assert str(read_head("7:h1:aa\n")) == "7:h1:aa"
