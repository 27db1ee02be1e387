"""Values whose `repr` shows stars, so that error reporters that capture local variables do not capture them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, SupportsIndex, overload


class SecretText(str):
    """Text whose `repr` shows stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, key: SupportsIndex | slice) -> SecretText:
        return SecretText(super().__getitem__(key))  # rich prints the first characters of a long variable


class SecretBytes(bytes):
    """Bytes whose `repr` shows stars: the encoded body of a call."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'***'"

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> SecretBytes: ...
    def __getitem__(self, key: SupportsIndex | slice) -> int | SecretBytes:
        part = super().__getitem__(key)
        return part if isinstance(part, int) else SecretBytes(part)


class SecretDict(dict[str, Any]):
    """A dict whose `repr` shows stars: the data of a login's answer."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "{***}"


def _stars(self: object) -> str:  # noqa: ARG001  (a method of the classes below)
    return "***"


class _SecretInt(int):
    __slots__ = ()
    __repr__ = _stars
    __str__ = int.__repr__


class _SecretFloat(float):
    __slots__ = ()
    __repr__ = _stars
    __str__ = float.__repr__


class _SecretDecimal(Decimal):
    __slots__ = ()
    __repr__ = _stars


class _SecretDate(date):
    __slots__ = ()
    __repr__ = _stars


class _SecretDateTime(datetime):
    __slots__ = ()
    __repr__ = _stars


class _SecretTime(time):
    __slots__ = ()
    __repr__ = _stars


#: The secret types for numbers and times of a body. Booleans and enums reveal little, and stay unchanged.
_SECRET: dict[type, Callable[[Any], Any]] = {
    int: _SecretInt,
    float: _SecretFloat,
    Decimal: _SecretDecimal,
    date: lambda value: _SecretDate(value.year, value.month, value.day),
    datetime: lambda value: _SecretDateTime.combine(value.date(), value.timetz()),
    time: lambda value: _SecretTime.fromisoformat(value.isoformat()),
}


def kind_name(value: Any) -> str:
    """Return the name of a value's type for messages; a concealed value has that of the original one."""
    kind = type(value)
    return kind.__mro__[1].__name__ if kind.__module__ == __name__ else kind.__name__


def secret_text(value: str) -> str:
    """Convert text to `SecretText`; return anything else (a mistake that a validator reports) unchanged."""
    return SecretText(value) if isinstance(value, str) else value


def plain_text(value: str) -> str:
    """Convert `SecretText` to `str`, since not every encoder knows subclasses; return anything else unchanged."""
    return str(value) if isinstance(value, SecretText) else value


def conceal(value: Any) -> Any:
    """Copy the values of a query so that all texts in it print as stars.

    Args:
        value: texts, mappings, lists, tuples and sets of such; anything else is returned unchanged, inputs too: their
            repr shows ids alone.
    """
    return _concealed(value, {})


def conceal_body(value: Any) -> Any:
    """Copy the values of a body so that all texts, numbers and times in it print as stars; see `conceal`."""
    return _concealed(value, _SECRET)


def _concealed(value: Any, secret: Mapping[type, Callable[[Any], Any]]) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, (Enum, SecretText)) else SecretText(value)
    if isinstance(value, Mapping):
        return {name: _concealed(item, secret) for name, item in value.items()}
    kind = type(value)
    if kind in {list, tuple, set, frozenset}:
        return kind(_concealed(item, secret) for item in value)
    make = secret.get(kind)
    return value if make is None else make(value)
