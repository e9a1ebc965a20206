"""Streams into the store and back: cut → hash → compress → encrypt → hash → store, and the other way.

Memory stays flat whatever the size. With encryption on, only encrypted bytes leave this process. What is read back is
handed out after the whole stored stream was found to be the one that the manifest tells of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from bascule.backups.compression import WORTH_THREADS, compressor, default_threads, library
from bascule.backups.decrypting import decrypted
from bascule.backups.encryption import Encryption, encrypt
from bascule.domain.backup import StoredStream, StreamRecord
from bascule.errors import Refused
from bascule.ports.backup_store import BackupStore, Sink

BLOCK = 64 << 10
"""What is hashed and compressed at once: rows come in by the hundred bytes, and a call for each would be dear."""


def store_stream(
    store: BackupStore,
    path: str,
    chunks: Iterable[bytes],
    *,
    encryption: Encryption | None,
    level: int = 1,
    threads: int | None = None,
) -> StoredStream:
    """Store what the chunks hold, as a whole or not at all.

    `threads` compress large streams; 0 leaves it to this one, which is right where several processes store at once.
    Raises what the chunks raise, `Refused` (``backup_exists``) and `MigrationFailed` (``backup_no_room``,
    ``backup_store``); then nothing is stored.
    """
    wanted = default_threads() if threads is None else threads
    plain = _Compressing(chunks, level=level, threads=wanted)
    with store.create(path) as sink:
        stored = _Hashing(sink)
        if encryption is None:
            for piece in plain:
                stored.write(piece)
        else:
            # In this thread: age asks for 8 KiB at a time, and each time another one would wait for Python's lock.
            encrypt(_Pulled(plain), stored, encryption)
    return StoredStream(
        path=path,
        plain_bytes=plain.size,
        stored_bytes=stored.size,
        sha256=stored.hash.hexdigest(),
        plain_sha256=plain.hash.hexdigest(),
    )


def verify_stored(store: BackupStore, path: str, *, record: StreamRecord, others: Iterable[StreamRecord] = ()) -> None:
    """Read the whole stored stream and compare it with its record. No key is needed.

    `others`: all streams of the backup, so that an exchange of two is named as one. Raises `Refused`:
    ``backup_missing``, ``backup_truncated``, ``backup_swapped``, ``backup_damaged``.
    """
    digest, size = hashlib.sha256(), 0
    for piece in store.read(path):
        digest.update(piece)
        size += len(piece)
    _compare(path, digest.hexdigest(), size, record, others)


def read_stream(
    store: BackupStore,
    path: str,
    *,
    record: StreamRecord,
    encryption: Encryption | None,
    verified: bool = False,
) -> Generator[bytes, None, None]:
    """The stream as it was before compression, in pieces.

    The whole stored stream is verified before this function returns, unless the caller says that it did so just now;
    what is read is hashed again on the way, so a stream that changes between the two readings ends in an error as well.
    Close the generator where you do not read it to its end. Raises `Refused`: as `verify_stored`, and
    ``backup_key_missing``, ``backup_key_wrong`` before the first piece.
    """
    if not verified:
        verify_stored(store, path, record=record)
    return _pieces(store, path, record, encryption)


def _pieces(
    store: BackupStore, path: str, record: StreamRecord, encryption: Encryption | None
) -> Generator[bytes, None, None]:
    stored = _Reading(store.read(path))
    encrypted = path.endswith(".age")
    compressed = decrypted(_Pulled(stored), encryption, path=path) if encrypted else stored.rest()
    digest, size = hashlib.sha256(), 0
    try:
        for piece in _decompressed(compressed, path):
            digest.update(piece)
            size += len(piece)
            yield piece
    finally:
        compressed.close()
    for _ in stored.rest():
        pass
    _compare(path, stored.hash.hexdigest(), stored.size, record, ())
    if size != record.plain_bytes or (record.plain_sha256 and digest.hexdigest() != record.plain_sha256):
        raise Refused(
            f"The backup's {path} does not hold what its manifest says it held when it was taken.",
            code="backup_damaged",
            hint="Use another backup.",
        )


def _decompressed(chunks: Iterator[bytes], path: str) -> Iterator[bytes]:
    zstd = library()
    decompressor = zstd.ZstdDecompressor()
    try:
        for chunk in chunks:
            if decompressor.eof:
                raise _damaged(path, "something follows its end")
            # One stored block may hold a gigabyte of zeros: what comes out is bounded, not what goes in.
            yield decompressor.decompress(chunk, BLOCK)
            while not decompressor.eof and not decompressor.needs_input:
                yield decompressor.decompress(b"", BLOCK)
    except zstd.ZstdError as exc:
        raise _damaged(path, "it cannot be decompressed") from exc
    if not decompressor.eof:
        raise Refused(
            f"The backup's {path} is truncated: its end is missing.",
            code="backup_truncated",
            hint="Use another backup.",
        )
    if decompressor.unused_data:
        raise _damaged(path, "something follows its end")


def _compare(path: str, sha256: str, size: int, record: StreamRecord, others: Iterable[StreamRecord]) -> None:
    if size == record.stored_bytes and sha256 == record.sha256:
        return
    for other in others:
        if other is not record and other.sha256 == sha256:
            raise Refused(
                f"The backup's {path} holds another stream of it, {other.name}: they were exchanged.",
                code="backup_swapped",
                hint="Nothing was restored. Put the streams back where they belong, or use another backup.",
            )
    if size < record.stored_bytes:
        raise Refused(
            f"The backup's {path} is truncated: {size} bytes are there of {record.stored_bytes}.",
            code="backup_truncated",
            hint="Nothing was restored. Use another backup.",
        )
    raise _damaged(path, "its SHA-256 is not the one in the manifest")


def _damaged(path: str, why: str) -> Refused:
    return Refused(
        f"The backup's {path} is damaged: {why}.",
        code="backup_damaged",
        hint="Nothing of it can be trusted. Use another backup, and look at the medium this one lies on.",
    )


class _Compressing:
    """Compressed pieces of the chunks; counts and hashes them before."""

    def __init__(self, chunks: Iterable[bytes], *, level: int, threads: int) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self._chunks, self._level, self._threads = chunks, level, threads

    def __iter__(self) -> Iterator[bytes]:
        waiting: list[bytearray | memoryview] = []
        held = 0
        blocks = _blocks(self._chunks)
        for block in blocks:
            waiting.append(block)
            held += len(block)
            if held >= WORTH_THREADS:
                break
        zstd = compressor(self._level, threads=self._threads if held >= WORTH_THREADS else 0)
        for block in waiting:
            yield from self._one(zstd, block)
        waiting.clear()
        for block in blocks:
            yield from self._one(zstd, block)
        yield zstd.flush()

    def _one(self, zstd: Any, block: bytearray | memoryview) -> Iterator[bytes]:
        self.size += len(block)
        # Compressing threads copy the block and go on by themselves, so this hash runs beside them.
        piece: bytes = zstd.compress(block)
        self.hash.update(block)
        if piece:
            yield piece


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytearray | memoryview]:
    """The same bytes in pieces of `BLOCK`, or larger by less than one small chunk."""
    buffer = bytearray()
    for chunk in chunks:
        if len(chunk) >= BLOCK:
            if buffer:
                yield buffer
                buffer = bytearray()
            view = memoryview(chunk)
            for start in range(0, len(chunk), BLOCK):
                yield view[start : start + BLOCK]
            continue
        buffer += chunk
        if len(buffer) >= BLOCK:
            yield buffer
            # A new one: the old one may still be looked at, and a copy of it would cost more.
            buffer = bytearray()
    if buffer:
        yield buffer


class _Hashing:
    """Counts and hashes what goes to the sink."""

    def __init__(self, sink: Sink) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self._sink = sink

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        self._sink.write(data)
        return len(data)

    def flush(self) -> None:
        """The store flushes when the object is whole."""


class _Reading:
    """Counts and hashes what comes from the store."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self.rest()

    def rest(self) -> Generator[bytes, None, None]:
        for piece in self._pieces:
            self.hash.update(piece)
            self.size += len(piece)
            yield piece


class _Pulled:
    """Pieces, as a file to read from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = memoryview(piece)
        taken = self._left if size < 0 else self._left[:size]
        self._left = self._left[len(taken) :]
        return bytes(taken)
