"""The formats that a target's suffix can name."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.compression import COMPRESSIONS, frame_maker
from carecloud_async._lists.export.formats.csv import CsvSink
from carecloud_async._lists.export.formats.parquet import parquet_sink
from carecloud_async._lists.export.formats.sinks import SinkFactory
from carecloud_async.errors import ConfigurationError

__all__ = ["Format", "format_of", "register_sink"]

#: The one format that needs no sink: the records as received.
_LINES = ".jsonl"
_LINE_SUFFIXES = (_LINES, ".ndjson")


_KNOWN: dict[str, Callable[[], SinkFactory]] = {".csv": lambda: CsvSink, ".parquet": parquet_sink}


@frozen(kw_only=True)
class Format:
    """The format of a file.

    Attributes:
        suffix: such as `.csv`.
        compression: `.gz`, `.zst` or nothing.
        sink: what writes it; `None` for JSON Lines.
    """

    suffix: str = _LINES
    compression: str = ""
    sink: SinkFactory | None = None


def register_sink(suffix: str, factory: SinkFactory) -> None:
    """Register a format by its suffix; `.gz` and `.zst` may follow the suffix on targets.

    Args:
        suffix: such as `.xml`.
        factory: a `Sink` class, or a function that makes one.

    Raises:
        ConfigurationError: the suffix cannot name a format.
    """
    if not suffix.startswith(".") or len(suffix) < 2 or suffix.lower() in {*COMPRESSIONS, *_LINE_SUFFIXES}:
        raise ConfigurationError(f"{suffix!r} cannot name a format: give a suffix such as '.xml'")
    _KNOWN[suffix.lower()] = lambda: factory


def format_of(name: str) -> Format:
    """Read the format from a file's name, and check that its packages are installed.

    Raises:
        BadExportError: the suffix is unknown, or a package is not installed.
    """
    stem = name.lower()
    compression = next((one for one in COMPRESSIONS if stem.endswith(one)), "")
    stem = stem.removesuffix(compression)
    if compression:
        frame_maker(compression)
    if stem.endswith(_LINE_SUFFIXES):
        return Format(compression=compression)
    for suffix in sorted(_KNOWN, key=len, reverse=True):
        if stem.endswith(suffix):
            if suffix == ".parquet" and compression:
                raise BadExportError(f"{name}: Parquet compresses by itself: leave {compression} out")
            return Format(suffix=suffix, compression=compression, sink=_KNOWN[suffix]())
    known = ", ".join([*_LINE_SUFFIXES, *_KNOWN])
    raise BadExportError(
        f"{name}: the suffix names no known format; use {known}; .gz or .zst may follow .jsonl and .csv"
    )
