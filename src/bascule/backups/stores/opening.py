"""From the address of a store to the store."""

from __future__ import annotations

from bascule.errors import ConfigError
from bascule.ports.backup_store import BackupStore


def open_store(address: str) -> BackupStore:
    """A folder's path, ``file:///folder`` or ``s3://bucket/prefix``. Nothing is made or asked yet.

    Raises ConfigError where it is none of them.
    """
    scheme, separator, rest = address.partition("://")
    if not separator or scheme == "file":
        from urllib.parse import unquote

        from bascule.backups.stores.local import LocalStore

        folder = unquote(rest) if separator else address
        if not folder or (separator and not folder.startswith("/")):
            raise ConfigError(
                "The address of the backup store names no folder.", hint="Write file:///folder, or just the folder."
            )
        return LocalStore(folder)
    if scheme == "s3":
        from bascule.backups.stores.s3 import S3Store

        return S3Store(address)
    raise ConfigError(f"Bascule keeps no backups at {scheme}://.", hint="Use a folder, or s3://bucket/prefix.")
