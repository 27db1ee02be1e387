"""Ids of records."""

from __future__ import annotations

from typing import Any


def same_id(left: Any, right: Any) -> bool:
    """Return whether two ids of the server are the same; a server may write its ids in another case, or as numbers."""
    return left is not None and right is not None and str(left).casefold() == str(right).casefold()


def same_key(shown: Any, sent: str) -> bool:
    """Return whether a record has the id of another system that was sent.

    A server may show such an id as a number, or with spaces around it. Upper and lower case differ.

    Args:
        shown: the value in the record.
        sent: the id as it was sent.
    """
    return shown is not None and str(shown).strip() == sent.strip()
