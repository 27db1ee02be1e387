"""Untidy records in one pass: fields that were at fault time and again are left open, and read by the lenient rules.

A decoder of its own reads the records that the exact one refuses, into structs that have the fields of the models, with
those at fault of any type. When these are read, msgspec makes models of the structs.
"""

from __future__ import annotations

import typing
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import msgspec
from attrs import frozen

from carecloud_async.codec import lenient
from carecloud_async.codec.fields import core_type, element_type, field_types, has_renamed_fields, is_model
from carecloud_async.codec.typed_cache import typed_cache

__all__ = ["FieldPath", "KnownFaults", "known_faults"]

#: How often a field must have been at fault to be left open: making the structs takes as long as mending 200 records.
_OFTEN = 20
#: How many fields are left open, and how many are counted.
_MOST_OPEN, _MOST_COUNTED = 12, 1000

#: The names that lead to a field, whatever the positions in lists on the way.
FieldPath = tuple[str, ...]


class _NotOpenError(TypeError):
    """A field is such that nothing else can stand for it."""


@frozen
class _Open:
    """A model with open fields.

    Attributes:
        cls: a struct with the model's fields.
        close: reads the open fields of an instance by the lenient rules.
    """

    cls: type[Any]
    close: Callable[[Any], None]


class KnownFaults:
    """Reads the untidy records of one type, and learns which of its fields are at fault.

    Args:
        into: the model class.
    """

    def __init__(self, into: type[Any]) -> None:
        self._into = into
        self._often: Counter[FieldPath] = Counter()
        self._paths: frozenset[FieldPath] = frozenset()
        self._open: tuple[msgspec.json.Decoder[Any], _Open] | None = None

    def read(self, raw: bytes | msgspec.Raw) -> Any:
        """Read an untidy record if all that is at fault is known.

        Returns:
            the record, as `lenient.structure` reads it; `None` while nothing is known.

        Raises:
            ValueError: another field is at fault; the message is msgspec's.
            RecursionError: it is nested too deeply.
        """
        if self._open is None:
            return None
        decoder, opened = self._open
        record = decoder.decode(raw)
        opened.close(record)
        return msgspec.convert(record, self._into, from_attributes=True)

    def learn(self, path: FieldPath) -> None:
        """Note that a field was at fault; from the twentieth time on it is left open."""
        often = self._often
        if path not in often and len(often) >= _MOST_COUNTED:
            return
        often[path] += 1
        if often[path] != _OFTEN or len(self._paths) >= _MOST_OPEN or has_renamed_fields(self._into):
            return
        paths = self._paths | {path}
        try:
            opened = _opened(self._into, paths)
            self._open = msgspec.json.Decoder(opened.cls), opened
        except TypeError:
            return  # such records are mended one by one, then
        self._paths = paths


@typed_cache
def known_faults(into: Any) -> KnownFaults:
    """Return what is known of the faults of a type's records."""
    return KnownFaults(into)


def _opened(into: Any, paths: Iterable[FieldPath]) -> _Open:
    """Make the struct that stands for a model, with the fields at those paths left open.

    Raises:
        TypeError: no struct can.
    """
    hints = typing.get_type_hints(into, include_extras=True)
    steps: list[Callable[[Any], None]] = []
    own = {path[0] for path in paths if len(path) == 1}
    for name in own:
        hints[name] = Any
        steps.append(_reading(into, name))
    for name in {path[0] for path in paths} - own:
        hints[name], step = _descending(hints[name], name, [path[1:] for path in paths if path[0] == name])
        steps.append(step)
    fields: list[Any] = [(field.name, hints[field.name], *_default(field)) for field in attrs.fields(into)]

    def close(record: Any) -> None:
        for step in steps:
            step(record)

    return _Open(msgspec.defstruct(into.__name__, fields, kw_only=True, gc=False), close)


def _default(field: attrs.Attribute[Any]) -> tuple[Any, ...]:
    default: Any = field.default
    if default is attrs.NOTHING:
        return ()
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        raise _NotOpenError("a default is made for each instance")
    return (default if default is None or default == () else msgspec.field(default_factory=lambda: default),)


def _reading(into: Any, name: str) -> Callable[[Any], None]:
    """Return what reads an open field by the lenient rules."""
    read, default = lenient.field_reader(into, name), attrs.fields_dict(into)[name].default
    core = core_type(field_types(into)[name])
    # No rule changes these: of a record that is at fault, most open fields are not.
    exact = core if core in {str, int, float, bool} else None

    def step(record: Any) -> None:
        value = getattr(record, name)
        if value is not default and type(value) is not exact:
            setattr(record, name, read(value))

    return step


def _descending(hint: Any, name: str, paths: list[FieldPath]) -> tuple[Any, Callable[[Any], None]]:
    """Return the type of a field that holds objects with open fields, and what closes these."""
    core = core_type(hint)
    element = element_type(core) if typing.get_origin(core) is tuple else None
    model = core if element is None else element
    if not is_model(model) or typing.get_origin(model) is not None:
        raise _NotOpenError("it holds no objects of one model")
    opened = _opened(model, paths)
    cls, close = opened.cls, opened.close

    def close_one(record: Any) -> None:
        value = getattr(record, name)
        if type(value) is cls:  # and no default
            close(value)

    def close_each(record: Any) -> None:
        for value in getattr(record, name) or ():
            if type(value) is cls:
                close(value)

    held: Any = cls if element is None else tuple[cls, ...]  # type: ignore[valid-type]
    optional = type(None) in typing.get_args(hint)
    return (held | None) if optional else held, close_one if element is None else close_each
