"""Where words go: results to stdout, everything else to stderr, and in JSON mode one document alone on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from bascule.errors import BasculeError


def _masked(text: str) -> str:
    """Before the settings are known no secret is, but what stands in an address."""
    from bascule.config.url import mask

    return mask(text)


_LONG = 20
"""Entries of a list."""


@dataclass(slots=True, kw_only=True)
class Output:
    """The two streams of one invocation. A reader that went away (`| head`) ends the output, not the work."""

    json: bool = False
    quiet: int = 0
    clean: Callable[[str], str] = _masked
    """Takes secrets out of a text; set once the settings are known."""
    followed: bool = False
    """The person who reads the result has seen each run begin and end on the same screen."""
    result: TextIO | None = None
    """Where the result goes; None: stdout."""
    _through: list[Callable[[str], None]] = field(default_factory=list)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """In JSON mode the document is alone on stdout: whatever else is printed inside, by an author's Python, a hook
        or a library, goes to stderr.
        """
        stdout = sys.stdout
        if not self.json or stdout is None or sys.stderr is None:
            yield
            return
        kept = _own_copy(stdout)
        self.result, sys.stdout = kept or stdout, sys.stderr
        try:
            yield
        finally:
            sys.stdout, self.result = stdout, None
            if kept is not None:
                kept.flush()
                os.dup2(kept.fileno(), 1)
                kept.close()

    def text(self, text: str = "") -> None:
        """A line of the result, for people. Nothing in JSON mode, where the document is the result."""
        if not self.json:
            self._write("stdout", text)

    def document(self, document: Any, *, exactly: bool = False) -> None:
        """The one JSON document. Nothing without ``--json``. `exactly`: it is to be run, so nothing is taken out."""
        if self.json:
            text = _written(document)
            # Text by text, because a secret may be a word of JSON's own, or be written otherwise within it.
            if not exactly and ("\\" in text or self.clean(text) != text):
                text = _written(self._cleaned(document))
            self._write("stdout", text)

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._cleaned(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(each) for each in value]
        return value if value is None or isinstance(value, bool | int | float) else self.clean(str(value))

    def note(self, text: str) -> None:
        """A line beside the result. ``-q`` silences it."""
        if not self.quiet:
            self.insist(text)

    def warn(self, text: str) -> None:
        """A warning. ``-qq`` silences it."""
        if self.quiet < 2:
            self.insist(f"{self.colored('Warning', 33)}: {text}")

    def insist(self, text: str) -> None:
        """A line on stderr, whatever was asked for."""
        text = self.clean(text)
        if self._through:
            self._through[-1](text)
        else:
            self.straight(text)

    def straight(self, text: str) -> None:
        """A line on stderr, past whatever is drawn there."""
        self._write("stderr", self.clean(text))

    @contextmanager
    def through(self, write: Callable[[str], None]) -> Iterator[None]:
        """Lines for stderr go through `write`, which takes away what it draws there before it hands them on."""
        self._through.append(write)
        try:
            yield
        finally:
            self._through.pop()

    def colored(self, text: str, code: int) -> str:
        """The text in a colour on a terminal, as it is elsewhere."""
        if os.environ.get("NO_COLOR") or not on_a_terminal(sys.stderr):
            return text
        return f"\x1b[{code}m{text}\x1b[0m"

    def _write(self, name: str, text: str) -> None:
        stream: TextIO | None = self.result if name == "stdout" and self.result is not None else getattr(sys, name)
        if stream is None:
            # The process was started with that stream closed.
            return
        try:
            print(text, file=stream, flush=True)
        except BrokenPipeError:
            forget(stream)
        except OSError as problem:
            forget(stream)
            if name == "stdout":
                raise BasculeError(
                    f"The result could not be written: {problem.strerror}.",
                    code="output",
                    state="unknown",
                    hint="The command itself had come to its end; bascule status shows where the database stands.",
                ) from problem
        except UnicodeEncodeError:
            print(
                text.encode(stream.encoding or "ascii", "backslashreplace").decode(stream.encoding or "ascii"),
                file=stream,
            )


def _written(document: Any) -> str:
    """For people's eyes too; of a long list each entry is one line, which takes a tenth of the time."""
    import json

    if not (isinstance(document, dict) and any(_is_long(value) for value in document.values())):
        return json.dumps(document, ensure_ascii=False, indent=2, default=str)
    brief = json.JSONEncoder(ensure_ascii=False, default=str).encode
    parts = []
    for key, value in document.items():
        if _is_long(value):
            told = "[\n    " + ",\n    ".join(map(brief, value)) + "\n  ]"
        else:
            told = json.dumps(value, ensure_ascii=False, indent=2, default=str).replace("\n", "\n  ")
        parts.append(f"  {brief(key)}: {told}")
    return "{\n" + ",\n".join(parts) + "\n}"


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > _LONG


def _own_copy(stdout: TextIO) -> TextIO | None:
    """Where the process's stdout led, while that leads to stderr, for child processes too; None where stdout is not the
    process's own.
    """
    try:
        if stdout.fileno() != 1:
            return None
        stdout.flush()
        kept = os.dup(1)
        os.dup2(2, 1)
    except (OSError, ValueError):
        return None
    return open(kept, "w", encoding=stdout.encoding, errors=stdout.errors)


def on_a_terminal(*streams: TextIO | None) -> bool:
    """All of them are terminals; one that is closed is none."""
    return all(stream is not None and stream.isatty() for stream in streams)


def forget(stream: TextIO) -> None:
    """Nobody reads this stream any more: send the rest to nowhere, so that not even the flush at exit complains."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
