"""Families that can be written in bulk, by their names from the client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._calls.call.operation import Operation
from carecloud_async.errors import ConfigurationError
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.families import Families
from carecloud_async.resources.hints import why_not_in_bulk

__all__ = ["all_families", "bind", "bulk_families", "open_family", "plain_name", "require_bulk"]


@cache
def bulk_families() -> Mapping[str, type[BulkWriting]]:
    """Return the families that can be written in bulk by their names from the client, such as `customers.addresses`."""
    len(OPERATIONS)  # imports all families
    return {cls._operations[0].call.rpartition(".")[0]: cls for cls in _subclasses(BulkWriting) if cls._operations}


@cache
def all_families() -> Mapping[str, Sequence[Operation]]:
    """Return the operations of every family by its name from the client, such as `customers.addresses`."""
    found: dict[str, list[Operation]] = {}
    for operation in OPERATIONS.values():
        found.setdefault(operation.call.rpartition(".")[0], []).append(operation)
    return found


def plain_name(name: str) -> str:
    """Return the name of a family from the client: `product-groups` means `product_groups`."""
    return name.replace("-", "_").replace("/", ".")


def require_bulk(name: str) -> None:
    """Check that a family can be written in bulk.

    Raises:
        ConfigurationError: it cannot, which the message explains, or there is none of that name.
    """
    if name in bulk_families():
        return
    operations = all_families().get(name)
    if operations is None:
        known = bulk_families()
        hint = did_you_mean(name, known) or f": there are {', '.join(sorted(known))}"
        raise ConfigurationError(f"there is no resource {name!r} to write in bulk{hint}")
    raise ConfigurationError(f"{name} cannot be written in bulk: {why_not_in_bulk(name, operations)}")


def _subclasses(cls: type[BulkWriting]) -> Iterator[type[BulkWriting]]:
    for one in cls.__subclasses__():
        yield one
        yield from _subclasses(one)


def open_family(client: Families, name: str, of: Sequence[str]) -> BulkWriting:
    """Return a family of the client that can be written in bulk, bound to its parents' ids, outermost first."""
    family: BulkWriting = bind(client, name.split("."), list(of))
    return family


def bind(client: Families, names: Sequence[str], ids: list[str]) -> Any:
    """Return what the client has under a dotted name, bound to its parents' ids, which are taken off the list."""
    found: Any = client
    for name in names:
        found = getattr(found, name)
        if callable(found):
            found = found(ids.pop(0))
    return found
