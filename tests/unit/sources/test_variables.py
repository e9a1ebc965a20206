"""``${name}`` in native SQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.errors import ConfigError, SourceError
from bascule.sources.native import NativeSource
from tests.unit.sources.folders import read_native


def test_a_declared_variable_is_replaced_in_both_directions(tmp_path: Path) -> None:
    migration = read_native(
        tmp_path,
        "-- migrate:up\nGRANT SELECT ON t TO ${app};\n-- migrate:down\nREVOKE SELECT ON t FROM ${ app };",
        variables={"app": "web"},
    )

    assert migration.up.text == "GRANT SELECT ON t TO web;\n"
    assert migration.down is not None
    assert migration.down.text == "REVOKE SELECT ON t FROM web;"


def test_a_project_without_variables_reads_files_as_they_are(tmp_path: Path) -> None:
    body = "SELECT '${name}', $${a}$$, '$${x}';"

    assert read_native(tmp_path, f"-- migrate:up\n{body}").up.text == body


def test_two_dollars_stand_for_the_text_itself(tmp_path: Path) -> None:
    migration = read_native(tmp_path, "-- migrate:up\nSELECT '$${app}', '${app}', '${app}';", variables={"app": "web"})

    assert migration.up.text == "SELECT '${app}', 'web', 'web';"


@pytest.mark.parametrize("use", ["${ap}", "${}", "${x + 1}"])
def test_what_is_not_declared_is_refused_with_its_line(tmp_path: Path, use: str) -> None:
    with pytest.raises(SourceError) as refusal:
        read_native(tmp_path, f"-- migrate:up\nSELECT 1;\n-- migrate:down\n\nSELECT '{use}';", variables={"app": "web"})

    assert refusal.value.message == f"{tmp_path}/1_x.sql, line 5: the variable {use} is not declared."
    assert refusal.value.code == "undeclared_variable"
    assert f"${use}" in refusal.value.hint


def test_values_are_never_shown(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as refusal:
        read_native(tmp_path, "-- migrate:up\nSELECT '${oops}';", variables={"password": "hunter2"})

    assert "hunter2" not in refusal.value.message + refusal.value.hint + str(refusal.value.details)


def test_a_value_holds_no_variables_of_its_own(tmp_path: Path) -> None:
    assert read_native(tmp_path, "-- migrate:up\n${a}", variables={"a": "${b}", "b": "x"}).up.text == "${b}"


def test_a_variable_may_hold_the_whole_script(tmp_path: Path) -> None:
    assert read_native(tmp_path, "-- migrate:up\n${a}", variables={"a": "-- nothing"}).up.empty


@pytest.mark.parametrize("name", ["", "1a", "a b", "ä", "a}"])
def test_a_name_that_is_no_word_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a variable"):
        NativeSource(str(tmp_path), variables={name: "x"})


def test_a_value_of_several_lines_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        NativeSource(str(tmp_path), variables={"key": "hunter2\nhunter3"})

    assert "hunter" not in refusal.value.message + refusal.value.hint
