"""A row on its way: checked, loaded into the journal, and as the journal has it; `Intent`: what was to be sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

__all__ = ["CheckedRow", "Intent", "LoadedRow", "StoredRow", "digest", "pack", "unpack"]


@frozen(kw_only=True, repr=False)
class CheckedRow:
    """A row as the server-less check leaves it.

    Attributes:
        key: the values of its key as they were given; `None` without one.
        changes: the record's fields that it names, nested, plain JSON values.
        beside: what stands beside the record in a create.
        faults: dotted field → reason, of values that cannot be converted. The values are kept in `changes`: a record
            that already holds such a value is left unchanged.
        parts: what is written after the record.
        opaque: dotted field → value, of fields that the SDK does not know: the record must hold just that.
        last_change: the row's `last_change` in the project's zone, if it has one and the run asks for it; without
            seconds where the row has none, as spreadsheets write times.
        refused: why the row cannot be taken at all.
    """

    key: tuple[str, ...] | None = None
    changes: Mapping[str, Any] = field(factory=dict)
    beside: Mapping[str, Any] = field(factory=dict)
    faults: Mapping[str, str] = field(factory=dict)
    opaque: Mapping[str, Any] = field(factory=dict)
    parts: Mapping[str, Any] = field(factory=dict)
    last_change: str | None = None
    refused: tuple[str, ...] = ()


@frozen(kw_only=True)
class Intent:
    """What was about to be sent for a row.

    Attributes:
        kind: `create`, `update`, or `batch` for records that the batch endpoint alone writes.
        record_id: the record that an update is about.
        changed: the dotted fields that it changes.
        base: the record that the update was made from, as the server sent it.
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
        line: the line of the file in which it begins; its number where the source has no lines.
        source: the row as JSON.
        key: its key as keys are compared; `None` without one.
        once: the key of its part that only one record can have, as keys are compared; `None` without one.
        checked: what the check made of it.
    """

    number: int
    line: int
    source: bytes = field(repr=False)
    key: str | None = field(repr=False)
    once: str | None = field(repr=False)
    checked: CheckedRow = field(repr=False)


@frozen(kw_only=True)
class StoredRow:
    """A row as the journal has it.

    Attributes:
        number: its number in the source, from 1.
        key: its key as keys are compared; `None` without one.
        checked: what the check made of it.
        base: the record that the reading of the whole list found for its key.
        found: how many records that reading found.
        intent: what was about to be sent; `None` if nothing was.
        lost_at: when it was sent, or its answer was lost, by this run's monotonic clock; 0 if an earlier run sent it.
        tries: how often it was intended.
        made: the record of a row whose parts are still to be written, where no key would find it.
    """

    number: int
    key: str | None = field(repr=False)
    checked: CheckedRow = field(repr=False)
    base: bytes | None = field(default=None, repr=False)
    found: int = 0
    intent: Intent | None = None
    lost_at: float = 0.0
    tries: int = 0
    made: str | None = None


def digest(value: object) -> str:
    """Return a digest of something that a journal is bound to."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def pack(row: CheckedRow) -> bytes:
    """Return a checked row as the journal keeps it."""
    values = {
        "key": row.key,
        "changes": row.changes,
        "beside": row.beside,
        "faults": row.faults,
        "opaque": row.opaque,
        "parts": row.parts,
        "last_change": row.last_change,
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def unpack(packed: bytes) -> CheckedRow:
    """Return a checked row that the journal kept."""
    values = json.loads(packed.decode("utf-8", "surrogatepass"))
    return CheckedRow(
        key=None if values["key"] is None else tuple(values["key"]),
        changes=values["changes"],
        beside=values["beside"],
        faults=values["faults"],
        opaque=values["opaque"],
        parts=values["parts"],
        last_change=values["last_change"],
    )
