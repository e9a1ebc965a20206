"""A page performed as a reader would: its files written, its commands typed at a terminal, its output compared.

In a page, ``<!-- file: PATH -->`` above a block says that the block is that file. In ``console`` blocks a line that
begins with ``$ `` is a command (continued by lines that begin with ``> ``), and the lines below it are what it prints.
What is shown must be printed, line by line and in that order; more may be printed. ``…`` stands for anything. A command
must end well, unless the next one is ``echo $?``, which shows how it ended.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import Code, blocks

SECONDS = 60.0
_ASKS = "[y/N]: "
_SHOW_CODE = "echo $?"

_PLAIN = (
    # What differs from run to run and from machine to machine, and what stands for it.
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?"), "T"),
    (re.compile(r"\b20\d{12}(?=_)"), "VERSION"),
    (re.compile(r"_\d{13}\b"), "_N"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), "N s"),
    (re.compile(r"(?<![/\w.-])[\w.-]+@[\w.-]+:\d+\b"), "WHO"),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"\b(SQLite|PostgreSQL|Python|Bascule) \d+(\.\d+)*"), r"\1 N"),
    (re.compile(r"[0-9a-f]{64}"), "HASH"),
    (re.compile(r" {2,}"), "  "),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line typed, and what the page says it prints."""

    place: str
    text: str
    shown: Sequence[str]

    @property
    def answers(self) -> int:
        """How often the page shows a question answered with yes."""
        return sum(line.rstrip().endswith(f"{_ASKS}y") for line in self.shown)


@dataclass(slots=True, kw_only=True)
class Reader:
    """Somebody at a terminal, in a folder."""

    folder: Path
    environment: Mapping[str, str]
    real: Mapping[str, str] = field(default_factory=dict)
    """What stands in the page → what it is here: addresses, for example."""
    _code: int = 0

    def perform(self, page: Path) -> None:
        """Do what the page says. Raises AssertionError where something else happens."""
        for block in blocks(page):
            if block.file is not None:
                self._write(block)
            elif block.language == "console":
                self._type_all(list(commands(block)))

    def _write(self, block: Code) -> None:
        assert block.file is not None
        matches = sorted(self.folder.glob(block.file))
        path = matches[0] if matches else self.folder / block.file
        assert "*" not in str(path), f"{block}: no file matches {block.file}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._as_real(block.text), encoding="utf-8")

    def _type_all(self, typed: Sequence[Command]) -> None:
        for number, command in enumerate(typed):
            printed = self._type(command)
            following = typed[number + 1].text if number + 1 < len(typed) else ""
            told = f"{command.place}: $ {command.text}\nended with {self._code} and printed:\n{printed}"
            assert self._code == 0 or following == _SHOW_CODE, told
            missing = first_missing(command.shown, printed.splitlines())
            assert missing is None, f"{told}\nThe page shows this line too: {missing}"

    def _type(self, command: Command) -> str:
        state = self.folder.parent / "shell-state"
        script = (
            f'[ -f "{state}" ] && . "{state}"; (exit {self._code})\n{self._as_real(command.text)}\n'
            f'code=$?; export -p > "{state}"; echo "cd \'$PWD\'" >> "{state}"; exit $code'
        )
        master, slave = pty.openpty()
        _do_not_echo_controls(slave)
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**self.environment, "NO_COLOR": "1", "TERM": "dumb", "PAGER": "cat"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        try:
            printed = self._listen(master, process, command.answers)
        finally:
            os.close(master)
            process.kill()
            self._code = process.wait()
        return self._as_shown(printed)

    def _listen(self, master: int, process: subprocess.Popen[bytes], answers: int) -> str:
        printed = b""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            ready, _, _ = select.select([master], [], [], 0.05)
            if not ready:
                if process.poll() is not None:
                    return printed.decode(errors="replace").replace("\r\n", "\n")
                continue
            try:
                some = os.read(master, 65536)
            except OSError:
                some = b""  # the other side was closed by everybody
            if not some:
                process.wait(SECONDS)
                return printed.decode(errors="replace").replace("\r\n", "\n")
            printed += some
            if answers and printed.endswith(_ASKS.encode()):
                answers -= 1
                os.write(master, b"y\n")
        raise AssertionError(f"no end within {SECONDS:g} s; so far:\n{printed.decode(errors='replace')}")

    def _as_real(self, text: str) -> str:
        for shown, real in self.real.items():
            text = text.replace(shown, real)
        return text

    def _as_shown(self, text: str) -> str:
        for shown, real in self.real.items():
            text = text.replace(real, shown)
        return text


def commands(block: Code) -> Iterator[Command]:
    """The commands of a console block with what each prints."""
    text: str | None = None
    shown: list[str] = []
    place = ""
    for number, line in enumerate(block.text.splitlines()):
        if line.startswith("$ "):
            if text is not None:
                yield Command(place=place, text=text, shown=shown)
            text, shown, place = line[2:], [], f"{block.page.name}:{block.line + number}"
        elif line.startswith("> ") and text is not None and not shown:
            text += f"\n{line[2:]}"
        else:
            shown.append(line)
    if text is not None:
        yield Command(place=place, text=text, shown=shown)


def first_missing(shown: Sequence[str], printed: Sequence[str]) -> str | None:
    """The first of the lines shown that was not printed behind those before it; None when all were."""
    left = iter([plain(line) for line in printed])
    for line in shown:
        wanted = plain(line)
        if not wanted or wanted == "…":
            continue
        pattern = re.compile(".*".join(map(re.escape, wanted.split("…"))))
        if not any(pattern.fullmatch(each) for each in left):
            return line
    return None


def plain(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, word in _PLAIN:
        line = pattern.sub(word, line)
    return line.rstrip()


def programs(folder: Path) -> Path:
    """A folder with the command `bascule` of this checkout in it, to stand first on the PATH."""
    folder.mkdir()
    script = folder / "bascule"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bascule "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return folder


def _do_not_echo_controls(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHOCTL
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
