"""Native Python files, read by their syntax tree. Nothing in them is run: not the module, not a decorator.

What is read: ``def up(op)`` (required), ``def down(op)``, the docstring as description, and three names that must be
written out as literals, since a value that has to be computed cannot be read: ``depends_on`` (names), ``transactional``
(True unless False) and ``irreversible`` (why there is no way back).
A ``down`` that does nothing is a way back of nothing (`Script.empty`); one that only raises is no way back, and its
message is the reason.
"""

from __future__ import annotations

import ast
import warnings as python_warnings
from collections.abc import Mapping, Sequence
from typing import Any

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.errors import SourceError
from bascule.sources.foreign import tool_of_python
from bascule.sources.reading import decode, digest

_SETTINGS = ("depends_on", "transactional", "irreversible")


def read_python(ref: MigrationRef, data: bytes) -> Migration:
    """A native Python file from its bytes. Raises `SourceError` with file and line."""
    text = decode(data, ref.path)
    module = _parse(text, ref.path)
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    if "up" not in functions:
        raise _no_up(text, ref.path)
    for name in ("up", "down"):
        if name in functions:
            _require_callable(functions[name], ref.path)
    settings = _settings(module, ref.path)
    transaction = settings["transactional"]
    up = Script(
        text=text, path=ref.path, transaction=transaction, language="python", empty=_does_nothing(functions["up"])
    )
    warnings: list[str] = []
    down, irreversible = _way_back(functions.get("down"), settings["irreversible"], up, warnings)
    return Migration(
        ref=ref,
        up=up,
        down=down,
        exact_hash=digest(data),
        depends=settings["depends_on"],
        description=ast.get_docstring(module) or "",
        irreversible=irreversible,
        warnings=tuple(warnings),
    )


def _parse(text: str, path: str) -> ast.Module:
    try:
        with python_warnings.catch_warnings():
            # A backslash that Python finds doubtful is the author's affair; here only the shape of the file counts.
            python_warnings.simplefilter("ignore")
            return ast.parse(text, filename=path)
    except SyntaxError as exc:
        raise SourceError(
            f"{path}, line {exc.lineno}: not Python: {exc.msg}.",
            code="syntax",
            hint="Mend the file; it was not run.",
            details={"path": path, "line": exc.lineno},
        ) from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        raise SourceError(
            f"{path} cannot be read as Python: {str(exc) or 'nested too deeply'}.",
            code="syntax",
            details={"path": path},
        ) from exc


def _no_up(text: str, path: str) -> SourceError:
    tool = tool_of_python(text)
    if tool:
        return SourceError(
            f"{path} is written for {tool}, a format that Bascule does not read yet.",
            code="unsupported_format",
            hint="Move it out of this folder, or give it `def up(op):` and `def down(op):`.",
            details={"path": path, "format": tool},
        )
    return SourceError(
        f"{path} has no `def up(op):` at its top level.",
        code="no_up",
        hint="Write one, or rename the file so that it does not begin with a number if it is no migration.",
        details={"path": path},
    )


def _require_callable(function: ast.FunctionDef | ast.AsyncFunctionDef, path: str) -> None:
    """`up` and `down` are called with one argument and must have done their work when they return."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    takes_one = (bool(positional) or arguments.vararg is not None) and required <= 1
    if isinstance(function, ast.AsyncFunctionDef):
        problem = "is `async`; the engine is synchronous"
    elif not takes_one or None in arguments.kw_defaults:
        problem = "must take one argument, `op`"
    elif any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function)):
        problem = "yields, so calling it would do nothing"
    else:
        return
    raise SourceError(
        f"{path}, line {function.lineno}: {function.name}() {problem}.",
        code="broken_migration",
        hint=f"Write `def {function.name}(op):`.",
        details={"path": path, "line": function.lineno},
    )


def _own_nodes(function: ast.AST) -> Sequence[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    found: list[ast.AST] = []
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        found.append(node)
        waiting.extend(ast.iter_child_nodes(node))
    return found


def _settings(module: ast.Module, path: str) -> dict[str, Any]:
    values: dict[str, Any] = {"depends_on": None, "transactional": True, "irreversible": None}
    for node in module.body:
        for name, value in _assignments(node).items():
            values[name] = _setting(name, value, path)
    return values


def _assignments(node: ast.stmt) -> Mapping[str, ast.expr]:
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets, value = [node.target], node.value
    else:
        return {}
    return {target.id: value for target in targets if isinstance(target, ast.Name) and target.id in _SETTINGS}


def _setting(name: str, node: ast.expr, path: str) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        value = ...
    if name == "transactional" and isinstance(value, bool):
        return value
    if name == "irreversible" and (value is None or isinstance(value, str)):
        return value or None
    if name == "depends_on":
        if value is None:
            return None
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(dict.fromkeys(value))
    form = {"depends_on": "a list of names", "transactional": "True or False", "irreversible": "a text"}[name]
    raise SourceError(
        f"{path}, line {node.lineno}: `{name}` must be {form}, written out as a literal.",
        code="broken_migration",
        hint="The file is read without being run, so nothing can be computed here.",
        details={"path": path, "line": node.lineno},
    )


def _way_back(
    function: ast.FunctionDef | ast.AsyncFunctionDef | None, irreversible: str | None, up: Script, warnings: list[str]
) -> tuple[Script | None, str | None]:
    if function is None:
        return None, irreversible
    reason = _refusal(function)
    if irreversible is not None or reason is not None:
        if reason is None and not _does_nothing(function):
            warnings.append(f"{up.path}: `irreversible` is declared, so down() (line {function.lineno}) is never run.")
        return None, irreversible if irreversible is not None else reason
    down = Script(
        text=up.text, path=up.path, transaction=up.transaction, language="python", empty=_does_nothing(function)
    )
    return down, None


def _work(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """The statements of a body without docstrings, `pass` and `...`."""
    return [
        node
        for node in function.body
        if not isinstance(node, ast.Pass) and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


def _does_nothing(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    work = _work(function)
    if work and isinstance(work[0], ast.Return):
        return work[0].value is None or isinstance(work[0].value, ast.Constant)
    return not work


def _refusal(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """What a body that only raises says; None for every other body."""
    work = _work(function)
    if not work or not isinstance(work[0], ast.Raise):
        return None
    raised = work[0].exc
    if isinstance(raised, ast.Call):
        for argument in raised.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and argument.value.strip():
                return argument.value.strip()
        raised = raised.func
    return f"down() raises {ast.unparse(raised)}" if raised is not None else "down() raises"
