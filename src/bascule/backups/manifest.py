"""The manifest of a backup: written last, read first.

It is one line of JSON, ``{"manifest":{…},"sha256":"…"}``, so every flipped bit of it is found by itself. That somebody
wrote another one, or put back an older one, is found by its digest, which the caller keeps elsewhere (the journal).

Of an encrypted backup, what tells of contents (digests, hashes of the plain bytes, the dumper's notes) is sealed: it
stands there encrypted. Names of tables and sizes stay readable, so that a listing needs no key.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from typing import Any

from bascule.backups.encryption import Encryption, decrypt, encrypt
from bascule.backups.naming import manifest_path
from bascule.domain.backup import FORMAT, Manifest, StreamRecord, TableDigest
from bascule.errors import Refused
from bascule.ports.backup_store import BackupStore

_HEAD, _MIDDLE, _TAIL = b'{"manifest":', b',"sha256":"', b'"}\n'
_END = len(_MIDDLE) + 64 + len(_TAIL)
_LARGEST = 256 << 20


def write_manifest(store: BackupStore, manifest: Manifest, *, encryption: Encryption | None) -> str:
    """Write it as the last object of its backup and answer its digest, to be kept elsewhere. Raises as the store."""
    written = to_bytes(manifest, encryption=encryption)
    with store.create(manifest_path(manifest.id)) as sink:
        sink.write(written)
    return digest_of(written)


def read_manifest(
    store: BackupStore, backup_id: str, *, expected_digest: str | None, encryption: Encryption | None = None
) -> Manifest:
    """The manifest of a backup. Its sealed part is opened where there is a key for it.

    `expected_digest`: what `write_manifest` answered; None where nobody kept it, and then nobody knows whether it was
    rewritten. Raises `Refused`: ``backup_missing``, ``backup_damaged``, ``backup_replaced``, ``backup_newer_format``,
    ``not_a_backup``, ``backup_key_wrong``.
    """
    path = manifest_path(backup_id)
    content = _whole(store, path)
    manifest, sealed = _parsed(content, path)
    if expected_digest is not None and digest_of(content) != expected_digest:
        raise Refused(
            f"The backup's {path} is not the one that was written when the backup was taken: its digest is another.",
            code="backup_replaced",
            hint="Somebody rewrote it or put an older one in its place. Nothing was restored; use another backup.",
        )
    if manifest.id != backup_id:
        raise Refused(
            f"The manifest in {path} belongs to the backup {manifest.id}.",
            code="backup_replaced",
            hint="A folder was renamed or a manifest copied. Nothing was restored; use another backup.",
        )
    if sealed is None or encryption is None or not encryption.opens:
        return manifest
    return _unsealed(manifest, sealed, encryption, path)


def digest_of(content: bytes) -> str:
    """SHA-256 of a manifest's bytes, hexadecimal: what the services keep in the state."""
    return hashlib.sha256(content).hexdigest()


def to_bytes(manifest: Manifest, *, encryption: Encryption | None) -> bytes:
    """The file's content. Raises ConfigError where it is to be sealed and there is no key."""
    values = _plain(manifest)
    for name in ("created_at", "until"):
        values[name] = values[name].isoformat()
    if manifest.encryption is not None:
        values["sealed"] = _seal(values, encryption or Encryption())
    body = json.dumps(values, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()
    return _HEAD + body + _MIDDLE + hashlib.sha256(body).hexdigest().encode() + _TAIL


def _plain(value: Any) -> Any:
    """As `asdict`, which copies every text and number too; the manifest of thousands of tables has many."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def from_bytes(content: bytes, *, path: str = "manifest.json", encryption: Encryption | None = None) -> Manifest:
    """The inverse of `to_bytes`. Raises `Refused` as `read_manifest`."""
    manifest, sealed = _parsed(content, path)
    if sealed is None or encryption is None or not encryption.opens:
        return manifest
    return _unsealed(manifest, sealed, encryption, path)


def check_target(manifest: Manifest, target: str, *, foreign: bool) -> None:
    """Raises `Refused` (``backup_foreign``) where the backup is of another target and that was not asked for."""
    if manifest.target != target and not foreign:
        raise Refused(
            f"The backup {manifest.id} is of another target: {manifest.database} on {manifest.server}.",
            code="backup_foreign",
            hint="If it is to be restored here nevertheless, say --foreign.",
        )


def _whole(store: BackupStore, path: str) -> bytes:
    content = bytearray()
    for piece in store.read(path):
        content += piece
        if len(content) > _LARGEST:
            raise _not_one(path)
    return bytes(content)


def _parsed(content: bytes, path: str) -> tuple[Manifest, str | None]:
    values = _values(content)
    if values is not None and isinstance(values.get("format"), int) and values["format"] > FORMAT:
        raise Refused(
            f"The backup's {path} has format {values['format']}; this version of Bascule reads up to {FORMAT}.",
            code="backup_newer_format",
            hint=f"Restore it with the Bascule that took it ({values.get('bascule', 'a newer one')}) or a newer one.",
        )
    body = content[len(_HEAD) : -_END]
    if content != _HEAD + body + _MIDDLE + hashlib.sha256(body).hexdigest().encode() + _TAIL:
        if values is None and not content.startswith(_HEAD[:2]) and content[:1] != b"{":
            raise _not_one(path)
        raise _damaged(path)
    if values is None:
        raise _damaged(path)
    sealed = values.pop("sealed", None)
    try:
        return _manifest(values), sealed
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise _damaged(path) from exc


def _values(content: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    values = document.get("manifest") if isinstance(document, dict) else None
    return values if isinstance(values, dict) else None


def _manifest(values: dict[str, Any]) -> Manifest:
    known = {each.name for each in fields(Manifest)}
    if set(values) != known:
        raise ValueError("the fields are not those of a manifest")
    return Manifest(
        **values
        | {
            "created_at": datetime.fromisoformat(values["created_at"]),
            "until": datetime.fromisoformat(values["until"]),
            "tables": tuple(values["tables"]),
            "way_back_of": tuple(values["way_back_of"]),
            "streams": tuple(StreamRecord.from_dict(each) for each in values["streams"]),
            "digests": _digests(values["digests"]),
        }
    )


def _digests(values: Mapping[str, Any]) -> dict[str, TableDigest]:
    return {table: TableDigest(**each) for table, each in values.items()}


def _seal(values: dict[str, Any], encryption: Encryption) -> str:
    """Take out of the values what tells of contents, and answer it encrypted."""
    secret = {"digests": values["digests"], "streams": []}
    values["digests"] = {}
    for stream in values["streams"]:
        secret["streams"].append([*_taken_out(stream), [_taken_out(member) for member in stream["members"]]])
    plain = json.dumps(secret, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()
    sealed = io.BytesIO()
    encrypt(io.BytesIO(plain), sealed, encryption)
    return base64.b64encode(sealed.getvalue()).decode()


def _taken_out(values: dict[str, Any]) -> list[Any]:
    secret = [values["plain_sha256"], values["data"]]
    values["plain_sha256"], values["data"] = "", {}
    return secret


def _with_secret(stream: StreamRecord, secret: Sequence[Any]) -> StreamRecord:
    # Format 1 knew no members.
    plain, data, *more = secret
    members = tuple(
        replace(member, plain_sha256=own, data=its)
        for member, (own, its) in zip(stream.members, *more or ([],), strict=True)
    )
    return replace(stream, plain_sha256=plain, data=data, members=members)


def _unsealed(manifest: Manifest, sealed: str, encryption: Encryption, path: str) -> Manifest:
    opened = io.BytesIO()
    try:
        decrypt(io.BytesIO(base64.b64decode(sealed, validate=True)), opened, encryption, path=path)
        secret = json.loads(opened.getvalue())
        streams = tuple(
            _with_secret(stream, secret) for stream, secret in zip(manifest.streams, secret["streams"], strict=True)
        )
        return replace(manifest, streams=streams, digests=_digests(secret["digests"]))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise _damaged(path) from exc


def _damaged(path: str) -> Refused:
    return Refused(
        f"The backup's {path} is damaged: its checksum is not that of its content.",
        code="backup_damaged",
        hint="Without its manifest nothing of a backup can be trusted. Use another backup.",
    )


def _not_one(path: str) -> Refused:
    return Refused(
        f"{path} in the backup store is not a manifest of Bascule.",
        code="not_a_backup",
        hint="`bascule backup list` shows the backups.",
    )
