"""Families that can be written in bulk, by their names from the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.bulk_writing import BulkWriting

__all__ = ["bulk_families", "open_family"]


@cache
def bulk_families() -> Mapping[str, type[BulkWriting]]:
    """Return the families that can be written in bulk by their names from the client, such as `customers.addresses`."""
    assert OPERATIONS  # noqa: S101  (loads all families)
    found: dict[str, type[BulkWriting]] = {}
    waiting = list(BulkWriting.__subclasses__())
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.operations:
            found[cls.operations[0].call.rpartition(".")[0]] = cls
    return found


def open_family(client: Any, name: str, of: Sequence[str]) -> Any:
    """Return a family of the client, bound to its parents' ids, outermost first."""
    ids = list(of)
    family = client
    for part in name.split("."):
        family = getattr(family, part)
        if callable(family):
            family = family(ids.pop(0))
    return family
