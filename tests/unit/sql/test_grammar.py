from __future__ import annotations

import builtins
import importlib.util
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bascule.sql import SqlSyntaxProblem, grammar
from tests.unit.sql.corpus import HARD, read


@pytest.mark.parametrize("text", HARD)
def test_hard_statements_are_valid(text: str) -> None:
    assert len(grammar.parse(text)["stmts"]) == 1


def test_the_tree_is_that_of_postgresql() -> None:
    tree = grammar.parse("drop table if exists a.b")
    assert tree == json.loads(grammar.parse_raw("drop table if exists a.b"))
    drop = tree["stmts"][0]["stmt"]["DropStmt"]
    assert (drop["removeType"], drop["missing_ok"]) == ("OBJECT_TABLE", True)


def test_a_refusal_has_the_grammars_words_and_the_place_in_characters() -> None:
    with pytest.raises(SqlSyntaxProblem, match='at or near "frm"') as caught:
        grammar.parse("select 'é'\n frm frm x")
    assert (caught.value.offset, caught.value.line) == (16, 2)


def test_a_refusal_at_the_end_of_the_text() -> None:
    with pytest.raises(SqlSyntaxProblem, match="end of input") as caught:
        grammar.parse("select (\n")
    assert caught.value.offset <= len("select (\n")


@pytest.mark.parametrize("text", ["select '\0'", "select '\ud800'"])
def test_text_that_no_server_can_take(text: str) -> None:
    with pytest.raises(SqlSyntaxProblem) as caught:
        grammar.parse(text)
    assert caught.value.offset == 8


def test_version() -> None:
    assert grammar.available()
    name, number = grammar.version().split()
    assert name == "libpg_query"
    assert float(number) >= 18


@pytest.fixture
def forgotten_library() -> Iterator[None]:
    """The library is looked for again, and again afterwards."""
    for cached in (grammar._library, grammar._parser):
        cached.cache_clear()
    yield
    for cached in (grammar._library, grammar._parser):
        cached.cache_clear()


@pytest.mark.usefixtures("forgotten_library")
def test_without_the_library_every_statement_may_touch_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("postgast"):
            raise ImportError(name)
        return importing(name, *rest)

    importing = builtins.__import__
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(builtins, "__import__", refuse)
    for module in [module for module in sys.modules if module.startswith("postgast")]:
        monkeypatch.delitem(sys.modules, module)
    assert not grammar.available()
    insight = read("create index concurrently i on t (a)")
    assert (insight.kind, insight.transactional, insight.touch.everything) == ("UNKNOWN", False, True)
    assert "cannot be loaded" in insight.touch.reasons[0]
    assert read("commit").control == "commit"
