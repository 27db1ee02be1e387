"""Families that can be written in bulk, as the command line names them."""

from __future__ import annotations

from collections.abc import Sequence

from carecloud_async.cli.failures import UsageError, nearest
from carecloud_async.lookup.families import bulk_families

__all__ = ["check_family"]


def check_family(resource: str, of: Sequence[str]) -> None:
    """Check that a family can be written in bulk, and that its parents' ids are given.

    Raises:
        UsageError: it cannot, or they are not.
    """
    if resource not in bulk_families():
        raise UsageError(f"{resource} cannot be written in bulk: {nearest(resource, bulk_families())}")
    wanted = resource.count(".")
    if len(of) != wanted:
        what = f"the ids of its {wanted} parents" if wanted > 1 else "the id of its parent" if wanted else "no --of"
        raise UsageError(f"{resource} takes {what}" + (" with --of" if wanted else ""))
