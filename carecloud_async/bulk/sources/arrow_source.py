"""Parquet files, and objects with an Arrow stream (polars, pandas, pyarrow, DuckDB), as rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any, BinaryIO

import anyio.lowlevel

from carecloud_async._lists.export.errors import missing_extra
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.sources.source import BATCH, RowSource, SourceRow


class ArrowSource(RowSource):
    """Record batches.

    Args:
        names: the names of the columns.
        label, identity, stream: see `RowSource`; without a stream, a program made the batches.
    """

    blanks = True

    def __init__(
        self,
        batches: Iterator[Any],
        names: list[str],
        *,
        label: str,
        identity: str | None = None,
        stream: BinaryIO | None = None,
    ) -> None:
        super().__init__(stream, label=label, identity=identity)
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            self.close()
            raise BadSourceError(f"{label}: the column {twice[:100]!r} is there twice: name one of them otherwise")
        self.columns: tuple[str, ...] | None = tuple(names)
        self._batches = batches

    @classmethod
    def of_file(cls, stream: BinaryIO, *, label: str, identity: str | None) -> ArrowSource:
        """Return the rows of a Parquet file.

        Raises:
            BadSourceError: it cannot be read, or is no Parquet file.
        """
        pyarrow = _pyarrow()
        try:
            file = pyarrow.parquet.ParquetFile(stream)
        except Exception as error:
            # pyarrow's own errors have no number: what has one, the system or a storage service raised.
            if isinstance(error, pyarrow.ArrowException) or (isinstance(error, OSError) and error.errno is None):
                raise BadSourceError(f"{label}: it is no Parquet file") from error
            raise BadSourceError(f"{label}: it cannot be read: {_reason(error)}") from error
        batches = file.iter_batches(batch_size=BATCH)
        return cls(batches, file.schema_arrow.names, label=label, identity=identity, stream=stream)

    @classmethod
    def of_stream(cls, source: Any) -> ArrowSource:
        """Return the rows of an object with `__arrow_c_stream__`."""
        reader = _pyarrow().RecordBatchReader.from_stream(source)
        return cls(iter(reader), reader.schema.names, label=type(source).__name__)

    async def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """See `RowSource.batches`."""
        for rows in self._read():
            yield [SourceRow(values=values) for values in rows]
            await anyio.lowlevel.checkpoint()

    def _read(self) -> Iterator[list[dict[str, Any]]]:
        number = 0
        try:
            for batch in self._batches:
                for begin in range(0, len(batch), BATCH):
                    rows = batch.slice(begin, BATCH).to_pylist()
                    yield rows
                    number += len(rows)
        except (OSError, ValueError, OverflowError, _pyarrow().ArrowException) as error:
            if self._stream is None:
                raise  # an error of the program
            # Errors of values may quote them.
            cause = error if isinstance(error, OSError) else None
            raise BadSourceError(f"{self.label}: after row {number} it cannot be read: {_reason(error)}") from cause


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _pyarrow() -> Any:
    try:
        import pyarrow  # an extra
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("a Parquet file or a data frame as source", "parquet") from None
    return pyarrow
