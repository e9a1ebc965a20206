"""Every error code has a line that says its exit code, and no line speaks of a code that is not there."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from bascule import errors
from bascule.databases.postgres.errors import _REFUSALS
from bascule.errors import BasculeError
from bascule.services.failures import _CODES
from tests.docs.pages import ROOT

SOURCE = ROOT / "src" / "bascule"
REFERENCE = ROOT / "docs" / "reference" / "errors.md"
ASKED = 5
"""What the engine asks for (`Ask`) is raised as `NeedsPerson`."""


@cache
def in_the_code() -> dict[str, set[int]]:
    """Code → the exit codes it comes with; none known where it is handed on by a variable."""
    found: dict[str, set[int]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        constants = constants_of(module)
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                for code in codes_of(node, constants):
                    found[code] |= exits_of(node)
    for kind in classes():
        found[kind.default_code].add(kind.exit_code)
    for code in _CODES.values():
        found[code].add(errors.MigrationFailed.exit_code)
    for _, code, _ in _REFUSALS:
        found[code].add(errors.TargetUnreachable.exit_code)
    return found


def classes() -> Iterator[type[BasculeError]]:
    for module in ("bascule.testing.binaries", "bascule.testing.process"):
        importlib.import_module(module)
    waiting: list[type[BasculeError]] = [BasculeError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        yield kind


def constants_of(module: ast.Module) -> dict[str, ast.expr]:
    """Names that the module gives to something at its top level."""
    return {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def codes_of(call: ast.Call, constants: Mapping[str, ast.expr]) -> list[str]:
    """What a call's ``code=`` may be: literals, also one of two, also by a name of the module's."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    codes = []
    while given:
        value = given.pop()
        if isinstance(value, ast.IfExp):
            given += [value.body, value.orelse]
        elif isinstance(value, ast.BoolOp):
            given += value.values
        elif isinstance(value, ast.Name) and value.id in constants:
            given.append(constants[value.id])
        elif isinstance(value, ast.Constant) and isinstance(value.value, str):
            codes.append(value.value)
    return codes


def exits_of(call: ast.Call) -> set[int]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, BasculeError):
        return {kind.exit_code}
    return {ASKED} if name == "Ask" else set()


def documented() -> dict[str, set[int]]:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len({code for code, _ in rows}), "a code has two lines"
    return {code: {int(number) for number in re.findall(r"\d+", exits)} for code, exits in rows}


def test_every_code_has_a_line_and_every_line_a_code() -> None:
    assert sorted(documented()) == sorted(in_the_code())


def test_the_exit_codes_are_those_of_the_code() -> None:
    wrong = {
        code: (exits, documented()[code]) for code, exits in in_the_code().items() if not exits <= documented()[code]
    }
    assert wrong == {}


def test_every_line_says_what_it_means() -> None:
    rows = [line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [row for row in rows if len(row.split("|")[3].strip()) < 10] == []


def test_the_tree_of_exceptions_is_the_real_one() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    drawn = re.findall(r"[├└]── (\w+) +(\d+)$", text, re.MULTILINE)
    real = {kind.__name__: kind.exit_code for kind in classes() if kind.__module__ == "bascule.errors"}
    del real["BasculeError"]
    assert {name: int(number) for name, number in drawn} == real


def test_the_code_was_read() -> None:
    assert len(in_the_code()) > 80
