"""How a file is stored in a storage service: its object appears when it is complete, and replaces another one then."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

__all__ = ["put_whole", "unfinished"]

#: Storage services where an object appears only when it is complete; elsewhere it is renamed.
_OBJECT_STORES: Final = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "obs", "r2", "tos", "hf"}
)


def put_whole(storage: Any, file: Path, key: str) -> None:
    """Store a file. Blocks.

    Args:
        storage: the file system of fsspec.
        file: a finished file.
        key: the path of the object.

    Raises:
        Exception: whatever the library of the storage raises.
    """
    protocols = {storage.protocol} if isinstance(storage.protocol, str) else set(storage.protocol)
    if protocols & _OBJECT_STORES:
        storage.put_file(str(file), key)
        return
    storage.put_file(str(file), unfinished(key))
    try:
        storage.mv(unfinished(key), key)
    except Exception:
        storage.invalidate_cache()
        if not (storage.exists(unfinished(key)) and storage.exists(key)):
            raise
        storage.rm_file(key)  # some services rename nothing to a name that is taken
        storage.mv(unfinished(key), key)


def unfinished(key: str) -> str:
    """Return the path where an object is prepared that is renamed."""
    return f"{key}.partial"
