from __future__ import annotations

from pathlib import Path

import pytest

from bascule.config.concealment import conceal, hidden, looks_secret
from bascule.config.load import load


@pytest.mark.parametrize(
    "name",
    ["password", "db_password", "DB_PASS", "dbpassword", "apiToken", "app.key", "API-KEY", "client_secret", "pwd"],
)
def test_a_variable_named_like_a_secret_is_one(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["owner", "monkey", "passengers", "keyboard", "secretary", "tokenizer", "bypass"])
def test_a_word_that_only_contains_such_a_name_is_none(name: str) -> None:
    assert not looks_secret(name)


def test_the_name_stands_where_the_value_stood() -> None:
    variables = {"db_password": "hunter2-hunter2", "pin_key": "7391"}
    text = "CREATE ROLE app PASSWORD 'hunter2-hunter2'; SELECT 7391, 173910"
    assert conceal(text, variables) == "CREATE ROLE app PASSWORD '${db_password}'; SELECT ${pin_key}, 173910"


def test_a_value_of_less_than_four_characters_is_not_looked_for() -> None:
    assert hidden({"key": "id", "pass": "abcd"}) == {"pass": "abcd"}


def test_the_settings_may_name_others(tmp_path: Path) -> None:
    (tmp_path / "bascule.toml").write_text(
        'secret_variables = ["motto"]\n[variables]\nmotto = "open sesame"\nowner = "app_owner"\n'
    )
    settings = load(environ={}, folder=tmp_path)
    assert settings.hidden_variables == {"motto": "open sesame"}
    assert settings.clean("he said open sesame to app_owner") == "he said ${motto} to app_owner"
    assert "open sesame" not in repr(settings)
