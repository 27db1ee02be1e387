"""Iterables and async iterables of mappings, inputs or changes as rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import anyio.lowlevel
import attrs

from carecloud_async.bulk.sources.source import BATCH, RowSource, SourceRow
from carecloud_async.codec.fields import api_names
from carecloud_async.models.base import Input, Model
from carecloud_async.models.unset import UNSET

__all__ = ["MappingSource", "row_of"]


class MappingSource(RowSource):
    """Rows that a program makes.

    Args:
        rows: the rows.
    """

    def __init__(self, rows: Iterable[Any] | AsyncIterable[Any]) -> None:
        self._rows = rows

    async def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """See `RowSource.batches`."""
        batch: list[SourceRow] = []
        async with aclosing(_each(self._rows)) as rows:
            async for row in rows:
                batch.append(row_of(row))
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        yield batch


async def _each(rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
        return
    for number, row in enumerate(rows):
        yield row
        if number % BATCH == BATCH - 1:
            await anyio.lowlevel.checkpoint()


def row_of(row: Any) -> SourceRow:
    """Return a mapping, an input or a record as a row."""
    if isinstance(row, Mapping):
        return SourceRow(values={str(name): _plain(value) for name, value in row.items() if value is not UNSET})
    if isinstance(row, Input):
        return SourceRow(values=_plain(row))
    if isinstance(row, Model):
        return SourceRow(fault="a record that was read cannot tell absent from null: name the changed fields in a dict")
    return SourceRow(fault=f"a row is a mapping or an input, not a {type(row).__name__}")


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        names = api_names(type(value))
        return {
            name: _plain(getattr(value, field)) for field, name in names.items() if getattr(value, field) is not UNSET
        }
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
