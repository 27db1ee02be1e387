"""URLs of storage services: the part of them that may be shown, and errors that hide the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from carecloud_async._lists.export.errors import BadExportError, missing_extra
from carecloud_async.errors import ExportError

__all__ = [
    "find_secrets",
    "is_url",
    "mask_passwords",
    "mask_url",
    "open_storage",
    "put_whole",
    "storage_errors",
    "unfinished",
]


_MASK = "***"
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+(::|://)")

#: A password in front of a host; the second form has a slash in it, which should have been escaped, and is not a port.
_PASSWORD = re.compile(r"(?<=://)([^/:@]*):([^/]*)@|(?<=://)([^/:@]*):(?![0-9]*/)([^@]*)@")
#: The value of a parameter, which may be a signature or a token.
_PARAMETER = re.compile(r"([?&][^=&#]+)=([^&#]+)")


def is_url(target: str) -> bool:
    """Return whether a target is a URL of a storage service."""
    return bool(_URL.match(target)) and not target.startswith("file://")


def mask_passwords(url: str) -> str:
    """Return a URL, or a chain of them, without its passwords."""
    return _PASSWORD.sub(lambda match: f"{match[1] or match[3] or ''}:{_MASK}@", url)


def mask_url(url: str) -> str:
    """Return a URL as it may be shown and stored: without passwords and without values of parameters."""
    return _PARAMETER.sub(rf"\1={_MASK}", mask_passwords(url))


def find_secrets(url: str) -> frozenset[str]:
    """Return the texts that must not be shown of a URL: passwords and values of parameters, as written and decoded."""
    secrets = {match[2] or match[4] or "" for match in _PASSWORD.finditer(url)} | {
        match[2] for match in _PARAMETER.finditer(url)
    }
    return frozenset({*secrets, *map(unquote, secrets)} - {""})


@contextmanager
def storage_errors(shown: str, secrets: frozenset[str]) -> Iterator[None]:
    """Turn any exception of a storage library into an `ExportError`: each library has errors of its own.

    The library's own error is kept as the cause, unless it contains a secret.

    Args:
        shown: the target, as it may be shown.
        secrets: what must not be shown.

    Raises:
        ExportError: anything was raised.
    """
    try:
        yield
    except ExportError:
        raise
    except Exception as error:  # noqa: BLE001  (raised below, as ours)
        cause: Exception = error
    else:
        return
    text = str(cause)
    leaks = _tells(cause, secrets)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    failure = ExportError(f"{shown}: {_reason(cause, text)}")
    if leaks:
        raise failure from None
    raise failure from cause


def open_storage(url: str, *, role: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path on it; called in `storage_errors`.

    Args:
        url: with its secrets.
        role: what the URL is, such as `target`.

    Raises:
        BadExportError: no storage library accepts it, or the one that does is not installed.
    """
    try:
        import fsspec.core  # an extra

        storage, key = fsspec.core.url_to_fs(url)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "fsspec":
            raise missing_extra(f"a URL as {role}", "fsspec") from None
        problem = str(error)
    except ValueError as error:
        problem = str(error)
    else:
        return storage, key
    raise BadExportError(f"{mask_url(url)}: {mask_url(problem)}")


def _reason(error: Exception, text: str) -> str:
    """Return what an error means; storage libraries say little about the commonest two."""
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket or folder"
    kind = type(error).__name__
    said = f"{kind}: {text}" if text else kind
    is_refused = isinstance(error, PermissionError)
    return f"{said}: check the credentials of the storage, and what they may do" if is_refused else said


def _tells(error: BaseException | None, secrets: frozenset[str]) -> bool:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        shown = f"{current} {current!r}"
        if any(secret in shown for secret in secrets):
            return True
        waiting += [current.__cause__, current.__context__]
    return False


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
