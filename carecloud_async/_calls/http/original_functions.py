"""Notices functions of an HTTP library that a tracer or a test tool has patched: a patched function must be called."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from types import FunctionType
from typing import Any


class OriginalFunctions:
    """The functions of a class that a request passes, as the library defines them.

    Args:
        owner: the class.
        names: the names of its functions, at least two; fewer are not found in another release of the library.
    """

    def __init__(self, owner: type[Any], names: Iterable[str]) -> None:
        names = tuple(names)
        self._owner = owner
        self._read = attrgetter(*names)
        own = vars(owner)
        # A wrapper may copy the name of a function, but the name in its code stays its own.
        are_own = len(names) > 1 and all(
            type(own.get(name)) is FunctionType and own[name].__code__.co_qualname == f"{owner.__name__}.{name}"
            for name in names
        )
        self._original: Any = self._read(owner) if are_own else None

    @property
    def unchanged(self) -> bool:
        """Whether they are the library's own now, and were when this object was made."""
        return self._original is not None and bool(self._read(self._owner) == self._original)
