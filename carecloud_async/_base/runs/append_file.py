"""`AppendFile`: records that are appended beside a run file, whose transactions hold how much of them counts."""

from __future__ import annotations

import contextlib
import os
import zlib
from io import BufferedRandom
from pathlib import Path
from typing import Self

from attrs import frozen

from carecloud_async._base.runtime.durable_files import create_private, open_private, sync_folder

__all__ = ["AppendFile", "FileChangedError", "Mark"]

_CHUNK = 1 << 20


@frozen(kw_only=True)
class Mark:
    """The part of a file that counts.

    Attributes:
        size: its bytes.
        crc: their CRC-32.
    """

    size: int = 0
    crc: int = 0


class FileChangedError(Exception):
    """The file is not what its run file says; the message says why."""


class AppendFile:
    """A private file that grows. What was written after the last mark does not count, and goes when it is continued.

    Everything blocks; one thread at a time.
    """

    def __init__(self, path: Path, file: BufferedRandom, mark: Mark) -> None:
        self.path = path
        self.file = file
        self._size = mark.size
        self._crc = mark.crc
        self._is_named = False

    @classmethod
    def create(cls, path: Path) -> Self:
        """Create an empty file; what stood there is removed.

        Raises:
            OSError: the disk refuses.
        """
        return cls(path, create_private(path), Mark())

    @classmethod
    def resume(cls, path: Path, mark: Mark) -> Self:
        """Open a file of an earlier run after its mark.

        Raises:
            FileChangedError: it is missing, is not a private file of this user, or differs from what was written.
            OSError: the disk refuses.
        """
        try:
            file = open_private(path)
        except FileNotFoundError:
            raise FileChangedError(f"{path} is missing") from None
        except PermissionError as error:
            raise FileChangedError(error.strerror or f"{path} cannot be opened") from error
        self = cls(path, file, mark)
        try:
            if not _holds(file, mark):
                raise FileChangedError(f"{path} was changed since")  # noqa: TRY301  (the file is closed in one place)
            self.cut(mark)
        except BaseException:
            file.close()
            raise
        return self

    def write(self, data: bytes) -> None:
        """Append data.

        Raises:
            OSError: the disk refuses.
        """
        self.file.write(data)
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)

    def sync(self) -> Mark:
        """Make the file durable; return the mark for the transaction that relies on it.

        Raises:
            OSError: the disk refuses.
        """
        self.file.flush()
        os.fsync(self.file.fileno())
        if not self._is_named:
            sync_folder(self.path.absolute().parent)
            self._is_named = True
        return Mark(size=self._size, crc=self._crc)

    def cut(self, mark: Mark) -> None:
        """Drop what was written after a mark.

        Raises:
            OSError: the disk refuses.
        """
        self.file.seek(mark.size)
        self.file.truncate()
        self._size, self._crc = mark.size, mark.crc

    def close(self) -> None:
        """Close the file. Data that a full disk refuses now is not needed: `sync` has written all that counts."""
        with contextlib.suppress(OSError):
            self.file.close()


def _holds(file: BufferedRandom, mark: Mark) -> bool:
    """Return whether a file begins with what its mark says."""
    crc, left = 0, mark.size
    while left > 0 and (chunk := file.read(min(left, _CHUNK))):
        crc = zlib.crc32(chunk, crc)
        left -= len(chunk)
    return not left and crc == mark.crc
