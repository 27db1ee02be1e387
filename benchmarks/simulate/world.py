"""What the simulated server has: records with every version that they ever had, and a ledger of the writes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import define, field, frozen

from benchmarks.simulate.story import Story

__all__ = ["FAMILIES", "Entry", "Family", "Version", "World", "at_path", "normal"]

Json = dict[str, Any]


@frozen(kw_only=True)
class Family:
    """A kind of record.

    Attributes:
        name: the name of its list in answers.
        one: the name of a record in the body of a request.
        id_field: the field of its id.
        keys: the dotted fields by which no record is to be made twice.
    """

    name: str
    one: str
    id_field: str
    keys: tuple[str, ...] = ()


FAMILIES: Final[Mapping[str, Family]] = {
    one.name: one
    for one in (
        Family(name="customers", one="customer", id_field="customer_id", keys=("personal_information.email",)),
        Family(
            name="customer_source_records",
            one="customer_source_record",
            id_field="customer_source_record_id",
            keys=("external_id",),
        ),
        Family(name="cards", one="card", id_field="card_id", keys=("card_number",)),
        Family(
            name="property_records",
            one="property_record",
            id_field="property_record_id",
            keys=("property_of_customer",),
        ),
        Family(name="products", one="product", id_field="product_id", keys=("code", "external_id")),
        Family(name="product_brands", one="product_brand", id_field="product_brand_id", keys=("external_id",)),
        Family(name="customer_properties", one="property", id_field="property_id"),
        Family(name="segment_records", one="segment record", id_field="segment_record_id", keys=("customer_id",)),
        Family(name="purchases", one="purchase", id_field="purchase_id", keys=("external_purchase_id",)),
        Family(name="point_history", one="operation on points", id_field="point_id", keys=("note_of_customer",)),
    )
}


def at_path(record: Mapping[str, Any], path: str) -> Any:
    """Return the value of a dotted field; `None` if it is not there."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def normal(value: object) -> str:
    """Return a key as this server compares it."""
    return str(value if value is not None else "").strip().lower()


@frozen(kw_only=True)
class Version:
    """A record at a time.

    Attributes:
        at: since when, in virtual seconds.
        by: the process, or the other program, that wrote it.
        actor: whose process that was; `None` of other programs.
        values: the record; `None` once it is deleted.
        entry: the number of the request in the ledger; `None` of other programs.
        sent_at: when the request left.
    """

    at: float
    by: str
    actor: str | None
    values: Json | None
    entry: int | None = None
    sent_at: float = 0.0


@define(kw_only=True)
class Entry:
    """A write that arrived at the server.

    Attributes:
        number: its number.
        by: the process that sent it.
        actor: whose process that was.
        sent_at: when it left.
        verb, path, body: what was sent.
        trouble: what went wrong on the way; empty if nothing did.
        applied_at: when the server did it; `None` if it did not.
        status: the status with which the server would have answered.
        ids: the records that it made or changed.
        heard: what the client learnt.
    """

    number: int
    by: str
    actor: str
    sent_at: float
    verb: str
    path: str
    body: Json
    trouble: str = ""
    applied_at: float | None = None
    status: int = 0
    ids: tuple[str, ...] = ()
    heard: str = ""

    def __str__(self) -> str:
        done = "never applied" if self.applied_at is None else f"applied at {self.applied_at:.3f}: {self.status}"
        ids = f" ({', '.join(self.ids)})" if self.ids else ""
        heard = self.heard or "nothing was heard of it"
        trouble = f" [{self.trouble}]" if self.trouble else ""
        return (
            f"#{self.number} {self.sent_at:.3f} {self.by}: {self.verb} {self.path}{trouble}, {done}{ids}, "
            f"the client heard: {heard}"
        )


@define(kw_only=True)
class World:
    """The records, and what happened to them.

    Attributes:
        now: returns the virtual time.
        story: what happens.
        today: returns the server's local time as it stands in records.
        told: what programs were told is there twice: ids of records, and keys.
    """

    now: Callable[[], float]
    story: Story
    today: Callable[[], str]
    told: set[str] = field(factory=set)
    ledger: list[Entry] = field(factory=list)
    records: dict[str, dict[str, Json]] = field(factory=lambda: {name: {} for name in FAMILIES})
    history: dict[str, dict[str, list[Version]]] = field(factory=lambda: {name: {} for name in FAMILIES})
    _count: int = 0
    _places: dict[tuple[str, str], int] = field(factory=dict)
    #: Of a family and a dotted field that was asked for: value → the records that ever had it.
    _index: dict[tuple[str, str], dict[str, set[str]]] = field(factory=dict)

    def tell(self, reasons: str, *keys: str) -> None:
        """Note what a program was told of a write: the records, or else the keys, that are there more than once.

        Args:
            reasons: the reasons of its outcome.
            keys: the keys of what it makes.
        """
        if " is there " in reasons or "records have" in reasons:
            self.told.update(*(one.split(", ") for one in re.findall(r": records ([0-9a-f, ]+)", reasons)))
            self.told.update(map(normal, keys))

    def new_id(self) -> str:
        """Return an id that no record had; ids do not come in order."""
        self._count += 1
        return f"{self._count * 2654435761 % 2**32:08x}{self._count:018x}"

    def put(self, family: str, record: Json, *, by: str, entry: Entry | None = None) -> str:
        """Make or replace a record; return its id."""
        id_field = FAMILIES[family].id_field
        record_id: str = record.get(id_field) or self.new_id()
        record = {id_field: record_id, **{name: value for name, value in record.items() if name != id_field}}
        if family != "purchases":
            record["last_change"] = self.today()
        self.records[family][record_id] = record
        self._note(family, record_id, copy.deepcopy(record), by=by, entry=entry)
        return record_id

    def change_member(self, customer: str, *, by: str, is_one: bool | None = None, entry: Entry | None = None) -> None:
        """Bring a customer into the segment or take one out of it; without `is_one` whichever changes something."""
        records = self.records["segment_records"]
        found = [record_id for record_id, one in records.items() if one["customer_id"] == customer]
        if not found and is_one is not False:
            self.put("segment_records", {"customer_id": customer, "segment_id": "s1"}, by=by, entry=entry)
        elif found and not is_one:
            self.delete("segment_records", found[0], by=by)

    def delete(self, family: str, record_id: str, *, by: str) -> None:
        """Delete a record; what belongs to a customer goes too, and cards become free."""
        if self.records[family].pop(record_id, None) is None:
            return
        self._note(family, record_id, None, by=by, entry=None)
        if family != "customers":
            return
        for name in ("customer_source_records", "property_records"):
            for one in [*self.records[name].values()]:
                if one["customer_id"] == record_id:
                    self.delete(name, one[FAMILIES[name].id_field], by=by)
        for card in [*self.records["cards"].values()]:
            if card.get("customer_id") == record_id:
                self.put("cards", {**card, "customer_id": None}, by=by)

    def _note(self, family: str, record_id: str, values: Json | None, *, by: str, entry: Entry | None) -> None:
        versions = self.history[family].setdefault(record_id, [])
        version = Version(
            at=self.now(),
            by=by,
            actor=None if entry is None else entry.actor,
            values=values,
            entry=None if entry is None else entry.number,
            sent_at=self.now() if entry is None else entry.sent_at,
        )
        versions.append(version)
        self._places.setdefault((family, record_id), len(self._places))
        for (indexed, path), records in self._index.items():
            if indexed == family and values is not None:
                records.setdefault(normal(at_path(values, path)), set()).add(record_id)
        if entry is not None:
            entry.ids = (*entry.ids, record_id)
        if entry is None and by != "beginning":
            what = "deletes" if values is None else "creates" if len(versions) == 1 else "changes"
            keys = () if values is None else tuple(self.keys_of(family, values))
            self.story.tell(by, f"{what} {FAMILIES[family].one} {record_id} {', '.join(keys)}", record_id, *keys)

    def had(self, family: str, path: str, values: Iterable[object]) -> list[str]:
        """Return the ids of the records that ever had one of some values in a dotted field, in their order."""
        index = self._index.get((family, path))
        if index is None:
            self._index[family, path] = index = {}
            for record_id, versions in self.history[family].items():
                for one in versions:
                    if one.values is not None:
                        index.setdefault(normal(at_path(one.values, path)), set()).add(record_id)
        ids = set[str]().union(*(index.get(normal(value), ()) for value in values))
        return sorted(ids, key=lambda record_id: self._places[family, record_id])

    def keys_of(self, family: str, record: Mapping[str, Any]) -> Iterator[str]:
        """Yield the values of the keys of a record."""
        for path in FAMILIES[family].keys:
            value = normal(at_path(record, path))
            if value:
                yield value

    def version_at(self, family: str, record_id: str, when: float) -> Json | None:
        """Return a record as it was at a time; `None` if it was not there."""
        found = None
        for version in self.history[family].get(record_id, ()):
            if version.at > when:
                break
            found = version.values
        return found

    def lived(self, family: str, record_id: str, since: float, until: float) -> bool:
        """Return whether a record was there all the time from one time to another."""
        versions = self.history[family].get(record_id, [])
        if self.version_at(family, record_id, since) is None:
            return False
        return all(one.values is not None for one in versions if since <= one.at <= until)
