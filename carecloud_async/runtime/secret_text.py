"""Text and bytes whose `repr` shows stars, so that error reporters that capture local variables do not capture them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = ["SecretBytes", "SecretText", "conceal", "secret_text"]


class SecretText(str):
    """Text whose `repr` shows stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class SecretBytes(bytes):
    """Bytes whose `repr` shows stars: the encoded body of a call."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'***'"


def secret_text(value: str) -> str:
    """Convert text to `SecretText`; return anything else (a mistake that a validator reports) as it is."""
    return SecretText(value) if isinstance(value, str) else value


def conceal(value: Any) -> Any:
    """Copy what is to be a body or a query so that all texts in it print as stars.

    Args:
        value: texts, mappings, lists, tuples and sets of such; anything else is returned as it is. Inputs are: their
            repr shows ids alone.
    """
    if isinstance(value, str):
        return value if isinstance(value, (Enum, SecretText)) else SecretText(value)
    if isinstance(value, Mapping):
        return {name: conceal(item) for name, item in value.items()}
    if type(value) in {list, tuple, set, frozenset}:
        return type(value)(map(conceal, value))
    return value
