"""Native Python files are read by their syntax tree and never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bascule.domain.migration import Migration
from bascule.errors import SourceError
from tests.unit.sources.folders import read_native

UP = "def up(op):\n    op.execute('SELECT 1')\n"


def read(folder: Path, text: str) -> Migration:
    return read_native(folder, text, name="1_x.py")


def test_a_whole_migration(tmp_path: Path) -> None:
    text = (
        '"""Users.\n\n    They log in by mail.\n"""\n'
        'depends_on = ["a", "b", "a"]\ntransactional = False\n\n'
        f"{UP}\n\ndef down(op):\n    op.execute('SELECT 2')\n"
    )

    migration = read(tmp_path, text)

    assert migration.ref.language == "python"
    assert migration.description == "Users.\n\nThey log in by mail."
    assert migration.depends == ("a", "b")
    assert migration.irreversible is None
    assert migration.down is not None
    for script in (migration.up, migration.down):
        assert script.language == "python"
        assert script.text == text
        assert script.line == 1
        assert not script.transaction
        assert not script.empty


def test_nothing_in_the_file_is_run(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'trap')!r}, 'w')"

    read(tmp_path, f"{trap}\nraise SystemExit\n\n@{trap}\ndef up(op, x={trap}):\n    pass\n\nclass A:\n    {trap}\n")

    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("depends", ["'a'", "('a',)", "['a']", "None", "[]"])
def test_dependencies_may_be_written_in_several_ways(tmp_path: Path, depends: str) -> None:
    wanted = {"None": None, "[]": ()}.get(depends, ("a",))

    assert read(tmp_path, f"depends_on: list[str] = {depends}\n{UP}").depends == wanted


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("depends_on = names()", "a list of names"),
        ("depends_on = ['a'] + OTHERS", "a list of names"),
        ("depends_on = [1]", "a list of names"),
        ("transactional = 1", "True or False"),
        ("irreversible = True", "a text"),
        ("irreversible = f'{x}'", "a text"),
    ],
)
def test_a_setting_that_would_have_to_be_computed_is_refused(tmp_path: Path, line: str, form: str) -> None:
    with pytest.raises(SourceError, match=f"line 2: `.*` must be {form}, written out as a literal"):
        read(tmp_path, f"import os\n{line}\n{UP}")


@pytest.mark.parametrize("body", ["pass", "...", '"""Nothing to undo."""', "return", "return None", "'x'\n    pass"])
def test_a_down_that_does_nothing_is_empty(tmp_path: Path, body: str) -> None:
    migration = read(tmp_path, f"{UP}\ndef down(op):\n    {body}\n")

    assert migration.down is not None
    assert migration.down.empty
    assert migration.irreversible is None


@pytest.mark.parametrize(
    "body", ["return op.drop_table('t')", "return [op.drop_table('t')]", "op.drop_table('t')", "x = 1"]
)
def test_a_down_that_does_something_is_not_empty(tmp_path: Path, body: str) -> None:
    migration = read(tmp_path, f"{UP}\ndef down(op):\n    {body}\n")

    assert migration.down is not None
    assert not migration.down.empty


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise NotImplementedError", "down() raises NotImplementedError"),
        ("raise NotImplementedError()", "down() raises NotImplementedError"),
        ("raise RuntimeError('the rows are gone')", "the rows are gone"),
        ('"""No."""\n    raise op.Irreversible("no", "way")', "no"),
        ("raise", "down() raises"),
    ],
)
def test_a_down_that_only_raises_is_no_way_back(tmp_path: Path, body: str, reason: str) -> None:
    migration = read(tmp_path, f"{UP}\ndef down(op):\n    {body}\n")

    assert migration.down is None
    assert migration.irreversible == reason


def test_an_irreversible_migration_has_no_down_even_if_one_is_written(tmp_path: Path) -> None:
    migration = read(tmp_path, f"irreversible = 'rows are merged'\n{UP}\ndef down(op):\n    op.execute('x')\n")

    assert migration.down is None
    assert migration.irreversible == "rows are merged"
    assert "`irreversible` is declared, so down() (line 5) is never run" in migration.warnings[0]


def test_an_up_that_does_nothing_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "def up(op):\n    pass\n").up.empty


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("async def up(op): pass", "is `async`"),
        ("def up(): pass", "must take one argument"),
        ("def up(op, other): pass", "must take one argument"),
        ("def up(op, *, other): pass", "must take one argument"),
        ("def up(op): yield 1", "yields, so calling it would do nothing"),
        ("def up(op):\n    if op:\n        yield from op", "yields, so calling it would do nothing"),
    ],
)
def test_a_function_that_cannot_be_called_with_op_is_refused(tmp_path: Path, head: str, problem: str) -> None:
    with pytest.raises(SourceError, match=problem) as refusal:
        read(tmp_path, f"{head}\n")

    assert refusal.value.details["line"] == 1


@pytest.mark.parametrize(
    "head",
    [
        "def up(op, other=1): pass",
        "def up(*args): pass",
        "def up(op, /): pass",
        "def up(op):\n    def rows():\n        yield 1",
    ],
)
def test_other_signatures_that_take_one_argument_are_fine(tmp_path: Path, head: str) -> None:
    read(tmp_path, f"{head}\n")


def test_without_up_it_is_no_migration(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no `def up\(op\):` at its top level"):
        read(tmp_path, "class Migration:\n    def up(self, op): pass\n")


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("from alembic import op\nrevision = 'a'\ndown_revision = None\ndef upgrade(): pass\n", "alembic"),
        ("from django.db import migrations\nclass Migration(migrations.Migration): pass\n", "django"),
        ("from yoyo import step\nsteps = [step('SELECT 1')]\n", "yoyo"),
    ],
)
def test_another_tools_migration_is_named(tmp_path: Path, text: str, tool: str) -> None:
    with pytest.raises(SourceError, match=f"written for {tool}, a format that Bascule does not read yet"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [("def up(op:\n", "line 1: not Python"), ("x = (\n" * 3, "not Python"), ("x = " + "(" * 300 + ")" * 300, "1_x.py")],
)
def test_what_is_not_python_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SourceError) as refusal:
        read(tmp_path, text)

    assert words in refusal.value.message


def test_a_doubtful_backslash_is_no_error(tmp_path: Path) -> None:
    assert not read(tmp_path, "def up(op):\n    op.execute('\\d')\n").up.empty


def test_a_file_may_hold_anything_else_beside(tmp_path: Path) -> None:
    text: Any = f"import os\nfrom x import y\nif os:\n    depends_on = z()\na, b = 1, 2\nobj.depends_on = z()\n{UP}"

    assert read(tmp_path, text).depends is None
