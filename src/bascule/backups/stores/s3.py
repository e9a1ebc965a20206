"""Backups in a bucket of S3 or of anything that speaks its protocol.

Large objects go up in parts while they are made. A finished upload in parts would replace an object of the same name,
so a writer first claims the name with a small object that only one can create; it is removed at the end. A claim that
stays tells of a writer that died. Parts of an upload that was never finished are not listed among the objects: let the
bucket's lifecycle rules remove them (AbortIncompleteMultipartUpload).
"""

from __future__ import annotations

import builtins
import json
import os
import socket
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from bascule.backups.naming import segments
from bascule.errors import ConfigError, MigrationFailed, Refused
from bascule.ports.backup_store import Sink, StoredObject

_CLAIM = ".claim"
# A part is held in memory, several are on their way; 10,000 parts of it are 160 GB of compressed rows.
_PART = 16 << 20
_ON_THE_WAY = 2
_PIECE = 4 << 20
_ALLOWED = {"endpoint", "region"}
DEAD_AFTER = timedelta(hours=24)
"""A claim of another machine that is older is nobody's: no upload takes that long without being its own trouble."""


class S3Store:
    """A `BackupStore` at ``s3://bucket/prefix?endpoint=…&region=…``.

    Credentials come from the usual variables (AWS_ACCESS_KEY_ID…) or the machine's role, never from the address.
    """

    def __init__(self, address: str, *, dead_after: timedelta = DEAD_AFTER) -> None:
        """Raises ConfigError where the address or the installation is wrong; nothing is asked of the server."""
        self._bucket, self._prefix, options = _parts(address)
        query = f"?{urlencode(sorted(options.items()))}" if options else ""
        self.address = f"s3://{self._bucket}{'/' + self._prefix if self._prefix else ''}{query}"
        self._dead_after = dead_after
        self._store = _opened(self._bucket, self._prefix, options)

    @contextmanager
    def create(self, path: str) -> Generator[Sink, None, None]:
        segments(path)
        obstore = _library()
        claim = f"{path}{_CLAIM}"
        with self._mapped(path, writing=True):
            obstore.put(self._store, claim, _claim(), mode="create")
        try:
            if self.size(path) is not None:
                raise _exists(path)
            with self._mapped(path, writing=True):
                upload = obstore.open_writer(self._store, path, buffer_size=_PART, max_concurrency=_ON_THE_WAY)
            try:
                yield _Upload(upload, lambda: self._mapped(path, writing=True))
            except BaseException as exc:
                # Without this, the parts would stay in the bucket, and be paid for. The block's own error is told.
                with suppress(obstore.exceptions.BaseError, OSError):
                    upload.__exit__(type(exc), exc, exc.__traceback__)
                raise
            with self._mapped(path, writing=True):
                upload.close()
        finally:
            # A claim that cannot be removed is told as a leftover; it must not hide what happened.
            with suppress(obstore.exceptions.BaseError, OSError):
                self._remove(claim)

    def read(self, path: str) -> Iterator[bytes]:
        segments(path)
        with self._mapped(path):
            stream = _library().get(self._store, path).stream(min_chunk_size=_PIECE)
        return self._pieces(stream, path)

    def size(self, path: str) -> int | None:
        segments(path)
        try:
            with self._mapped(path):
                return int(_library().head(self._store, path)["size"])
        except Refused as exc:
            if exc.code == "backup_missing":
                return None
            raise

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        if prefix:
            segments(prefix)
        return [each for each in self._objects(prefix) if not each.path.endswith(_CLAIM)]

    def delete(self, path: str) -> None:
        segments(path)
        with self._mapped(path):
            self._remove(path)

    def leftovers(self) -> Sequence[StoredObject]:
        now = datetime.now(UTC)
        claims = [each for each in self._objects("") if each.path.endswith(_CLAIM)]
        return [each for each in claims if now - each.modified > self._dead_after or self._claimer_is_dead(each.path)]

    def free_bytes(self) -> int | None:
        return None

    def locate(self, given: str) -> str:
        own = self.address.partition("?")[0] + "/"
        path = given.partition("?")[0].removeprefix(own).rstrip("/")
        if "://" in path or path.startswith("/") or ".." in path.split("/"):
            raise Refused(
                f"{given!r} is not inside the backup store {own}",
                code="backup_path",
                hint="Name a backup by its id (`bascule backup list`) or by its address in the store.",
            )
        segments(path)
        return path

    def _objects(self, prefix: str) -> builtins.list[StoredObject]:
        found = []
        with self._mapped(prefix or "the listing"):
            for batch in _library().list(self._store, prefix or None):
                found += [
                    StoredObject(path=each["path"], size=each["size"], modified=each["last_modified"]) for each in batch
                ]
        return sorted(found, key=lambda each: each.path)

    def _claimer_is_dead(self, claim: str) -> bool:
        """Only of a writer on this machine it can be known at once."""
        try:
            told = json.loads(b"".join(self.read(claim)))
            if told["host"] != socket.gethostname() or told["boot"] != _boot():
                return False
            os.kill(int(told["pid"]), 0)
        except ProcessLookupError:
            return True
        except (Refused, ValueError, KeyError, TypeError, PermissionError):
            return False
        return False

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            _library().delete(self._store, path)

    def _pieces(self, stream: Any, path: str) -> Iterator[bytes]:
        with self._mapped(path):
            for piece in stream:
                yield bytes(piece)

    @contextmanager
    def _mapped(self, path: str, *, writing: bool = False) -> Generator[None, None, None]:
        obstore = _library()
        try:
            yield
        except FileNotFoundError as exc:
            if writing:
                raise MigrationFailed(
                    f"The backup store {self.address} does not take {path}: there is no such bucket.",
                    code="backup_store",
                    hint="Make the bucket, or correct the address of the store.",
                ) from exc
            raise Refused(
                f"{path} is not in the backup store {self.address}.",
                code="backup_missing",
                hint="`bascule backup list` shows the backups; this one is incomplete or gone, or its bucket is.",
            ) from exc
        except obstore.exceptions.AlreadyExistsError as exc:
            raise _exists(path) from exc
        except (obstore.exceptions.BaseError, OSError) as exc:
            raise MigrationFailed(
                f"The backup store {self.address} does not take or give {path}: {_first_line(exc)}",
                code="backup_store",
                hint="Check address, credentials and rights of the bucket.",
            ) from exc


class _Upload:
    """A `Sink`."""

    def __init__(self, upload: Any, mapped: Callable[[], AbstractContextManager[None]]) -> None:
        self._upload, self._mapped = upload, mapped

    def write(self, data: bytes, /) -> None:
        with self._mapped():
            self._upload.write(data)


def _parts(address: str) -> tuple[str, str, Mapping[str, str]]:
    url = urlsplit(address)
    options = dict(parse_qsl(url.query))
    if url.scheme != "s3" or not url.hostname or "@" in url.netloc or set(options) - _ALLOWED:
        raise ConfigError(
            "The address of the backup store is not of the form s3://bucket/prefix?endpoint=…&region=…",
            hint="Credentials do not belong into it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    prefix = url.path.strip("/")
    if prefix:
        segments(prefix)
    return url.netloc, prefix, options


def _opened(bucket: str, prefix: str, options: Mapping[str, str]) -> Any:
    endpoint = urlsplit(options.get("endpoint", ""))
    plain = endpoint.scheme == "http"
    if plain and endpoint.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(
            f"The backup store's endpoint {endpoint.hostname} is spoken to without TLS.",
            hint="Use https://. Plain http is taken on this machine alone.",
        )
    settings: dict[str, Any] = {name: value for name, value in options.items() if value}
    if settings.get("endpoint"):
        settings["virtual_hosted_style_request"] = False
    module = _library().store
    return module.S3Store(bucket, prefix=prefix or None, client_options={"allow_http": plain}, **settings)


def _library() -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as exc:
        raise ConfigError(
            "A backup store in S3 needs the package obstore, which is not installed.",
            code="extra_missing",
            hint='Install it with `pip install "bascule[s3]"`.',
        ) from exc
    return obstore


def _claim() -> bytes:
    return json.dumps({"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid()}).encode()


def _boot() -> str:
    """Tells a machine from itself before its last start, and from another container of the same name."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _first_line(exc: BaseException) -> str:
    # What follows are the library's notes for its own developers, with the server's whole answer.
    return str(exc).partition("\n")[0]


def _exists(path: str) -> Refused:
    return Refused(
        f"{path} is in the backup store already or is being written, and nothing there is ever overwritten.",
        code="backup_exists",
        hint="Take the backup again: it gets a name of its own.",
    )
