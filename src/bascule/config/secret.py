"""Secrets: held without being shown, fetched when needed, and taken out of every text that leaves the process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bascule.config.url import HIDDEN, mask
from bascule.errors import ConfigError

COMMAND_TIMEOUT = 30.0
"""Seconds a password command may take."""

# libpq itself says "password authentication failed": hiding that word would hide the cause and protect nothing.
_ORDINARY_WORDS = frozenset({"password"})
_ORCHESTRATOR_FOLDERS = ("/run/secrets/", "/var/run/secrets/")


class Secret:
    """A secret and the setting it came from. Its `repr` and `str` show the setting only."""

    def __init__(self, *, setting: str, text: str = "", file: Path | None = None, command: str = "") -> None:
        self.setting = setting
        self.file = file
        self.command = command
        self._text = text
        self._known: list[str] = [text] if text else []

    def __repr__(self) -> str:
        return f"<secret from {self.setting}>"

    @property
    def changes(self) -> bool:
        """It comes from a command or a file, so it is asked for again with each new connection."""
        return self.file is not None or bool(self.command)

    @property
    def known(self) -> tuple[str, ...]:
        """What it has been so far in this process, for hiding."""
        return tuple(self._known)

    def reveal(self) -> str:
        """The secret as it is now. Raises `ConfigError` when the file or the command does not answer."""
        if self.command:
            answer = _run(self.command, self.setting)
        elif self.file is not None:
            answer = _read(self.file, self.setting)
        else:
            return self._text
        if answer not in self._known:
            self._known.append(answer)
        return answer

    def open_to_everybody(self) -> bool:
        """The file can be read by every user of the machine. What an orchestrator mounts is meant to be so."""
        if self.file is None or str(self.file).startswith(_ORCHESTRATOR_FOLDERS):
            return False
        try:
            return bool(self.file.stat().st_mode & 0o004)
        except OSError:
            return False


def scrub(text: str, secrets: Iterable[str], *, harmless: Sequence[str] = ()) -> str:
    """The text without any of the secrets, and with every address in it masked.

    A secret that equals something that is shown anyway (`harmless`: user, host or name of the database) stays: hiding
    it would hide the message and protect nothing.
    """
    text = mask(text)
    for secret in sorted(set(secrets), key=len, reverse=True):
        if not secret or secret in harmless or secret in _ORDINARY_WORDS:
            continue
        for form in {secret, _percent(secret)}:
            text = _without(text, form)
    return text


def _without(text: str, secret: str) -> str:
    if len(secret) >= 8:
        return text.replace(secret, HIDDEN)
    # A short one would take parts of ordinary words with it.
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)


def _percent(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _read(file: Path, setting: str) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(
            f"The file that {setting} names cannot be read: {file}: {exc.strerror}.",
            hint="Check the path and who may read the file.",
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"The file that {setting} names is not UTF-8 text: {file}.") from exc
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ConfigError(f"The file that {setting} names is empty: {file}.")
    return secret


def _run(command: str, setting: str) -> str:
    """The first line that the command prints. It runs without a shell, and nobody answers its questions."""
    import shlex
    import subprocess

    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise ConfigError(
            f"{setting} cannot be split into words: {exc}.", hint="It is run without a shell; quote as for one."
        ) from exc
    # Only the program is named in messages: its arguments may be credentials themselves.
    program = words[0] if words else ""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT
        )
    except (OSError, IndexError, ValueError) as exc:
        raise ConfigError(
            f"The command of {setting} could not be started: {program or 'it is empty'}.",
            hint="Name a program on the PATH. It is run without a shell: pipes and variables need sh -c '…'.",
        ) from exc
    except subprocess.TimeoutExpired as exc:
        raise ConfigError(
            f"The command of {setting} did not answer within {COMMAND_TIMEOUT:g} s: {program}.",
            hint="It gets no terminal and no input; a command that asks a question never ends.",
        ) from exc
    if done.returncode != 0:
        raise ConfigError(
            f"The command of {setting} ended with exit code {done.returncode}: {program}.",
            hint="Run it by hand to see why.",
        )
    secret = done.stdout.split("\n", 1)[0].removesuffix("\r")
    if not secret:
        raise ConfigError(
            f"The command of {setting} printed nothing: {program}.", hint="The first line it prints is the secret."
        )
    return secret
