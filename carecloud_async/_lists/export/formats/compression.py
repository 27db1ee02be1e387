"""gz and zst, in two ways: whole streams, and independent frames.

One frame for each commit makes a compressed file resumable: cut after any frame it is still a valid file, and readers
treat consecutive frames as one stream (RFC 1952, 2.2; RFC 8878, 3.1).
"""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from carecloud_async._lists.export.formats import zstd

__all__ = ["COMPRESSIONS", "abandon", "compressing", "frame_maker"]

COMPRESSIONS = (".gz", ".zst")
_GZIP_LEVEL = 6


def frame_maker(compression: str) -> Callable[[bytes], bytes]:
    """Return a function that compresses bytes into one frame.

    Args:
        compression: `.gz`, `.zst` or nothing.

    Raises:
        BadExportError: the package is not installed.
    """
    if compression == ".gz":
        return lambda data: gzip.compress(data, _GZIP_LEVEL, mtime=0)
    if compression == ".zst":
        return zstd.packing_frames()
    return lambda data: data


def compressing(file: BinaryIO, compression: str) -> BinaryIO:
    """Return a file that compresses into `file`; closing it ends the stream and leaves `file` open."""
    if compression == ".gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_GZIP_LEVEL, filename="", mtime=0))
    if compression == ".zst":
        return zstd.packing(file)
    return cast("BinaryIO", _Open(file))


def abandon(stream: BinaryIO) -> None:
    """Close a stream of `compressing` whose file is closed; what it still holds is dropped."""
    if isinstance(stream, gzip.GzipFile):
        stream.fileobj = io.BytesIO()  # Python 3.13 complains of what cannot be written when it is collected
    with contextlib.suppress(OSError, ValueError, zlib.error):  # the last of a write that an error stopped
        stream.close()


class _Open:
    """A file that stays open when closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        self._file.flush()
