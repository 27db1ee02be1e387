"""Reads records as rows of typed columns by the tolerant rules, and finds the fields that have no column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from typing import Any

import msgspec

from carecloud_async._base.codec.fields import FieldWarning
from carecloud_async._lists.export.formats.schema import Shape, as_text

__all__ = ["UNKNOWN_FIELDS", "LostValues", "is_blank", "row_reader", "unknown_part"]

#: The last column of a fixed schema: fields that the model does not know, as JSON text.
UNKNOWN_FIELDS = "unknown_fields"

_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "date": date, "datetime": datetime}
_INT64 = 2**63

Reader = Callable[[Any], Any]


class LostValues(FieldWarning):
    """Counts the values of a field that became null, and warns of the first."""

    __slots__ = ("_name", "_nulls")

    def __init__(self, name: str, nulls: Counter[str]) -> None:
        model, _, field = name.rpartition(".")
        super().__init__(model or "record", field)
        self._name = name
        self._nulls = nulls

    def lost(self, problem: str) -> Any:
        """See `FieldWarning.lost`."""
        self._nulls[self._name] += 1
        return super().lost(problem)


def row_reader(shape: Shape, *, zone: tzinfo | None, nulls: Counter[str]) -> Callable[[Any], dict[str, Any]]:
    """Return a function that turns a record, from `load_spelled`, into a row: a dict of values of the columns' types.

    Args:
        shape: the columns.
        zone: the zone that timestamps are converted to UTC from; `None` leaves them naive.
        nulls: counts the values that became null, by dotted field name.
    """
    readers = {name: _reader(child, name, zone, nulls) for name, child in shape.children.items()}

    def read(record: Any) -> dict[str, Any]:
        if not isinstance(record, dict):
            return {}
        return {name: reader(record[name]) for name, reader in readers.items() if name in record}

    return read


def _reader(shape: Shape, name: str, zone: tzinfo | None, nulls: Counter[str]) -> Reader:
    lost = LostValues(name, nulls)
    if shape.kind == "object" and shape.children:
        return _object_reader(shape, name, zone, nulls)
    if shape.kind == "list" and shape.element is not None:
        read_element = _reader(shape.element, name, zone, nulls)

        def read_list(value: Any) -> Any:
            if isinstance(value, dict):  # PHP turns a list with gaps into an object
                value = list(value.values())
            if isinstance(value, list):
                return [read_element(inner) for inner in value]
            return None if is_blank(value) else lost.lost("not a list")

        return read_list
    kind = _TYPES.get(shape.kind)
    if kind is None:
        return lambda value: None if value is None else as_text(value)
    return _moment_reader(zone, lost) if kind is datetime else _scalar_reader(kind, lost)


def _object_reader(shape: Shape, name: str, zone: tzinfo | None, nulls: Counter[str]) -> Reader:
    lost = LostValues(name, nulls)
    readers = {key: _reader(child, f"{name}.{key}", zone, nulls) for key, child in shape.children.items()}

    def read_object(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: read(value[key]) for key, read in readers.items() if key in value}
        return None if is_blank(value) or value == [] else lost.lost("not an object")

    return read_object


def is_blank(value: Any) -> bool:
    """Return whether a value is empty, so that nothing is lost without it."""
    return value is None or (isinstance(value, str) and not value.strip())


def _tolerant(kind: type) -> Any:
    from carecloud_async._base.codec.misfits import SCALARS  # every program loads this module

    return SCALARS[kind]


def _scalar_reader(kind: type, lost: LostValues) -> Reader:
    read = _tolerant(kind)
    plain = kind if kind in {str, bool} else None

    def read_scalar(value: Any) -> Any:
        if value is None or type(value) is plain:
            return value
        found = read(_plain(value), lost)
        if type(found) is int and not -_INT64 <= found < _INT64:
            return lost.lost("a whole number beyond 64 bits")
        return None if isinstance(found, float) and not math.isfinite(found) else found

    return read_scalar


def _plain(value: Any) -> Any:
    return float(bytes(value)) if isinstance(value, msgspec.Raw) else value


def _moment_reader(zone: tzinfo | None, lost: LostValues) -> Reader:
    read = _tolerant(datetime)

    def read_moment(value: Any) -> Any:
        found = read(_plain(value), lost)
        if found is None or zone is None:
            return found
        try:
            return found.replace(tzinfo=zone).astimezone(UTC)
        except OverflowError:
            return lost.lost("a time out of range")

    return read_moment


def unknown_part(value: Any, shape: Shape) -> Any:
    """Return the part of a record that its model does not know, nested as in the record; `None` for none.

    Objects keep the fields that are unknown or have an unknown part. Lists keep their length, with null for elements
    that are wholly known, so that each part keeps its place.

    Args:
        value: the record.
        shape: the model's shape.
    """
    if shape.kind == "object" and shape.children:
        if not isinstance(value, dict):
            return None
        found: dict[str, Any] = {}
        for name, inner in value.items():
            child = shape.children.get(name)
            part = inner if child is None else unknown_part(inner, child)
            if child is None or part is not None:
                found[name] = part
        return found or None
    if shape.kind == "list" and shape.element is not None:
        elements = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(elements, list):
            return None
        parts = [unknown_part(inner, shape.element) for inner in elements]
        return parts if any(part is not None for part in parts) else None
    return None
