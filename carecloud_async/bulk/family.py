"""`BulkWrites`: how a family is written in bulk, as it declares it; `BulkTarget`: that, with functions that do it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from carecloud_async.bulk.compare import value_at
from carecloud_async.bulk.outcome import Outcome
from carecloud_async.calls.events import CallObserver
from carecloud_async.codec.fields import core_types, is_model
from carecloud_async.codec.json_value import JsonObject
from carecloud_async.codec.typed_cache import typed_cache
from carecloud_async.models.base import Input, Model
from carecloud_async.project import Project
from carecloud_async.runtime.clock import Clock

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BulkTarget",
    "BulkWrites",
    "FoundParts",
    "FoundRecords",
    "Key",
    "ListSize",
    "Merged",
    "PartResult",
    "Parts",
    "field_paths",
    "normal_email",
    "normal_phone",
    "normal_text",
    "time_to_settle",
]

#: Most rows of one request to a batch endpoint, as the API has it.
MAX_BATCH: Final = 1000

#: For how long a server may still work on a request after the client stopped waiting (seconds).
_WORKS_LONGER: Final = 5.0

_SEPARATOR: Final = "\x1f"

#: Records by the key values that they were found for.
FoundRecords = Sequence[tuple[tuple[str, ...], bytes]]
#: Records that were found for the parts of one row, by the names of the parts' keys.
FoundParts = Mapping[str, Sequence[bytes]]


def time_to_settle(read_timeout: float) -> float:
    """Return the seconds after which a write whose answer was lost can no longer take effect.

    Args:
        read_timeout: the seconds for which the client waits for an answer. A server that works on a request for longer
            is expected to give up soon after the client.
    """
    return read_timeout + _WORKS_LONGER


def normal_text(value: str) -> str:
    """Return a key in the form in which keys are compared: without surrounding spaces."""
    return value.strip()


def normal_email(value: str) -> str:
    """Return an e-mail address in the form in which keys are compared: servers ignore case and surrounding spaces."""
    return value.strip().casefold()


def normal_phone(value: str) -> str:
    """Return a phone number in the form in which keys are compared: its digits, without `+` or `00` before them."""
    digits = "".join(one for one in value if one.isdecimal())
    return digits.removeprefix("00")


@frozen(kw_only=True)
class Key:
    """A field, or several, whose values name a record.

    Attributes:
        name: the name that `match=` takes.
        fields: the dotted fields of a row that make the key; the last one has the key's name. Left out: the name.
        filter: the list filter that finds a record by it; `None` if only `get` or the whole list finds it.
        many: whether the filter takes several values.
        in_record: whether the record has these fields, so that the whole list can be read instead of look-ups.
        by_id: whether it is the id of the record.
        normal: brings a value into the form in which values are compared.
        find: finds the records of a family by values of the key, where a filter alone cannot.
    """

    name: str
    fields: tuple[str, ...] = ()
    filter: str | None = None
    many: bool = False
    in_record: bool = True
    by_id: bool = False
    normal: Callable[[str], str] = normal_text
    find: Callable[[Any, Sequence[tuple[str, ...]]], Awaitable[FoundRecords]] | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The dotted fields that make the key."""
        return self.fields or (self.name,)

    def values_in(self, fields: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the values of the key in a row, whose fields are given by dotted name; `None` if one is missing."""
        values = tuple(_text(fields.get(path)) for path in self.paths)
        return values if all(map(self.normal, values)) else None

    def values_of(self, record: object) -> tuple[str, ...]:
        """Return the values of the key in a record; a missing one is empty."""
        return tuple(_text(value_at(record, path)) for path in self.paths)

    def text(self, values: Sequence[str]) -> str:
        """Return the values of a key as one text, in the form in which keys are compared."""
        return _SEPARATOR.join(map(self.normal, values))


@frozen(kw_only=True)
class ListSize:
    """The size of a list.

    Attributes:
        records: how many records it holds.
        page: how many of them the server gives a request.
    """

    records: int
    page: int


@frozen(kw_only=True)
class Merged:
    """A record into which the changes of a row are merged.

    Attributes:
        body: the body of the PUT.
        changed: the dotted fields in which the row differs from the record.
    """

    body: Any = field(repr=False)
    changed: tuple[str, ...]


@frozen(kw_only=True)
class PartResult:
    """What became, or would become, of parts of a row, such as a card.

    Attributes:
        changed: the parts that are written.
        conflicts: why a part is in conflict.
        refusals: why the server refused a part.
    """

    changed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def failure(self) -> Outcome | None:
        """`conflict` or `refused`; `None` if the part was written, or can be."""
        return Outcome.CONFLICT if self.conflicts else Outcome.REFUSED if self.refusals else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it failed."""
        return (*self.conflicts, *self.refusals)


@frozen(kw_only=True)
class Parts:
    """What a row may have that is written after its record.

    Attributes:
        names: the columns that are always written as parts, never by a create.
        prefixes: the prefixes of such columns whose rest the user chooses, such as `property.`.
        keys: the parts that are looked up, many at a time, before anything is written. Two rows of a source may not
            have the same first one. A key whose fields a create sends itself is a part only of a known record.
        check: returns what would become of these parts. It gets the id of the record (`None` for a new one), the parts,
            and what was found for each key, by the key's name.
        write: writes the parts of a record. It gets the family, the record's id, the parts, and what was found for
            their keys. It may be called again after a lost answer or a kill.
        fetch_names: returns the ids of a family that may follow a prefix, with their names.
    """

    names: frozenset[str]
    prefixes: tuple[str, ...]
    keys: tuple[Key, ...]
    check: Callable[[str | None, Mapping[str, Any], FoundParts], PartResult]
    write: Callable[[Any, str, Mapping[str, Any], FoundParts], Awaitable[PartResult]]
    fetch_names: Callable[[Any], Awaitable[Mapping[str, str]]]


@frozen(kw_only=True)
class BulkWrites:
    """What a family declares of its bulk writes, next to its operations.

    Attributes:
        keys: the ways to name a record.
        create_fields: fields that a create sends outside the record, and their place in its body: `external_id` →
            `("customer_source", "external_id")`. An update does not send them.
        required_create_fields: those that every create needs.
        parts: what rows may have that is written after the record.
        batch_updates: whether the batch endpoint also updates records that it knows.
    """

    keys: tuple[Key, ...] = ()
    create_fields: Mapping[str, tuple[str, ...]] = field(factory=dict)
    required_create_fields: tuple[str, ...] = ()
    parts: Parts | None = None
    batch_updates: bool = False


@frozen(kw_only=True)
class BulkTarget:
    """A family and the functions that read and write it; made by `resources`.

    Attributes:
        name: the family's name from the client.
        scope: what a journal is bound to: project, identity, parents' ids.
        project: the project.
        clock: the clock.
        watch: hands the events of the client's calls in a block to an observer.
        writes: what the family declares.
        create_model: the input class of a new record; `None` if records cannot be created.
        update_model: the input class that knows the names of an update; `None` if records cannot be updated.
        reads: the read model.
        id_field: the name of a record's id.
        concurrency: how many requests may be under way at once.
        settle_seconds: the seconds after which a write whose answer was lost can no longer take effect.
        find: finds records by a key's values; one request.
        sample: returns the first records of the list; one request.
        measure: returns the size of the list; `None` if the server does not report it.
        read_all: writes the whole list to a JSONL file; returns whether it is exact.
        create: creates a record, with its `create_fields` as they stand in the body, and returns its id.
        update: replaces the record of an id by a body.
        batch: sends records to the batch endpoint, which takes all or none.
        write_parts, check_parts, part_names: `write`, `check` and `fetch_names` of the family's `Parts`; `None` where
            rows have no parts.
        merge: merges a row's changes into a record and returns the body of the PUT.
    """

    name: str
    scope: Mapping[str, str]
    project: Project
    clock: Clock
    watch: Callable[[CallObserver], AbstractContextManager[None]]
    writes: BulkWrites
    create_model: type[Input] | None
    update_model: type[Input] | None
    reads: type[Model] | None
    id_field: str | None
    concurrency: int
    settle_seconds: float
    find: Callable[[Key, Sequence[tuple[str, ...]]], Awaitable[FoundRecords]]
    sample: Callable[[], Awaitable[Sequence[bytes]]] | None
    measure: Callable[[], Awaitable[ListSize | None]] | None
    read_all: Callable[[Path], Awaitable[bool]] | None
    create: Callable[[JsonObject, JsonObject], Awaitable[str | None]] | None
    update: Callable[[str, Any], Awaitable[None]] | None
    batch: Callable[[Sequence[JsonObject]], Awaitable[None]] | None
    write_parts: Callable[[str, Mapping[str, Any], FoundParts], Awaitable[PartResult]] | None
    check_parts: Callable[[str | None, Mapping[str, Any], FoundParts], PartResult] | None
    part_names: Callable[[], Awaitable[Mapping[str, str]]] | None
    merge: Callable[[bytes, Mapping[str, Any]], Merged]

    def id_of(self, record: Mapping[str, Any]) -> str | None:
        """Return the id of a record; `None` if it has none."""
        record_id = record.get(self.id_field) if self.id_field else None
        return None if record_id is None else str(record_id)

    @cached_property
    def settable(self) -> frozenset[str]:
        """The dotted fields that a create can set."""
        own = frozenset[str]() if self.create_model is None else field_paths(self.create_model)
        parts = frozenset[str]() if self.writes.parts is None else self.writes.parts.names
        return own | self.writes.create_fields.keys() | parts

    def can_set(self, key: Key) -> bool:
        """Return whether a new record gets the key of its row; else the next run would not find it."""
        return set(key.paths) <= self.settable

    @cached_property
    def keys(self) -> Mapping[str, Key]:
        """The keys by name."""
        return {key.name: key for key in self.writes.keys}


@typed_cache
def field_paths(model: Any) -> frozenset[str]:
    """Name the fields of a model and of the objects in it, dotted."""
    found = set[str]()
    for name, core in core_types(model).items():
        found |= {f"{name}.{inner}" for inner in field_paths(core)} if is_model(core) else {name}
    return frozenset(found)


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
