"""A row on its way: checked, then a write in the journal; `Plan`: what is sent for a write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs
from attrs import field, frozen

from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.sources.source import to_json

#: The kind of the write that makes or changes a row's record; other kinds are those of its parts.
RECORD: Final = ""


@frozen(kw_only=True, repr=False)
class CheckedRow:
    """A row after the check that needs no server. A part of a row is one that has only `parts`.

    Attributes:
        key: the values of its key as they were given; `None` without one.
        changes: the fields of the record that it names, nested, as plain JSON values.
        defaults: the fields that a new record gets, unless `changes` names them.
        create_fields: the fields that a create sends next to the record.
        parts: the fields that are written after the record.
        new_parts: those of a new record that the row does not name itself.
        faults: dotted field → reason, of values that cannot be converted. Those of the record stay in `changes`: one
            that already has such a value is left unchanged. Parts leave them out.
        unknown: dotted field → value, of fields that the SDK does not know: the record must have exactly this value.
        last_change: the row's `last_change` in the project's zone, if it has one and the run asks for it; without
            seconds if the row has none, as spreadsheets write times.
        refused: why the row cannot be written at all.
    """

    key: tuple[str, ...] | None = None
    changes: dict[str, Any] = field(factory=dict)
    defaults: dict[str, Any] = field(factory=dict)
    create_fields: dict[str, Any] = field(factory=dict)
    parts: dict[str, Any] = field(factory=dict)
    new_parts: dict[str, Any] = field(factory=dict)
    faults: dict[str, str] = field(factory=dict)
    unknown: dict[str, Any] = field(factory=dict)
    last_change: str | None = None
    refused: tuple[str, ...] = ()


_ROW_FIELDS: Final = tuple(attribute.name for attribute in attrs.fields(CheckedRow))


@frozen(kw_only=True)
class Intent:
    """The request that was about to be sent for a write.

    Attributes:
        was_absent: whether its key had no record when it was looked up under the claim.
        changed: the dotted fields that an update changes.
        record_id: the record that it changes.
        base: digests of what the record had in these fields.
        made: the id of the record, empty if no answer named it, when it is known that it was done; else `None`.
    """

    was_absent: bool = False
    changed: tuple[str, ...] = ()
    record_id: str | None = None
    base: Mapping[str, str] = field(factory=dict, repr=False)
    made: str | None = None

    def to_text(self) -> str:
        """Return the text under which files keep it."""
        return json.dumps((self.was_absent, self.changed, self.record_id, self.base, self.made))

    @classmethod
    def from_text(cls, text: str) -> Intent:
        """Return the intent that a file keeps."""
        was_absent, changed, record_id, base, made = json.loads(text)
        return cls(was_absent=was_absent, changed=tuple(changed), record_id=record_id, base=base, made=made)


@frozen(kw_only=True)
class Plan:
    """A request that a write asks for.

    Attributes:
        kind: `create`, `update`, or `batch` for records that only the batch endpoint writes.
        body: the body of the PUT, or the record for a create or the batch endpoint.
        create_fields: what a create sends next to the record, as it stands in the body.
        record_id: the id of the record that is changed; `None` for a new one.
        changed: the dotted fields that an update changes.
        base: digests of what the record has in these fields.
        read_at: when its key was looked up, on the monotonic clock; 0 if it was not, or in the whole list.
        is_new: whether it makes a record.
    """

    kind: str
    body: Any = field(repr=False)
    create_fields: Mapping[str, Any] = field(factory=dict, repr=False)
    record_id: str | None = None
    changed: tuple[str, ...] = ()
    base: Mapping[str, str] = field(factory=dict, repr=False)
    read_at: float = 0.0
    is_new: bool = True

    @property
    def intent(self) -> Intent:
        """The part of it that the journal keeps."""
        return Intent(was_absent=self.is_new, changed=self.changed, record_id=self.record_id, base=self.base)

    @property
    def result(self) -> RowResult:
        """The outcome of the write if the request succeeds."""
        outcome = Outcome.CREATED if self.is_new else Outcome.UPDATED
        return RowResult(outcome=outcome, record_id=self.record_id, changed_fields=self.changed)


@frozen(kw_only=True)
class LoadedRow:
    """A row of the source on its way into the journal.

    Attributes:
        number: its number in the source, from 1.
        line: the line of the file in which it begins; its number if the source has no lines.
        source: the row as JSON.
        key: its key in the form in which keys are compared; `None` without one.
        unique: the parts that only one record can have, such as a card: column → value in that form.
        checked: the checked row.
        in_lines: whether it is made of neighbouring lines.
    """

    number: int = 0
    line: int = 0
    source: bytes = field(default=b"", repr=False)
    key: str | None = field(repr=False)
    unique: Mapping[str, str] = field(factory=dict, repr=False)
    checked: CheckedRow = field(repr=False)
    in_lines: bool = False


@frozen(kw_only=True)
class Write:
    """A write as the journal has it.

    Attributes:
        id: its number in the journal.
        row: the number of its row in the source, from 1.
        kind: `RECORD`, or the kind of a part.
        key: the key of a record in the form in which keys are compared; `None` without one.
        body: what is to be written.
        record_id: of a part: the record that it belongs to.
        listed: a record that has its key, if the whole list was read.
        listed_count: how many records of the list have its key.
        intent: what was about to be sent, if it was sent or may have been; else `None`.
        lost_at: when its answer was lost the last time, on the monotonic clock, while it is lost.
        tries: how often its answer was lost.
        ended: how often of these its request had ended, as the server said.
        alone: how often it was lost to the same fault in a request of its own.
        fault: the server's answer the last time, if it was one.
        most: the largest number of rows of the batch that it may be sent in; 0 for any.
        is_doubted: whether another run was stopped while it held the key, so that it may have sent this write.
        made_at: when another write that made a record with its key ended, on the monotonic clock, if one did.
    """

    id: int
    row: int
    kind: str = RECORD
    key: str | None = field(default=None, repr=False)
    body: CheckedRow = field(repr=False)
    record_id: str | None = None
    listed: bytes | None = field(default=None, repr=False)
    listed_count: int = 0
    intent: Intent | None = None
    lost_at: float | None = None
    tries: int = 0
    ended: int = 0
    alone: int = 0
    fault: str | None = None
    most: int = 0
    is_doubted: bool = False
    made_at: float | None = None

    @property
    def changed_id(self) -> str | None:
        """The id of the record that it may have changed: the row's record, or the card, say, that a part changes."""
        return None if self.intent is None else self.intent.record_id


def pack(row: CheckedRow) -> bytes:
    """Return a row that is not refused as the journal keeps it."""
    return to_json({name: value for name in _ROW_FIELDS if (value := getattr(row, name))})


def unpack(packed: bytes) -> CheckedRow:
    """Return a checked row that the journal kept."""
    values = json.loads(packed)
    if "key" in values:
        values["key"] = tuple(values["key"])
    return CheckedRow(**values)
