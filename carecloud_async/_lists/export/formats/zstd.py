"""Zstandard: the standard library's `compression.zstd` from Python 3.14 on, before it its backport, the extra `zstd`.

Consecutive frames are one stream (RFC 8878, 3.1). A file that ends inside a frame is an `EOFError`, bytes of another
kind are an `OSError`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO, cast

from carecloud_async._lists.export.errors import BadExportError, missing_extra

__all__ = ["packing", "packing_frames", "unpacking"]

_LEVEL = 3
#: Bytes read at once: even the most repetitive file is unpacked in small pieces.
_CHUNK = 4096


def packing_frames() -> Callable[[bytes], bytes]:
    """Return a function that compresses bytes into one frame.

    Raises:
        BadExportError: Zstandard is not installed.
    """
    library = _library()
    return lambda data: cast("bytes", library.compress(data, _LEVEL))


def packing(file: BinaryIO) -> BinaryIO:
    """Return a file that compresses into `file`; closing it ends the frame and leaves `file` open.

    Raises:
        BadExportError: Zstandard is not installed.
    """
    return cast("BinaryIO", _library().ZstdFile(file, "wb", level=_LEVEL))


def unpacking(file: BinaryIO) -> BinaryIO:
    """Return a file that reads all frames of `file`; closing it closes `file`.

    Raises:
        BadExportError: Zstandard is not installed.
    """
    library = _library()
    return cast("BinaryIO", io.BufferedReader(_Frames(file, library.ZstdDecompressor, library.ZstdError)))


class _Frames(io.RawIOBase):
    """The frames of a file, unpacked.

    Args:
        file: the file.
        new_frame: makes the decompressor of a frame, which has `decompress`, `eof` and `unused_data`.
        broken: what it raises.
    """

    def __init__(self, file: BinaryIO, new_frame: Callable[[], Any], broken: type[Exception]) -> None:
        self._file = file
        self._new_frame = new_frame
        self._broken = broken
        self._frame: Any = None
        self._packed = b""
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            if not self._unpack():
                return 0
        size = min(len(buffer), len(self._unpacked))
        buffer[:size] = self._unpacked[:size]
        self._unpacked = self._unpacked[size:]
        return size

    def _unpack(self) -> bool:
        packed = self._packed or self._file.read(_CHUNK)
        if not packed:
            if self._frame is not None:
                raise EOFError("the file ends inside a Zstandard frame")
            return False
        self._frame = self._frame or self._new_frame()
        try:
            self._unpacked = memoryview(self._frame.decompress(packed))
        except self._broken as error:
            raise OSError("the file is not Zstandard, or damaged") from error
        self._packed = b""
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _library() -> Any:
    is_builtin = sys.version_info >= (3, 14)
    try:
        return import_module("compression.zstd" if is_builtin else "backports.zstd")
    except ImportError:
        if is_builtin:  # a part that Python can be built without
            raise BadExportError(".zst: this Python was built without compression.zstd; write .gz") from None
        raise missing_extra(".zst", "zstd") from None
