"""gz and zst, in two ways: whole streams, and independent frames.

One frame for each commit makes a compressed file resumable: cut after any frame it is still a valid file, and readers
treat consecutive frames as one stream (RFC 1952, 2.2; RFC 8878, 3.1).

Zstandard is the standard library's `compression.zstd` from Python 3.14 on; before that its backport, the extra `zstd`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO, cast

from carecloud_async._lists.export.errors import BadExportError, missing_extra

COMPRESSIONS = (".gz", ".zst")
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3


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
        library = _zstd()
        return lambda data: cast("bytes", library.compress(data, _ZSTD_LEVEL))
    return lambda data: data


def compressing(file: BinaryIO, compression: str) -> BinaryIO:
    """Return a file that compresses into `file`; closing it ends the stream and leaves `file` open."""
    if compression == ".gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_GZIP_LEVEL, filename="", mtime=0))
    if compression == ".zst":
        return cast("BinaryIO", _zstd().ZstdFile(file, "wb", level=_ZSTD_LEVEL))
    return cast("BinaryIO", _Open(file))


def abandon(stream: BinaryIO) -> None:
    """Close a stream of `compressing` whose file is closed; what it still holds is dropped."""
    if isinstance(stream, gzip.GzipFile):
        stream.fileobj = io.BytesIO()  # Python 3.13 warns if a collected stream cannot write its rest
    with contextlib.suppress(OSError, ValueError, zlib.error):  # it may still try to write what is left
        stream.close()


class _Open:
    """A file that stays open when closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        self._file.flush()


def zstd_unpacking(file: BinaryIO) -> BinaryIO:
    """Return a file that reads all frames of `file`; closing it closes `file`.

    Reading raises `EOFError` if the file ends inside a frame, and `OSError` if its bytes are something else.

    Raises:
        BadExportError: Zstandard is not installed.
    """
    return cast("BinaryIO", io.BufferedReader(_Unpacked(file, _zstd())))


class _Unpacked(io.RawIOBase):
    """The frames of a file, unpacked.

    Args:
        file: the packed bytes; closed with this one.
        library: unpacks it.
    """

    def __init__(self, file: BinaryIO, library: Any) -> None:
        self._file = file
        self._stream = library.ZstdFile(file)
        self._broken = library.ZstdError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return cast("int", self._stream.readinto(buffer))
        except self._broken as error:
            raise OSError("the file is not Zstandard, or damaged") from error

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _zstd() -> Any:
    is_builtin = sys.version_info >= (3, 14)
    try:
        return import_module("compression.zstd" if is_builtin else "backports.zstd")
    except ImportError:
        if is_builtin:  # a part that Python can be built without
            raise BadExportError(".zst: this Python was built without compression.zstd; write .gz") from None
        raise missing_extra(".zst", "zstd") from None
