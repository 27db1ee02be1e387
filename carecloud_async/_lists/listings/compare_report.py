"""`CompareReport`: what a comparison of a list with a source found, and the options of one."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from attrs import field, frozen

from carecloud_async._lists.export.reasons import InexactReason

__all__ = ["CompareOptions", "CompareReport", "Verdict"]


class Verdict(StrEnum):
    """What a comparison says of a row or a record. Each has exactly one."""

    SAME = "same"
    """The record has every value that the row names."""
    DIFFERENT = "different"
    """The record has other values in the fields that are listed."""
    MISSING_THERE = "missing_there"
    """No record of the list has the key of the row."""
    MISSING_HERE = "missing_here"
    """No row has the key of the record."""
    TWICE = "twice"
    """Several rows, or several records, have the key of the row."""
    UNREADABLE = "unreadable"
    """The row cannot be read, or has no key."""


@frozen(kw_only=True)
class CompareOptions:
    """The options of a comparison; see `Listing.compare`."""

    match: str
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    date_format: str | None = None
    phone_prefix: str | None = None
    columns: Mapping[str, Any] | str | os.PathLike[str] | None = None
    ignore_columns: Collection[str] = ()
    only_file: bool = False
    results: str | os.PathLike[str] | None = None


@frozen(kw_only=True)
class CompareReport:
    """The result of a comparison.

    Attributes:
        rows: rows of the source.
        records: records of the list.
        same: rows whose record has every value that they name.
        different: rows whose record has other values.
        missing_there: rows whose key no record has.
        missing_here: records whose key no row has; 0 with `only_file`, which passes them over.
        twice: rows whose key several rows or several records have.
        unreadable: rows that cannot be read or have no key.
        reasons: why the list may not have been read exactly; then records that seem to be missing may be there.
        requests: requests made.
        seconds: duration.
        results: the file with a line for each row and each missing record, if one was asked for.
        not_compared: column → field, of the columns whose values were not compared, since the list does not show their
            field, such as a customer's `card_number`.
    """

    rows: int
    records: int
    same: int = 0
    different: int = 0
    missing_there: int = 0
    missing_here: int = 0
    twice: int = 0
    unreadable: int = 0
    reasons: Sequence[InexactReason]
    requests: int = 0
    seconds: float = 0.0
    results: str | None = None
    not_compared: Mapping[str, str] = field(factory=dict)

    @property
    def exact(self) -> bool:
        """Whether the list was read exactly: there are no `reasons` against it."""
        return not self.reasons

    @property
    def all_same(self) -> bool:
        """Whether the list was read exactly, and it and the source have the same records with the same values.

        With `only_file` the list may have more records.
        """
        return self.exact and self.rows == self.same and not self.missing_here
