"""Executing the author's file, and saying where in it something went wrong."""

from __future__ import annotations

import logging
import sys

import pytest

from bascule.databases.operations import author_line, load
from bascule.databases.operations.author import call
from bascule.errors import MigrationFailed, SourceError
from tests.unit.operations.authors import script, up


def test_the_text_that_was_read_is_what_runs_with_its_own_line_numbers() -> None:
    loaded = load(script("def up(op):\n    op.append(__file__)\n"))
    found: list[str] = []
    loaded.function("up").body(found)
    assert found == ["migrations/0001_test.py"]


def test_a_file_may_use_dataclasses_and_postponed_annotations() -> None:
    text = """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import ClassVar

        @dataclass
        class Row:
            kind: ClassVar[str] = "row"
            id: int = 0

        def up(op):
            op.append(Row(id=1).id)
    """
    found: list[int] = []
    load(script(text)).function("up").body(found)
    assert found == [1]


def test_a_file_that_raises_is_named_with_line_and_the_authors_own_words() -> None:
    with pytest.raises(SourceError) as caught:
        load(script("x = 1\ny = x / 0\n"))
    error = caught.value
    assert error.message == (
        "migrations/0001_test.py, line 2: the file cannot be executed: ZeroDivisionError: division by zero."
    )
    assert error.details["line"] == 2
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert error.state == "unchanged"


def test_a_file_that_raises_leaves_no_module_behind() -> None:
    before = set(sys.modules)
    with pytest.raises(SourceError):
        load(script("raise SystemExit(3)"))
    assert set(sys.modules) == before


def test_a_file_that_is_not_python_is_named_with_its_line() -> None:
    with pytest.raises(SourceError, match=r"line 3: the file cannot be executed: SyntaxError"):
        load(script("\n\ndef up(op:\n"))


def test_a_missing_library_is_named_in_the_hint() -> None:
    with pytest.raises(SourceError) as caught:
        load(script("import no_such_library\n"))
    assert caught.value.hint.startswith("Install no_such_library beside Bascule")


@pytest.mark.parametrize("text", ["", "up = 3", "async def up(op): ...", "def up(op):\n    yield"])
def test_an_up_that_would_do_nothing_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match=r"def up\(op\)|no function up|not a plain function"):
        load(script(text)).function("up")


def test_a_function_that_raises_is_named_with_its_innermost_line() -> None:
    function = up("""
        def inner():
            raise ValueError("too many rows.")
        inner()
    """)
    with pytest.raises(MigrationFailed) as caught:
        call(function, object(), state=lambda: "changed")
    error = caught.value
    assert error.message == "migrations/0001_test.py, line 5: up(op) raised ValueError: too many rows."
    assert (error.state, error.code) == ("changed", "function_raised")
    assert isinstance(error.__cause__, ValueError)
    assert author_line(error.__cause__, function.path) == 5


def test_an_error_that_never_was_in_the_file_has_no_line() -> None:
    assert author_line(ValueError(), "migrations/0001_test.py") is None


def test_a_function_that_wants_to_exit_has_failed() -> None:
    with pytest.raises(MigrationFailed, match="SystemExit: 1"):
        call(up("raise SystemExit(1)"), object(), state=lambda: "unchanged")


def test_ctrl_c_is_nobodys_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        call(up("raise KeyboardInterrupt"), object(), state=lambda: "unchanged")


def test_logging_goes_on_after_a_file_that_disabled_the_existing_loggers() -> None:
    logger, root = logging.getLogger("bascule.test_author"), logging.getLogger()
    before = (root.handlers[:], root.level)
    text = """
        import logging.config
        logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})
    """
    load(script(text))
    assert not logger.disabled
    assert (root.handlers, root.level) == before
