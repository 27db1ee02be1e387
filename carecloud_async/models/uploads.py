"""What an upload may be given as."""

from __future__ import annotations

from collections.abc import Awaitable
from os import PathLike
from typing import Any, Final, Protocol, TypeAlias, get_args

__all__ = ["UPLOADS", "ReadableFile", "Upload"]


class ReadableFile(Protocol):
    """A file open in binary mode, blocking or asynchronous: `open(path, "rb")`, `anyio.open_file`, FastAPI's upload."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """Return at most `size` bytes."""
        ...


#: Bytes, a path, a file open in binary mode, or text that is base64 already.
Upload: TypeAlias = str | bytes | bytearray | memoryview | PathLike[str] | ReadableFile

#: The types of an upload.
UPLOADS: Final[frozenset[Any]] = frozenset(get_args(Upload))
