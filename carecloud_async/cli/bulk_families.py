"""Families that can be written in bulk, by their names on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from carecloud_async.cli.failures import UsageError, nearest
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.bulk_writing import BulkWriting

__all__ = ["check_family", "open_family"]


@cache
def _families() -> Mapping[str, type[BulkWriting]]:
    """Return the families by their names from the client, such as `customers.addresses`."""
    assert OPERATIONS  # noqa: S101  (loads all families)
    found: dict[str, type[BulkWriting]] = {}
    waiting = list(BulkWriting.__subclasses__())
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.operations:
            found[cls.operations[0].call.rpartition(".")[0]] = cls
    return found


def check_family(resource: str, of: Sequence[str]) -> None:
    """Check that a family can be written in bulk, and that its parents' ids are given.

    Raises:
        UsageError: it cannot, or they are not.
    """
    if resource not in _families():
        raise UsageError(f"{resource} cannot be written in bulk: {nearest(resource, _families())}")
    wanted = resource.count(".")
    if len(of) != wanted:
        what = f"the ids of its {wanted} parents" if wanted > 1 else "the id of its parent" if wanted else "no --of"
        raise UsageError(f"{resource} takes {what}" + (" with --of" if wanted else ""))


def open_family(client: Any, resource: str, of: Sequence[str]) -> Any:
    """Return a family of the client, bound to its parents' ids."""
    ids = list(of)
    family = client
    for name in resource.split("."):
        family = getattr(family, name)
        if callable(family):
            family = family(ids.pop(0))
    return family
