"""A row on its way: checked, loaded into the journal, read back from it; `Intent`: what was about to be sent for it."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.sources.source import to_json

__all__ = ["CheckedRow", "Intent", "LoadedRow", "RowResults", "StoredRow", "pack", "unpack"]


@frozen(kw_only=True, repr=False)
class CheckedRow:
    """A row after the check that needs no server.

    Attributes:
        key: the values of its key as they were given; `None` without one.
        changes: the fields of the record that it names, nested, as plain JSON values.
        create_fields: the fields that a create sends next to the record.
        parts: the fields that are written after the record.
        faults: dotted field → reason, of values that cannot be converted. The values are kept in `changes`: a record
            that already has such a value is left unchanged.
        unknown: dotted field → value, of fields that the SDK does not know: the record must have exactly this value.
        last_change: the row's `last_change` in the project's zone, if it has one and the run asks for it; without
            seconds if the row has none, as spreadsheets write times.
        refused: why the row cannot be written at all.
    """

    key: tuple[str, ...] | None = None
    changes: dict[str, Any] = field(factory=dict)
    create_fields: dict[str, Any] = field(factory=dict)
    parts: dict[str, Any] = field(factory=dict)
    faults: dict[str, str] = field(factory=dict)
    unknown: dict[str, Any] = field(factory=dict)
    last_change: str | None = None
    refused: tuple[str, ...] = ()


@frozen(kw_only=True)
class Intent:
    """What was about to be sent for a row.

    Attributes:
        kind: `create`, `update`, or `batch` for records that only the batch endpoint writes.
        record_id: the id of the record to be updated.
        changed: the dotted fields that the update changes.
        base: the record that the update was made from, as the server sent it; `None` for a create.
    """

    kind: str
    record_id: str | None = None
    changed: tuple[str, ...] = ()
    base: bytes | None = field(default=None, repr=False)


@frozen(kw_only=True)
class LoadedRow:
    """A row of the source on its way into the journal.

    Attributes:
        number: its number in the source, from 1.
        line: the line of the file in which it begins; its number if the source has no lines.
        source: the row as JSON.
        key: its key in the form in which keys are compared; `None` without one.
        unique_part: the key of the part that only one record can have, such as a card, in that form, or `None`.
        checked: the checked row.
    """

    number: int = 0
    line: int = 0
    source: bytes = field(default=b"", repr=False)
    key: str | None = field(repr=False)
    unique_part: str | None = field(repr=False)
    checked: CheckedRow = field(repr=False)


@frozen(kw_only=True)
class StoredRow:
    """A row as the journal has it.

    Attributes:
        number: its number in the source, from 1.
        key: its key in the form in which keys are compared; `None` without one.
        checked: the checked row.
        listed: a record that has its key, if the whole list was read.
        listed_count: how many records of the list have its key.
        intent: what was about to be sent; `None` if nothing was.
        lost_at: when it was sent, or its answer was lost, by this run's monotonic clock; 0 if an earlier run sent it.
        tries: how often it was intended.
        created_id: the id of the record that a row without a key created, while its parts are still to be written.
    """

    number: int
    key: str | None = field(repr=False)
    checked: CheckedRow = field(repr=False)
    listed: bytes | None = field(default=None, repr=False)
    listed_count: int = 0
    intent: Intent | None = None
    lost_at: float = 0.0
    tries: int = 0
    created_id: str | None = None


#: Rows with what became of them.
RowResults: TypeAlias = list[tuple[StoredRow, RowResult]]


def pack(row: CheckedRow) -> bytes:
    """Return a row that is not refused as the journal keeps it."""
    return to_json(attrs.asdict(row, recurse=False, filter=attrs.filters.exclude("refused")))


def unpack(packed: bytes) -> CheckedRow:
    """Return a checked row that the journal kept."""
    values = json.loads(packed)
    key = values.pop("key")
    return CheckedRow(key=None if key is None else tuple(key), **values)
