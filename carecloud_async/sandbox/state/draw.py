"""Choices that look random and are computed from a text: the same text always gives the same choices."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

_T = TypeVar("_T")


class Draw:
    """A sequence of choices.

    Args:
        text: The text from which they are computed.
    """

    __slots__ = ("_key", "_pool", "_turn")

    def __init__(self, text: str) -> None:
        self._key = blake2b(text.encode(), digest_size=32).digest()
        self._pool = 0
        self._turn = 0

    def below(self, limit: int) -> int:
        """A number from 0 to below `limit`."""
        if self._pool < 1 << 64:
            self._turn += 1
            self._pool = int.from_bytes(blake2b(self._turn.to_bytes(4, "big"), key=self._key).digest(), "big")
        self._pool, number = divmod(self._pool, limit)
        return number

    def pick(self, choices: Sequence[_T]) -> _T:
        """One of the choices."""
        return choices[self.below(len(choices))]


def hex_id(text: str) -> str:
    """An id in the form of the API's: 26 hex digits, computed from a text."""
    return f"8{blake2b(text.encode(), digest_size=13).hexdigest()[:25]}"
