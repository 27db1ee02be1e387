"""Decodes records that match the model straight into rows of cells, without a dict."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any, TypeAlias

import msgspec
from attrs import frozen

from carecloud_async.export.formats.schema import Shape, is_slot_name

__all__ = ["Column", "Path", "RowDecoder"]

#: The names that lead to a field.
Path: TypeAlias = tuple[str, ...]

#: Whole numbers that can be encoded again.
_Int: Any = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

#: The kinds of fields that are text.
_TEXTS = ("str", "date", "datetime")
#: The types of fields whose values are cells without a conversion.
_SIMPLE: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, str | None),
    "int": _Int | None,
    "float": _Int | float | None,
    "bool": bool | None,
}
_TYPES: dict[str, Any] = {**_SIMPLE, "list": list[Any] | None}


@frozen(kw_only=True)
class Column:
    """The place of a column's values in decoded records.

    Attributes:
        place: the dotted name of the object that holds them; empty for the record itself.
        slot: their name in that object.
        kind: the kind of the values, see `Shape`.
    """

    place: str
    slot: str
    kind: str

    @property
    def is_simple(self) -> bool:
        """Whether the values are all text, numbers or booleans, or nothing."""
        return self.kind in _SIMPLE

    def values(self, records: Sequence[Any]) -> list[Any]:
        """Return the values of some records."""
        return list(map(attrgetter(self.slot), self._owners(records)))

    def fill(self, records: Sequence[Any], value: Any) -> None:
        """Set the value of every record."""
        _set_each(self._owners(records), self.slot, repeat(value))

    def _owners(self, records: Sequence[Any]) -> Iterable[Any]:
        return map(attrgetter(self.place), records) if self.place else records


class RowDecoder:
    """Decodes records into rows, a batch at a time.

    Args:
        shape: the fields of a record: all of them are expected, and no others.
        selected: those of them that are columns; may name others.

    Attributes:
        columns: the columns, in their order; none if the selection names what no such record has.
        depth: the number of objects that a row is taken from.
    """

    def __init__(self, shape: Shape, selected: Shape) -> None:
        self._decoder = msgspec.json.Decoder(list[_struct(shape)])  # type: ignore[misc]
        self.columns: list[Column] = []
        self.depth: int = 0
        try:
            self._root = _Part(shape, selected)
        except KeyError:
            return
        self.columns = list(self._root.leaves())
        self.depth = self._root.depth

    def decode(self, records: Sequence[bytes]) -> list[Any]:
        """Return records that were decoded.

        Args:
            records: the records, JSON.

        Raises:
            ValueError: one of them holds an unexpected value.
            RecursionError: likewise.
        """
        if not self.columns:
            raise ValueError
        found: list[Any] = self._decoder.decode(b"[" + b",".join(records) + b"]")
        return found

    def rows(self, records: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of records, each nested object a tuple in its row. The records are used up."""
        return self._root.rows(records)


class _Part:
    """The columns of one object, and of those nested in it."""

    def __init__(self, shape: Shape, selected: Shape, place: str = "") -> None:
        known = _slots(shape)
        self._place = place
        self._kinds: dict[str, str] = {}
        self._nested: dict[str, _Part] = {}
        for name, child in selected.children.items():
            slot = known[name]
            if _is_nested(child):
                self._nested[slot] = _Part(shape.children[name], child, f"{place}.{slot}" if place else slot)
            self._kinds[slot] = child.kind
        is_whole = [*self._kinds] == [*known.values()]
        self._read = msgspec.structs.astuple if is_whole else _tuple_getter([*self._kinds])
        self.depth: int = 1 + sum(part.depth for part in self._nested.values())

    def leaves(self) -> Iterator[Column]:
        for slot, kind in self._kinds.items():
            if slot in self._nested:
                yield from self._nested[slot].leaves()
            else:
                yield Column(place=self._place, slot=slot, kind=kind)

    def rows(self, owners: Sequence[Any]) -> list[tuple[Any, ...]]:
        for slot, part in self._nested.items():
            _set_each(owners, slot, part.rows(list(map(attrgetter(slot), owners))))
        return list(map(self._read, owners))


def _tuple_getter(slots: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(slots) == 1:
        return lambda owner: (getattr(owner, slots[0]),)
    found: Callable[[Any], tuple[Any, ...]] = attrgetter(*slots)
    return found


def _set_each(owners: Iterable[Any], slot: str, values: Iterable[Any]) -> None:
    deque(map(setattr, owners, repeat(slot), values), maxlen=0)  # a loop in C: a third of the time


def _is_nested(shape: Shape) -> bool:
    return shape.kind == "object" and bool(shape.children)


def _slots(shape: Shape) -> dict[str, str]:
    """Return the names of attributes for the fields of an object, by field."""
    # Records with a field of another name are read value by value.
    return {name: f"f{index}" for index, name in enumerate(shape.children) if is_slot_name(name)}


def _struct(shape: Shape) -> Any:
    """Return a msgspec struct of a shape's fields; nested objects are never null."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    for name, slot in _slots(shape).items():
        names[slot] = name
        child = shape.children[name]
        if _is_nested(child):
            inner = _struct(child)
            fields.append((slot, inner, msgspec.field(default_factory=inner)))
        else:
            # An absent text is empty, so that no null has to be removed from the lines.
            fields.append((slot, _TYPES.get(child.kind, Any), "" if child.kind in _TEXTS else None))
    return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)
