"""Files of rows: opened, unpacked and read line by line."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from carecloud_async._lists.export.errors import WORKBOOKS, BadExportError, missing_extra
from carecloud_async._lists.export.formats.compression import zstd_unpacking
from carecloud_async._lists.export.storage.urls import find_secrets, is_url, mask_url, storage_errors
from carecloud_async.bulk.errors import BadSourceError

#: Most bytes or characters of one line: a file without line breaks must not fill the memory.
MAX_LINE: Final = 16 * 1024 * 1024
LONG_LINE: Final = "it is longer than 16 MiB"
_ENDS: Final = ("\n", "\r", b"\n")
_BLOCK: Final = 64 * 1024

_PACKED: Final = (".gz", ".zst")
#: Workbooks by their first bytes: archives of ZIP, and the older format of Excel.
_WORKBOOK_MARKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def split_suffix(name: str, *, formats: Sequence[str] = (".csv", ".jsonl", ".parquet")) -> tuple[str, str]:
    """Return the format's suffix of a file's name, and that of its compression.

    Raises:
        BadSourceError: there is no such format.
    """
    base = name.split("?", 1)[0].lower()
    packing = next((packing for packing in _PACKED if base.endswith(packing)), "")
    suffix = os.path.splitext(base.removesuffix(packing))[1]
    suffix = ".jsonl" if suffix == ".ndjson" else suffix
    if suffix not in formats or (suffix == ".parquet" and packing):
        raise BadSourceError(
            f"{os.path.basename(base)[:100]}: name the format by the suffix: {', '.join(formats)}; .gz or .zst "
            "may follow the first two"
        )
    return suffix, packing


def source_suffix(name: str) -> tuple[str, str]:
    """Return the same as `split_suffix` for a file that is read.

    Raises:
        BadSourceError: there is no such format, or it is a workbook.
    """
    if name.lower().endswith(WORKBOOKS):
        raise workbook(os.path.basename(name))
    return split_suffix(name)


def is_workbook(head: bytes) -> bool:
    """Return whether a file that begins so is a workbook, whatever its name says."""
    return head.startswith(_WORKBOOK_MARKS)


def workbook(name: str) -> BadSourceError:
    """Make the error of a workbook, which is not read."""
    return BadSourceError(
        f"{name[:100]}: it is a workbook: save its sheet as CSV UTF-8, or read it in Python with polars.read_excel and "
        "give bulk_write the frame"
    )


def file_identity(path: str) -> str | None:
    """Return what changes when a local file changes; `None` for a URL."""
    if is_url(path):
        return None
    try:
        status = Path(path).stat()
    except OSError as error:
        raise BadSourceError(f"{path}: {error.strerror or type(error).__name__}") from error
    return f"{status.st_size}:{status.st_mtime_ns}"


def open_file(path: str, *, packing: str = "") -> BinaryIO:
    """Open a local file or a URL of a storage service for reading, unpacked.

    Raises:
        BadSourceError: it cannot be opened.
        ExportError: the storage service refuses.
    """
    if is_url(path):
        try:
            import fsspec  # an extra
        except ImportError:
            raise missing_extra("a URL as source", "fsspec") from None
        with storage_errors(mask_url(path), find_secrets(path)):
            opened: Any = fsspec.open(path, "rb")
            raw = cast("BinaryIO", opened.open())
    else:
        try:
            raw = open(path, "rb")  # noqa: SIM115  (the source closes it)
        except OSError as error:
            raise BadSourceError(f"{path}: {error.strerror or type(error).__name__}") from error
    if packing == ".gz":
        return cast("BinaryIO", _Gzip(fileobj=raw))
    try:
        return zstd_unpacking(raw) if packing == ".zst" else raw
    except BadExportError:
        raw.close()
        raise


class _Gzip(gzip.GzipFile):
    """A gzip file that closes the file that it reads."""

    def close(self) -> None:
        source: Any = self.fileobj
        super().close()
        if source is not None:
            source.close()


def read_error(label: str, line: int, error: Exception) -> BadSourceError:
    """Make the error of a source that breaks off after a line."""
    return BadSourceError(f"{label}: after line {line} it cannot be read: {type(error).__name__}")


def read_lines(stream: Any) -> Iterator[Any]:
    """Yield the lines of a binary or text stream with their ends; of one of `MAX_LINE` or more its beginning alone."""
    while line := stream.readline(MAX_LINE):
        yield line
        if len(line) == MAX_LINE:
            while line and line[-1:] not in _ENDS:
                line = stream.readline(_BLOCK)
