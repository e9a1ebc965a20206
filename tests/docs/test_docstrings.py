"""Every package says what it is for."""

from __future__ import annotations

import ast

import pytest

from tests.docs.pages import ROOT, named

MODULES = sorted((ROOT / "src" / "bascule").rglob("*.py"))


@pytest.mark.parametrize("package", [named(path) for path in MODULES if path.name == "__init__.py"])
def test_every_package_has_a_docstring(package: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / package).read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))


def test_every_module_has_a_docstring() -> None:
    without = [named(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert without == []
