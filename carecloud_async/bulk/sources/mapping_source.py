"""Iterables and async iterables of mappings, inputs or changes as rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

import anyio.lowlevel
import attrs

from carecloud_async._base.codec.fields import UNSET, api_names
from carecloud_async.bulk.sources.source import BATCH, RowSource, SourceRow
from carecloud_async.models.base import Input, Model

__all__ = ["MappingSource", "row_of"]

_RECORD: Final = (
    "a record that was read from the API shows null also where nothing is set: give a dict of the fields to change"
)


class MappingSource(RowSource):
    """Rows that a program makes."""

    def __init__(self, rows: Iterable[Any] | AsyncIterable[Any]) -> None:
        super().__init__()
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
    """Return a mapping or an input as a row; anything else, such as a record that was read, as a fault."""
    if isinstance(row, (Mapping, Input)):
        try:
            return SourceRow(values=_plain(row))
        except RecursionError:
            return SourceRow(fault="a value is nested too deeply")
    if isinstance(row, Model):
        return SourceRow(fault=_RECORD)
    return SourceRow(fault=f"a row is a mapping or an input, not a {type(row).__name__}")


def _plain(value: Any) -> Any:
    """Return a value with its inputs as dicts, without what is `UNSET`."""
    if attrs.has(type(value)):
        names = api_names(type(value))
        return {
            name: _plain(getattr(value, field)) for field, name in names.items() if getattr(value, field) is not UNSET
        }
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items() if one is not UNSET}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
