"""Families that can be written in bulk, by their names from the client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.bulk_writing import BulkWriting

__all__ = ["bind", "bulk_families", "open_family"]


@cache
def bulk_families() -> Mapping[str, type[BulkWriting]]:
    """Return the families that can be written in bulk by their names from the client, such as `customers.addresses`."""
    len(OPERATIONS)  # imports all families
    return {cls.operations[0].call.rpartition(".")[0]: cls for cls in _subclasses(BulkWriting) if cls.operations}


def _subclasses(cls: type[BulkWriting]) -> Iterator[type[BulkWriting]]:
    for one in cls.__subclasses__():
        yield one
        yield from _subclasses(one)


def open_family(client: Any, name: str, of: Sequence[str]) -> Any:
    """Return a family of the client, bound to its parents' ids, outermost first."""
    return bind(client, name.split("."), list(of))


def bind(client: Any, names: Sequence[str], ids: list[str]) -> Any:
    """Return what the client has under a dotted name, bound to its parents' ids, which are taken off the list."""
    found = client
    for name in names:
        found = getattr(found, name)
        if callable(found):
            found = found(ids.pop(0))
    return found
