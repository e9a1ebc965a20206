from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from bascule.config.secret import Secret, scrub
from bascule.config.url import HIDDEN
from bascule.errors import ConfigError


def command(code: str) -> Secret:
    return Secret(setting="DATABASE_PASSWORD_COMMAND", command=f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}")


def test_a_command_is_asked_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    secret = command(f"print(open({str(path)!r}).read())")
    path.write_text("first")
    assert secret.reveal() == "first"
    path.write_text("second")
    assert secret.reveal() == "second"
    assert secret.known == ("first", "second")


def test_a_command_runs_without_a_shell() -> None:
    secret = Secret(setting="X", command="echo a; echo $HOME")
    assert secret.reveal() == "a; echo $HOME"


@pytest.mark.parametrize(
    "secret",
    [
        command("import sys; sys.exit('hunter2')"),
        command("pass"),
        Secret(setting="DATABASE_PASSWORD_COMMAND", command="no-such-program hunter2"),
        Secret(setting="DATABASE_PASSWORD_COMMAND", command="'unbalanced hunter2"),
    ],
)
def test_a_command_that_does_not_answer_is_named_without_its_arguments(secret: Secret) -> None:
    with pytest.raises(ConfigError) as caught:
        secret.reveal()
    assert "DATABASE_PASSWORD_COMMAND" in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_file_is_read_without_its_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b" with spaces \r\n")
    assert Secret(setting="X", file=path).reveal() == " with spaces "


def test_a_missing_or_empty_file_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DATABASE_PASSWORD_FILE"):
        Secret(setting="DATABASE_PASSWORD_FILE", file=tmp_path / "none").reveal()
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        Secret(setting="DATABASE_PASSWORD_FILE", file=tmp_path / "empty").reveal()


def test_a_file_open_to_everybody_is_noticed_unless_an_orchestrator_put_it_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o644)
    assert Secret(setting="X", file=path).open_to_everybody()
    path.chmod(0o600)
    assert not Secret(setting="X", file=path).open_to_everybody()
    assert not Secret(setting="X", file=Path("/run/secrets/password")).open_to_everybody()


def test_a_secret_is_taken_out_of_a_text_in_every_form() -> None:
    assert scrub("for p@ss/word!: p%40ss%2Fword%21", ["p@ss/word!"]) == f"for {HIDDEN}: {HIDDEN}"


def test_a_short_secret_does_not_take_ordinary_words_with_it() -> None:
    assert scrub("the pg of postgres", ["pg"]) == f"the {HIDDEN} of postgres"


def test_what_is_shown_anyway_stays() -> None:
    assert scrub("password authentication failed for postgres", ["postgres", "password"], harmless=["postgres"]) == (
        "password authentication failed for postgres"
    )


def test_a_secret_does_not_show_itself() -> None:
    assert "hunter2" not in f"{Secret(setting='X', text='hunter2')!r} {Secret(setting='X', text='hunter2')}"
