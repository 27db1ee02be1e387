"""`Table`: the records of one list, made when they are asked for; changed by requests and by tests."""

from __future__ import annotations

import copy
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from threading import RLock
from typing import Any, Final, TypeAlias

from carecloud_async.sandbox.json_text import JsonObject, escaped_json_bytes, json_bytes, merged
from carecloud_async.sandbox.state.facts import TablePlan, fields_of

#: Where a record holds a value: a field, or a field of the object, or of the objects of a list, in a field.
Path: TypeAlias = tuple[str, ...]

_KEPT_SEARCHES: Final = 8


class Table:
    """The records of one list; tests use it to change the state without the client.

    Records are numbered in the order in which they came. Safe to use from another thread than the server's.

    Args:
        plan: its list, schema and id.
        size: number of records at the start.
        id_of: returns the id of a number, whether such a record exists or not.
        number_of: returns the number of an id; by default the ids are kept in memory.
        make: makes the record with this number and id.
        timestamp: returns the time of a change as the API writes it.
        lock: held while a record is changed.
        guesses: paths of texts from which the number of an unchanged record follows, each with the function that
            returns it or `None`. An index of these holds changed records only, and a record is made each time that it
            is asked for, which saves memory.

    Attributes:
        plan: its list, schema and id.
        lock: held while a record is changed.
        seeded: number of records at the start.
    """

    def __init__(
        self,
        plan: TablePlan,
        size: int,
        *,
        id_of: Callable[[int], str],
        number_of: Callable[[str], int | None] | None = None,
        make: Callable[[int, str], JsonObject],
        timestamp: Callable[[], str],
        lock: RLock,
        guesses: Mapping[Path, Callable[[str], int | None]] | None = None,
    ) -> None:
        self.plan: TablePlan = plan
        self.lock: RLock = lock
        self.seeded: int = size
        self._id_of = id_of
        self._numbers = {} if number_of else {id_of(number): number for number in range(size)}
        self._number_of = number_of or self._numbers.get
        self._make = make
        self._timestamp = timestamp
        self._guesses = guesses or {}
        self._live = array("I", range(size))
        self._next = size
        self._records: dict[int, JsonObject] = {}
        self._indexes: dict[Path, dict[str, set[int]]] = {}
        self._orders: dict[str, array[int]] = {}
        self._searches: dict[object, Sequence[int]] = {}

    def __repr__(self) -> str:
        return f"<Table {self.plan.name} of {len(self)} records>"

    # For tests

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, record_id: object) -> bool:
        return isinstance(record_id, str) and self.number(record_id) is not None

    def __iter__(self) -> Iterator[JsonObject]:
        """Copies of all records, oldest first."""
        return (copy.deepcopy(self.record_at(number)) for number in array("I", self._live))

    def ids(self) -> list[str]:
        """The ids of all records, oldest first; of records without an id in the API, the sandbox's own."""
        return [self._id_of(number) for number in self._live]

    def id_at(self, index: int) -> str:
        """The id of the record at a position, oldest first."""
        return self._id_of(self._live[index])

    def get(self, record_id: str) -> JsonObject:
        """A copy of a record.

        Raises:
            KeyError: there is no such record.
        """
        return copy.deepcopy(self.record(record_id))

    def insert(self, record: JsonObject | None = None) -> str:
        """Add a record.

        Args:
            record: its fields; the id is the server's. `None` makes a record up.

        Returns:
            The new id.
        """
        with self.lock:
            number = self._next
            self._next += 1
            record_id = self._id_of(number)
            self._numbers[record_id] = number
            self._store(number, self._make(number, record_id) if record is None else record)
            self._live.append(number)
            return record_id

    def update(self, record_id: str, changes: JsonObject) -> None:
        """Change some fields of a record, deep; `last_change`, if it has one, becomes now unless it is among them.

        Raises:
            KeyError: there is no such record.
        """
        with self.lock:
            before = self.record(record_id)
            dated = {"last_change": self._timestamp()} if "last_change" in before else {}
            self.replace(record_id, merged(before, {**dated, **changes}))

    def replace(self, record_id: str, record: JsonObject) -> None:
        """Replace a whole record; only the id stays.

        Raises:
            KeyError: there is no such record.
        """
        with self.lock:
            number = self.known_number(record_id)
            self._forget(number)
            self._store(number, record)

    def delete(self, record_id: str) -> None:
        """Remove a record.

        Raises:
            KeyError: there is no such record.
        """
        with self.lock:
            number = self.known_number(record_id)
            self._forget(number)
            del self._live[bisect_left(self._live, number)]
            self._records.pop(number, None)

    def refill(self, records: Iterable[JsonObject]) -> None:
        """Replace all records by others."""
        with self.lock:
            for record_id in self.ids():
                self.delete(record_id)
            for record in records:
                self.insert(record)

    # For handlers, which must not change the records and arrays that they get

    def number(self, record_id: str) -> int | None:
        """The number of a record, or `None` if there is no such record."""
        number = self._number_of(record_id)
        return number if number is not None and self._is_live(number) else None

    def known_number(self, record_id: str) -> int:
        """The number of a record.

        Raises:
            KeyError: there is no such record.
        """
        number = self.number(record_id)
        if number is None:
            raise KeyError(record_id)
        return number

    def id_of(self, number: int) -> str:
        """The id of the record with this number."""
        return self._id_of(number)

    def record(self, record_id: str) -> JsonObject:
        """The record with this id.

        Raises:
            KeyError: there is no such record.
        """
        return self.record_at(self.known_number(record_id))

    def record_at(self, number: int) -> JsonObject:
        """The record with this number."""
        record = self._records.get(number)
        if record is None:
            record = self._make(number, self._id_of(number))
            if not self._guesses:
                self._records[number] = record
        return record

    def numbers(self) -> array[int]:
        """The numbers of all records, oldest first."""
        return self._live

    def find(self, field: str, *values: object) -> list[str]:
        """The ids of the records whose field has one of these values, or a list with one of them; oldest first."""
        return [self._id_of(number) for number in self.with_values((field,), values)]

    def matching(self, field: str, *values: object) -> list[tuple[str, JsonObject]]:
        """The ids and the records that `find` finds."""
        return [(self._id_of(number), self.record_at(number)) for number in self.with_values((field,), values)]

    def is_indexed(self, path: Path) -> bool:
        """Whether records are found by their values at a path without reading all of them each time."""
        return not self._guesses or path in self._guesses or path == (self.plan.id_field,)

    def with_values(self, path: Path, values: Iterable[object]) -> list[int]:
        """The numbers of the records that have one of these values at a path, oldest first.

        Texts are compared without regard to case, numbers as texts.
        """
        if path == (self.plan.id_field,):
            known = (self.number(str(value)) for value in values)
            return sorted({number for number in known if number is not None})
        with self.lock:
            index = self._index(path)
            numbers: set[int] = set()
            for key in map(comparable, values):
                numbers |= index.get(key, set())
                number = self._guesses[path](key) if path in self._guesses else None
                unchanged = number is not None and number not in self._records and self._is_live(number)
                if number is not None and unchanged and key in _keys(self.record_at(number), path):
                    numbers.add(number)
            return sorted(numbers)

    def sorted_by(self, field: str) -> array[int]:
        """The numbers of all records in ascending order of a field; absent values come first."""
        with self.lock:
            if field not in self._orders:
                # The order of equal values is that of their numbers, because the sort is stable.
                self._orders[field] = array("I", sorted(self._live, key=lambda number: self.sort_value(number, field)))
            return self._orders[field]

    def sort_value(self, number: int, field: str) -> Any:
        """Return the sort key of a record; the keys of a field have one type."""
        if field == self.plan.id_field:
            return self._id_of(number)
        value = self.record_at(number).get(field)
        if field in _texts(self.plan.schema):
            return "" if value is None else str(value)
        return value if isinstance(value, int | float) else -1

    def search(self, key: object, find: Callable[[], Sequence[int]]) -> Sequence[int]:
        """Return the result of a search; the last few are kept until a record changes, for the pages of a list.

        Args:
            key: names the search.
            find: searches.
        """
        if key not in self._searches:
            while len(self._searches) >= _KEPT_SEARCHES:
                del self._searches[next(iter(self._searches))]
            self._searches[key] = find()
        return self._searches[key]

    def _is_live(self, number: int) -> bool:
        place = bisect_left(self._live, number)
        return place < len(self._live) and self._live[place] == number

    def _index(self, path: Path) -> dict[str, set[int]]:
        index = self._indexes.get(path)
        if index is None:
            index = self._indexes[path] = defaultdict(set)
            for number in sorted(self._records) if path in self._guesses else self._live:
                for key in _keys(self.record_at(number), path):
                    index[key].add(number)
        return index

    def _store(self, number: int, record: JsonObject) -> None:
        own = {} if self.plan.id_field is None else {self.plan.id_field: self._id_of(number)}
        stored = self._records[number] = {**own, **copy.deepcopy(record), **own}
        for path, index in self._indexes.items():
            for key in _keys(stored, path):
                index[key].add(number)
        for field, order in self._orders.items():
            order.insert(self._place(order, field, number), number)
        self._searches.clear()

    def _forget(self, number: int) -> None:
        """Remove a record from indexes and orders, before it changes."""
        record = self.record_at(number)
        for path, index in self._indexes.items():
            for key in _keys(record, path):
                index[key].discard(number)
        for field, order in self._orders.items():
            del order[self._place(order, field, number)]
        self._searches.clear()

    def _place(self, order: array[int], field: str, number: int) -> int:
        def key(other: int) -> tuple[Any, int]:
            return self.sort_value(other, field), other

        return bisect_left(order, key(number), key=key)


def values_at(record: JsonObject, path: Path) -> Iterator[Any]:
    """The values that a record has at a path, through a list on the way and one at its end."""
    values: list[Any] = [record]
    for name in path:
        inner = [value.get(name) for value in values if isinstance(value, dict)]
        values = [item for value in inner for item in (value if isinstance(value, list) else (value,))]
    return iter(values)


def comparable(value: object) -> str:
    """Return a value as searches compare it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).casefold()


def written(record: JsonObject, *, number: int) -> bytes:
    """The compact JSON of the record with this number; every eighth is written as PHP servers do."""
    return escaped_json_bytes(record) if number % 8 == 5 else json_bytes(record)


def _keys(record: JsonObject, path: Path) -> set[str]:
    return {comparable(value) for value in values_at(record, path) if value is not None and not isinstance(value, dict)}


@cache
def _texts(schema: str) -> frozenset[str]:
    return frozenset(field.name for field in fields_of(schema) if field.type == "string")
