"""Encryption with age: whose key opens a backup, and the streams into and out of it.

The stored bytes are plain age files, so the standard tool opens them too: ``age -d -i KEYFILE FILE | zstd -d``.
A machine that only takes backups needs the recipient (``age1…``, which is no secret) and cannot read them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bascule.errors import ConfigError, Refused
from bascule.ports.dump import Keys

KEY = "BASCULE_BACKUP_KEY"
KEY_FILE = "BASCULE_BACKUP_KEY_FILE"
RECIPIENT = "BASCULE_BACKUP_RECIPIENT"

_IDENTITY_PREFIX = "AGE-SECRET-KEY-"
_LARGEST_KEY_FILE = 1 << 20
_HINT = "Make one with `age-keygen`: the line AGE-SECRET-KEY-… opens backups, the line age1… is enough to take them."


def encryption_of(keys: Keys | None) -> Encryption | None:
    """The keys as the streams want them."""
    return Encryption(recipients=keys.recipients, identities=keys.identities) if keys else None


class Readable(Protocol):
    """What age reads from."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""


class Writable(Protocol):
    """What age writes to."""

    def write(self, data: bytes, /) -> int:
        """Takes all of it."""

    def flush(self) -> None:
        """Called at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """Whom a backup is encrypted to, and what opens it."""

    recipients: tuple[str, ...] = ()
    """``age1…`` or ``ssh-ed25519 …``: no secrets, so they may be handed to worker processes."""
    identities: tuple[str, ...] = field(default=(), repr=False)
    """``AGE-SECRET-KEY-…``. Empty where backups can be taken but not read."""

    @property
    def opens(self) -> bool:
        """Whether there is a key to read with."""
        return bool(self.identities)

    def public(self) -> Encryption:
        """The same without secrets, for processes that only write."""
        return Encryption(recipients=self.recipients)

    @staticmethod
    def from_text(text: str, *, origin: str) -> Encryption:
        """From the text of a key, or of age's identity file: a line for each key, ``#`` begins a comment.

        `origin` is named in errors; the text never is. Raises ConfigError.
        """
        lines = [line.strip() for line in text.splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        identities = tuple(key for key in keys if key.startswith(_IDENTITY_PREFIX))
        given = tuple(key for key in keys if not key.startswith(_IDENTITY_PREFIX))
        if not keys:
            raise ConfigError(f"There is no key in {origin}.", code="backup_key", hint=_HINT)
        derived = tuple(_recipient_of(identity, origin) for identity in identities)
        for recipient in given:
            _recipient(recipient, origin)
        return Encryption(recipients=tuple(dict.fromkeys(given + derived)), identities=identities)

    @staticmethod
    def from_file(path: str, *, origin: str = KEY_FILE) -> Encryption:
        """From a file that only its owner may read, where it holds a secret. Raises ConfigError."""
        text, mode = _read_key_file(path, origin)
        found = Encryption.from_text(text, origin=f"{path} ({origin})")
        if found.opens and mode & 0o077:
            raise ConfigError(
                f"The key file {path} ({origin}) may be read by others: its mode is {stat.S_IMODE(mode):04o}.",
                code="backup_key_exposed",
                hint=f"Take the rights away with `chmod 600 {path}`; if others could read it, make a new key.",
            )
        return found

    @staticmethod
    def from_environment(environ: Mapping[str, str]) -> Encryption | None:
        """What the variables say, None where they say nothing. Raises ConfigError."""
        key, file, recipient = (environ.get(name, "").strip() for name in (KEY, KEY_FILE, RECIPIENT))
        if key and file:
            raise ConfigError(f"Both {KEY} and {KEY_FILE} are set.", code="backup_key", hint="Unset one of them.")
        found = [Encryption.from_text(key, origin=KEY)] if key else []
        found += [Encryption.from_file(file)] if file else []
        # Several recipients in one variable stand in lines, or with commas between them.
        found += [Encryption.from_text(recipient.replace(",", "\n"), origin=RECIPIENT)] if recipient else []
        if not found:
            return None
        return Encryption(
            recipients=tuple(dict.fromkeys(each for one in found for each in one.recipients)),
            identities=tuple(dict.fromkeys(each for one in found for each in one.identities)),
        )


def new_key() -> tuple[str, str]:
    """A new identity, which is a secret, and its recipient."""
    pyrage = _library()
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def encrypt(source: Readable, sink: Writable, encryption: Encryption) -> None:
    """From source to sink, 64 KiB at a time. What source and sink raise is raised. Raises ConfigError."""
    pyrage = _library()
    recipients = [_recipient(text, "the settings") for text in encryption.recipients]
    if not recipients:
        raise ConfigError("Backups are to be encrypted, and there is no key.", code="backup_key", hint=_HINT)
    guarded = _Guard(source.read, sink.write, sink.flush)
    try:
        pyrage.encrypt_io(guarded, guarded, recipients)
    except (pyrage.EncryptError, OSError):
        guarded.reraise()
        raise


def decrypt(source: Readable, sink: Writable, encryption: Encryption | None, *, path: str) -> None:
    """From source to sink. What source and sink raise is raised.

    Raises `Refused`: ``backup_key_missing``, ``backup_key_wrong``, ``backup_damaged`` (the bytes were changed or cut
    off, which age finds at the latest 64 KiB after).
    """
    if encryption is None or not encryption.opens:
        raise Refused(
            f"The backup's {path} is encrypted, and there is no key to open it. Nothing was touched.",
            code="backup_key_missing",
            hint=f"Set {KEY_FILE} to a file with the line AGE-SECRET-KEY-… that belongs to it.",
        )
    pyrage = _library()
    identities = [_identity(text, "the settings") for text in encryption.identities]
    guarded = _Guard(source.read, sink.write, sink.flush)
    try:
        pyrage.decrypt_io(guarded, guarded, identities)
    except (pyrage.DecryptError, OSError) as exc:
        guarded.reraise()
        if "No matching keys" in str(exc):
            raise Refused(
                f"The backup's {path} is encrypted to another key. Nothing was touched.",
                code="backup_key_wrong",
                hint=f"Set {KEY_FILE} to the key that was in use when the backup was taken.",
            ) from exc
        raise Refused(
            f"The backup's {path} cannot be decrypted: it is damaged or not an age file.",
            code="backup_damaged",
            hint="Use another backup, and look at the medium this one lies on.",
        ) from exc


class _Guard:
    """Keeps what its two ends raised: the library tells of it as an error of its own, without the reason."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[bytes], int], flush: Callable[[], None]) -> None:
        self._read, self._write, self._flush = read, write, flush
        self._raised: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._read(size)
        except BaseException as exc:
            self._raised = exc
            raise

    def write(self, data: bytes) -> int:
        try:
            return self._write(data)
        except BaseException as exc:
            self._raised = exc
            raise

    def flush(self) -> None:
        self._flush()

    def reraise(self) -> None:
        if self._raised is not None:
            raise self._raised


def _library() -> Any:
    try:
        import pyrage  # type: ignore[import-untyped]
    except ImportError as exc:
        raise ConfigError(
            "Encrypted backups need the package pyrage, which is not installed.",
            code="extra_missing",
            hint='Install it with `pip install "bascule[encryption]"`.',
        ) from exc
    return pyrage


def _recipient(text: str, origin: str) -> Any:
    pyrage = _library()
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as exc:
        # The text may be a secret that was put in the wrong place, or misspelt: it is not shown.
        raise ConfigError(f"A line in {origin} is not a key of age.", code="backup_key", hint=_HINT) from exc


def _identity(text: str, origin: str) -> Any:
    pyrage = _library()
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        # Without its cause, which might show the text.
        raise ConfigError(f"A secret key in {origin} is misspelt.", code="backup_key", hint=_HINT) from None


def _recipient_of(identity: str, origin: str) -> str:
    return str(_identity(identity, origin).to_public())


def _read_key_file(path: str, origin: str) -> tuple[str, int]:
    try:
        # The opened file is what is looked at, so that it cannot be exchanged in between.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{path} ({origin}) is not a file.", code="backup_key", hint=_HINT)
            return file.read(_LARGEST_KEY_FILE).decode("utf-8"), mode
    except OSError as exc:
        raise ConfigError(
            f"The key file {path} ({origin}) cannot be read: {exc.strerror}.", code="backup_key", hint=_HINT
        ) from exc
    except UnicodeDecodeError:
        raise ConfigError(f"The key file {path} ({origin}) is not text.", code="backup_key", hint=_HINT) from None
