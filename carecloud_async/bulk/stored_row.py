"""`LoadedRow` and `StoredRow`: a row that goes into the journal and comes from it; `Intent`: what was to be sent."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.bulk.check import CheckedRow

__all__ = ["Intent", "LoadedRow", "StoredRow"]


@frozen(kw_only=True)
class Intent:
    """What was about to be sent for a row.

    Attributes:
        kind: `create` or `update`.
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
    key: str | None
    checked: CheckedRow = field(repr=False)
    base: bytes | None = field(default=None, repr=False)
    found: int = 0
    intent: Intent | None = None
    lost_at: float = 0.0
    tries: int = 0
    made: str | None = None
