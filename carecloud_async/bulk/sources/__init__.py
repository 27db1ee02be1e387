"""Where the rows of a bulk write come from: files, Arrow streams, iterables."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from carecloud_async._lists.export.storage.urls import mask_url
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.sources.arrow_source import ArrowSource
from carecloud_async.bulk.sources.csv_source import CsvSource
from carecloud_async.bulk.sources.encodings import require_encoding
from carecloud_async.bulk.sources.files import file_identity, open_file, source_suffix
from carecloud_async.bulk.sources.source import JsonlSource, MappingSource, RowSource


def path_of(source: Any) -> str | None:
    """Return the path or URL that a source is, or `None` for rows."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else None


def open_source(source: Any, *, encoding: str | None = None) -> RowSource:
    """Open a source. Blocks.

    Args:
        source: a path or URL, an iterable of rows, or an object with `__arrow_c_stream__`.
        encoding: the encoding of a CSV file; `None` for UTF-8, or what a byte order mark says.

    Raises:
        BadSourceError: it cannot be opened, or is none of these, or has no encoding to be named.
    """
    path = path_of(source)
    require_encoding(encoding)
    if path is not None:
        return _open_path(path, encoding)
    if encoding is not None:
        raise BadSourceError(f"encoding={encoding!r} is for CSV files: leave it out")
    if hasattr(source, "__arrow_c_stream__"):
        return ArrowSource.of_stream(source)
    if isinstance(source, Mapping) or not isinstance(source, (Iterable, AsyncIterable)):
        raise BadSourceError(
            f"the source is a {type(source).__name__}: give a path, an iterable of rows, or a data frame"
        )
    return MappingSource(source)


def _open_path(path: str, encoding: str | None) -> RowSource:
    suffix, packing = source_suffix(path)
    if encoding is not None and suffix != ".csv":
        raise BadSourceError(f"encoding={encoding!r} is for CSV files, not for {suffix}: leave it out")
    label, identity = mask_url(path), file_identity(path)
    stream = open_file(path, packing=packing)
    try:
        if suffix == ".csv":
            return CsvSource(stream, label=label, identity=identity, encoding=encoding)
        if suffix == ".jsonl":
            return JsonlSource(stream, label=label, identity=identity)
        return ArrowSource.of_file(stream, label=label, identity=identity)
    except BaseException:
        stream.close()
        raise
