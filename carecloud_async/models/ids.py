"""Ids of records."""

from __future__ import annotations

__all__ = ["same_id"]


def same_id(one: str | None, other: str | None) -> bool:
    """Return whether two ids of the server are the same; a server may write its ids in another case."""
    return one is not None and other is not None and one.casefold() == other.casefold()
