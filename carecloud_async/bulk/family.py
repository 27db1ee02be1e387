"""`BulkWrites`: how a family is written in bulk, as it declares it; `Family`: the family, as this package sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from attrs import field, frozen

from carecloud_async._base.codec.fields import core_types, is_model, typed_cache
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.call.caller import Caller
from carecloud_async.bulk.compare import value_at
from carecloud_async.bulk.machine import SettleTimes
from carecloud_async.models.base import Input, Model

if TYPE_CHECKING:
    from carecloud_async._lists.listings.listing import Listing
    from carecloud_async.bulk.parts import Parts
    from carecloud_async.bulk.rows import CheckedRow


#: Most rows of one request to a batch endpoint, as the API has it.
MAX_BATCH: Final = 1000

_SEPARATOR: Final = "\x1f"

#: The operations of a family.
ListRecords: TypeAlias = "Callable[..., Listing[Any]]"
GetRecord: TypeAlias = Callable[[str], Awaitable[bytes | None]]
CreateRecord: TypeAlias = Callable[[JsonObject, JsonObject, float], Awaitable[str | None]]
UpdateRecord: TypeAlias = Callable[[str, Any, float], Awaitable[None]]
SendBatch: TypeAlias = Callable[[Sequence[JsonObject], float], Awaitable[None]]

#: Records by the key values that they were found for.
FoundRecords = Sequence[tuple[tuple[str, ...], bytes]]


def normal_text(value: str) -> str:
    """Return a key in the form in which keys are compared: without surrounding spaces."""
    return value.strip()


def normal_email(value: str) -> str:
    """Return an e-mail address in the form in which keys are compared: servers ignore case and surrounding spaces.

    `ß` and `ss` differ: they are two addresses.
    """
    return value.strip().lower()


def normal_phone(value: str) -> str:
    """Return a phone number in the form in which keys are compared: its digits, without `+` or `00` before them."""
    digits = "".join(character for character in value if character.isdecimal())
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
        ids: how many of its first values are ids of CareCloud's records, which are compared in one case; see `same_id`.
        of: the family whose records have the key, if it is another one: two writes of one key are not made at once.
        normal: brings a value into the form in which values are compared.
        find: finds the records of a family by values of the key, where a filter alone cannot. It raises `TooManyError`
            if several values were given and their records may be more than a page.
    """

    name: str
    fields: tuple[str, ...] = ()
    filter: str | None = None
    many: bool = False
    in_record: bool = True
    by_id: bool = False
    ids: int = 0
    of: str = ""
    normal: Callable[[str], str] = normal_text
    find: Callable[[Family, Sequence[tuple[str, ...]]], Awaitable[FoundRecords]] | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The dotted fields that make the key."""
        return self.fields or (self.name,)

    @property
    def needs_list(self) -> bool:
        """Whether only the whole list finds a record by it."""
        return self.filter is None and self.find is None and not self.by_id

    def values_in(self, fields: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the values of the key in a row, whose fields are given by dotted name; `None` if one is missing."""
        values = tuple(_text(fields.get(path)) for path in self.paths)
        return values if all(map(self.normal, values)) else None

    def values_of(self, record: object) -> tuple[str, ...]:
        """Return the values of the key in a record; a missing one is empty."""
        return tuple(_text(value_at(record, path)) for path in self.paths)

    def text(self, values: Sequence[str]) -> str:
        """Return the values of a key as one text, in the form in which keys are compared."""
        return _SEPARATOR.join([self.form(number, value) for number, value in enumerate(values)])

    def form(self, number: int, value: object) -> str:
        """Return one value of a key, given its position, in the form in which values are compared."""
        made = self.normal(_text(value))
        return made.casefold() if self.by_id or number < self.ids else made

    def claim(self, family: str, text: str) -> str:
        """Return what a run claims before it looks the key up.

        Args:
            family: the family that is written, with the ids of its parents.
            text: the key as `text` returns it. Of a key that only the list finds, the whole family is claimed.
        """
        return "\0".join((self.of or family, self.name, "" if self.needs_list else text))


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
class Items:
    """A list of objects in a record. In tables such as CSV, each object is one line.

    Attributes:
        name: the field of the list.
        key: the field that is equal in all lines of one record, which are neighbours.
    """

    name: str
    key: str


@frozen(kw_only=True)
class BulkWrites:
    """A family's declaration of its bulk writes, next to its operations.

    Attributes:
        keys: the ways to name a record.
        create_fields: fields that a create sends outside the record, and their place in its body: `external_id` →
            `("customer_source", "external_id")`. An update does not send them.
        required_create_fields: those that every create needs.
        only_new: fields that only a new record takes, and where the record shows them.
        parts: makes the parts that rows may have; a function, so that few programs import them.
        batch_updates: whether the batch endpoint also updates records that it knows.
        wrapper: an object in which rows may have fields of the record, as the create's body has them.
        aliases: other names of columns, with the dotted fields that they lead to.
        items: a list in the record whose objects may stand in lines of their own.
    """

    keys: tuple[Key, ...] = ()
    create_fields: Mapping[str, tuple[str, ...]] = field(factory=dict)
    required_create_fields: tuple[str, ...] = ()
    only_new: Mapping[str, str] = field(factory=dict)
    parts: Callable[[], Parts] | None = None
    batch_updates: bool = False
    wrapper: str | None = None
    aliases: Mapping[str, str] = field(factory=dict)
    items: Items | None = None


@frozen(kw_only=True)
class FamilyFacts:
    """What a family is.

    Attributes:
        name: its name from the client.
        scope: what a journal is bound to: project, family with its parents' ids, identity.
        writes: what it declares.
        create_model: the input class of a new record; `None` if records cannot be created.
        update_model: the input class that knows the names of an update; `None` if records cannot be updated.
        id_field: the name of a record's id.
        can_export: whether its list can be read exactly.
    """

    name: str
    scope: Mapping[str, str]
    writes: BulkWrites
    create_model: type[Input] | None
    update_model: type[Input] | None = None
    id_field: str | None = None
    can_export: bool = False

    @property
    def family(self) -> str:
        """The family with its parents' ids."""
        return self.scope["family"]

    @property
    def reads(self) -> type[Model] | None:
        """The read model."""
        return None if self.update_model is None else self.update_model.reads

    @cached_property
    def parts(self) -> Parts | None:
        """The parts that rows may have, which are written after the record."""
        return None if self.writes.parts is None else self.writes.parts()

    @cached_property
    def keys(self) -> Mapping[str, Key]:
        """The keys by name."""
        return {key.name: key for key in self.writes.keys}

    @cached_property
    def settable(self) -> frozenset[str]:
        """The dotted fields that a create can set."""
        own = frozenset[str]() if self.create_model is None else field_paths(self.create_model)
        parts = frozenset[str]() if self.parts is None else self.parts.names
        return own | self.writes.create_fields.keys() | parts

    def can_set(self, key: Key) -> bool:
        """Return whether a new record gets the key of its row; else the next run would not find it."""
        return set(key.paths) <= self.settable

    def is_written_later(self, key: Key) -> bool:
        """Return whether a new record gets a key only after its create, as a part: no look-up shows a lost create."""
        return self.parts is not None and not self.parts.names.isdisjoint(key.paths)

    def id_of(self, record: Mapping[str, Any]) -> str | None:
        """Return the id of a record; `None` if it has none."""
        record_id = record.get(self.id_field) if self.id_field else None
        return None if record_id is None else str(record_id)


class Family(ABC):
    """A family that bulk writes read and write; made by `resources`.

    The operations are `None` where the API has none. What writes is given the longest time until it is sent, in
    seconds; after that nothing is sent, not even again with another token.

    Attributes:
        facts: what it is.
        caller: makes its calls.
        list: returns the list with filters, bypassing the cache, with large pages.
        get: returns the record with an id; `None` if there is none.
        create: creates a record, with fields next to it, and returns its id.
        update: replaces the record with an id by the body of a PUT, once.
        batch: sends records to the batch endpoint, which takes all or none.
    """

    facts: FamilyFacts
    caller: Caller
    list: ListRecords | None = None
    get: GetRecord | None = None
    create: CreateRecord | None = None
    update: UpdateRecord | None = None
    batch: SendBatch | None = None

    def store_of(self, record: Mapping[str, Any]) -> str:  # noqa: ARG002  (most keys are unique)
        """Return the store in which the key of a record or row names it; empty if it says none, or keys are unique."""
        return ""

    def matching(self, row: CheckedRow, records: Sequence[bytes]) -> Sequence[bytes]:
        """Return the records that belong to a row, of those with its key: all, or those of its store.

        Raises:
            ValueError: the row cannot be written; the message says why.
        """
        store = self.store_of({**row.defaults, **row.changes})
        if not store:
            return records
        return [record for record in records if self.store_of(msgspec.json.decode(record)) in {"", store}]

    def copies(self, row: CheckedRow, records: Sequence[bytes]) -> Sequence[bytes]:
        """Return the records that a row has made, of those with its key: several, if it was made more than once."""
        return self.matching(row, records)

    @abstractmethod
    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """Merge a row's changes into a record; a family without a PUT only compares.

        Raises:
            ValueError: they cannot be merged; the message says why.
        """

    def by_record(self) -> Family:
        """Return the family without its batch endpoint where a create does the same, and tells the id of its record."""
        family = copy(self)
        if family.create is not None:
            family.batch = None
        return family

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.caller.context.clock


def settle_times(caller: Caller, settle: float | None = None) -> SettleTimes:
    """Return how long lost writes of a client wait; `settle` as for `SettleTimes.of`."""
    return SettleTimes.of(read_timeout=caller.options.timeout.read, settle=settle)


def scope_of(caller: Caller, **more: str) -> dict[str, str]:
    """Return what a journal or an outbox is bound to: the project, the identity of its calls, and more."""
    identity = "" if caller.tokens is None else caller.tokens.provider.identity_key
    return {"project": caller.context.project.origin, "identity": identity, **more}


@typed_cache
def field_paths(model: Any) -> frozenset[str]:
    """Name the fields of a model and of the objects in it, dotted."""
    paths = set[str]()
    for name, core in core_types(model).items():
        paths |= {f"{name}.{inner}" for inner in field_paths(core)} if is_model(core) else {name}
    return frozenset(paths)


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
