"""Python migrations without the extra, or with one that is too old."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib import metadata

import pytest

from bascule.databases.operations.extra import require_extra
from bascule.errors import ConfigError


def test_importing_the_package_imports_neither_library() -> None:
    command = "import sys, bascule.databases.operations; print({'sqlalchemy', 'alembic'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


def test_an_absent_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "alembic" else object())
    with pytest.raises(ConfigError, match="need alembic, which is not installed") as caught:
        require_extra()
    assert caught.value.hint == "pip install 'bascule[alembic]'"


@pytest.mark.parametrize(("version", "fits"), [("1.12.1", False), ("1.13.0", True), ("1.13rc1", True), ("2.0", True)])
def test_a_library_must_be_new_enough(monkeypatch: pytest.MonkeyPatch, version: str, fits: bool) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version if name == "alembic" else "2.1.9")
    if fits:
        require_extra()
    else:
        with pytest.raises(ConfigError, match=r"need alembic 1\.13 or newer; 1\.12\.1 is installed"):
            require_extra()
