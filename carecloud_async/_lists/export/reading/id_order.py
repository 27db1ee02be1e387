"""The order of ids that a server keeps, learnt from its pages.

The API does not say how ids are compared, so the usual orders are all candidates: by text, as numbers in text, ignoring
case, each rising and falling. Every page rules out the orders that it contradicts. Nothing is decided while the
remaining candidates disagree.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from carecloud_async._lists.export.reading.pages import Identity

__all__ = ["IdOrder"]

_Keys = Sequence[Any] | None


def _text(ids: Sequence[Identity]) -> _Keys:
    return ids if set(map(type, ids)) <= {str} else None


def _number(ids: Sequence[Identity]) -> _Keys:
    try:
        return [_to_int(one) for one in ids]
    except ValueError:
        return None


def _to_int(one: Identity) -> int:
    if type(one) is int:
        return one
    if isinstance(one, str) and one.isascii() and one.isdigit() and len(one) < 40:
        return int(one)
    raise ValueError


def _casefold(ids: Sequence[Identity]) -> _Keys:
    texts = _text(ids)
    if texts is None:
        return None
    together = "".join(texts)
    return texts if together.casefold() == together else [one.casefold() for one in texts]


#: The usual orders; a name with `-` before it is the falling order.
_KEYS: dict[str, Callable[[Sequence[Identity]], _Keys]] = {"text": _text, "number": _number, "casefold": _casefold}
_NAMES = (*_KEYS, *(f"-{name}" for name in _KEYS))


class IdOrder:
    """The orders that agree with all pages so far.

    Args:
        names: the remaining orders; all by default.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names: list[str] = [name for name in _NAMES if names is None or name in names]

    def check(self, ids: Sequence[Identity]) -> bool:
        """Drop the orders that a run of ids contradicts; return whether any remains."""
        self.names = [name for name in self.names if _is_sorted(name, ids)]
        return bool(self.names)

    def compare(self, one: Identity, other: Identity) -> int:
        """Return -1 if an id comes before another, 1 if after it, 0 if the remaining orders disagree."""
        signs = {_compare(name, one, other) for name in self.names}
        return signs.pop() if len(signs) == 1 else 0


def _is_sorted(name: str, ids: Sequence[Identity]) -> bool:
    keys = _KEYS[name.removeprefix("-")](ids)
    before = operator.gt if name.startswith("-") else operator.lt
    return keys is not None and all(map(before, keys, keys[1:]))


def _compare(name: str, one: Identity, other: Identity) -> int:
    keys = _KEYS[name.removeprefix("-")]([one, other])
    if keys is None or keys[0] == keys[1]:
        return 0
    return -1 if (keys[0] < keys[1]) != name.startswith("-") else 1
