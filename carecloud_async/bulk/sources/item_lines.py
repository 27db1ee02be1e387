"""Tables with a line for each item of a record: neighbouring lines with the same key become one row, such as a bill."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from carecloud_async.bulk.columns import Columns, Place
from carecloud_async.bulk.errors import BadSourceError, UnknownColumnError
from carecloud_async.bulk.family import Items
from carecloud_async.bulk.sources.source import BATCH, RowSource, SourceRow

_STRAY: Final = "line {}: it cannot be read or has no key, and may be one of these items"


def with_items(lines: RowSource, items: Items | None, columns: Columns) -> RowSource:
    """Return a source that joins the lines of each record to one row; a source without columns of items is returned.

    Args:
        lines: the source.
        items: the list of items in a record; `None` if records have no such list.
        columns: the field of each column.

    Raises:
        BadSourceError: there are columns of items, but no column for the key of their record.
    """
    if items is None or not lines.textual or lines.columns is None:
        return lines
    places: dict[str, Place] = {}
    for name in lines.columns:
        with suppress(UnknownColumnError):  # the check of the columns says so
            places[name] = columns.place(name)
    if all(place.role != "item" for place in places.values()):
        return lines
    key = next((name for name, place in places.items() if place.path == items.key), None)
    if key is None:
        raise BadSourceError(f"{lines.label}: lines of items need the column {items.key}, which tells whose they are")
    return _ItemLines(lines, key=key, list_name=items.name, places=places)


class _ItemLines(RowSource):
    """Rows that are made of neighbouring lines.

    A line that cannot be read or has no key may belong to the row before or after it. Both rows are refused too, since
    a bill could lack an item.

    Args:
        lines: the source of the lines.
        key: the column of the key.
        list_name: the field of the list.
        places: where each column leads.
    """

    def __init__(self, lines: RowSource, *, key: str, list_name: str, places: Mapping[str, Place]) -> None:
        super().__init__(label=lines.label, identity=lines.identity)
        self.columns, self.textual, self.blanks = lines.columns, lines.textual, lines.blanks
        self.dialect = lines.dialect
        self._lines = lines
        self._key = key
        self._list_name = list_name
        self._items = {name: place for name, place in places.items() if place.role == "item"}
        #: Columns that are not imported, in which the lines of a record may differ.
        self._ignored = {name for name, place in places.items() if place.role == "ignored"}

    def close(self) -> None:
        """Close the source of the lines."""
        self._lines.close()

    async def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """See `RowSource.batches`."""
        ready: list[SourceRow] = []
        current, stray = _Lines(), None
        async with aclosing(self._lines.batches()) as batches:
            async for batch in batches:
                for line in batch:
                    key = "" if line.fault is not None else str(line.values.get(self._key) or "").strip()
                    if key and key == current.key:
                        current.lines.append(line)
                    elif key:
                        ready += self._row(current)
                        current = _Lines(line, key=key, stray=stray)
                        stray = None
                    else:
                        stray = line.line
                        current.stray = current.stray or stray
                        ready += self._row(current)
                        ready += [line] if line.fault is not None else self._row(_Lines(line))
                        current = _Lines()
                if len(ready) >= BATCH:
                    yield ready
                    ready = []
        yield [*ready, *self._row(current)]

    def _row(self, group: _Lines) -> list[SourceRow]:
        """Return the row that a group of lines makes, in a list; the list is empty if the group is."""
        if not group.lines:
            return []
        first = group.lines[0]
        values: dict[str, Any] = {}
        named_in: dict[str, int | None] = {}
        faults = [] if group.stray is None else [_STRAY.format(group.stray)]
        for line in group.lines:
            for name, value in line.values.items():
                if name in self._items or value is None or value == "":
                    continue
                begun = named_in.setdefault(name, line.line)
                kept = values.setdefault(name, value)
                if name not in self._ignored and str(kept).strip() != str(value).strip():
                    faults.append(f"line {line.line}: {name} is another than in line {begun}")
        items = [item for line in group.lines if (item := self._item(line.values))]
        blanks = {name: "" for name in first.values if name not in self._items and name not in values}
        more = {self._list_name: items} if items else {}
        return [
            SourceRow(
                values={**values, **blanks, **more},
                fault=faults[0] if faults else None,
                line=first.line,
                lines=tuple(group.lines),
            )
        ]

    def _item(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item of a line; an empty dict if the line has no item."""
        item: dict[str, Any] = {}
        for name, place in self._items.items():
            value = values.get(name)
            if isinstance(value, str):
                value = place.words.get(value.strip().casefold(), value)
            if value is None or value == "":
                continue
            path = place.path.removeprefix(f"{self._list_name}.")
            list_name, _, inner = path.partition(".")
            if inner:  # a list of one object
                item.setdefault(list_name, [{}])[0][inner] = value
            else:
                item[path] = _parsed(value)
        return item


class _Lines:
    """Neighbouring lines with the same key.

    Args:
        first: the first line; `None` for a group without lines.
        key: the key; empty for a group without lines.
        stray: the number of a line beside the group that cannot be read or has no key, and so may belong to it.
    """

    def __init__(self, first: SourceRow | None = None, *, key: str = "", stray: int | None = None) -> None:
        self.key = key
        self.lines: list[SourceRow] = [] if first is None else [first]
        self.stray = stray


def _parsed(value: Any) -> Any:
    """Return the list or object that a cell holds as JSON; any other cell unchanged."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
