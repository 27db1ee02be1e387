"""Uploads a finished file to a URL; it gets its final name when it is complete."""

from __future__ import annotations

from pathlib import Path

from carecloud_async.errors import ExportError
from carecloud_async.export.storage.target import Target
from carecloud_async.export.storage.urls import storage_errors
from carecloud_async.fixes import OVERWRITE

__all__ = ["upload"]

#: Storage services where a file appears only when it is complete; elsewhere it is renamed.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "obs", "r2", "tos", "hf"}


def upload(file: Path, target: Target, *, overwrite: bool) -> None:
    """Upload a finished file to a URL. Blocks.

    Raises:
        ExportError: the name was taken meanwhile, or the storage refuses.
    """
    with storage_errors(target.shown, target.secrets):
        taken = not _put(file, target, overwrite=overwrite)
    if taken:
        raise ExportError(f"{target.shown} exists already", fix=OVERWRITE)


def _put(file: Path, target: Target, *, overwrite: bool) -> bool:
    system, path = target.storage()
    if system.exists(path) and not overwrite:
        return False
    protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    if protocols & _OBJECT_STORES:
        system.put_file(str(file), path)
        return True
    beside = f"{path}.partial"
    system.put_file(str(file), beside)
    if system.exists(path):
        system.rm_file(path)
    system.mv(beside, path)
    return True
