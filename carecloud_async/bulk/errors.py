"""Errors of bulk writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecloud_async.errors import CareCloudError, ConfigurationError
from carecloud_async.fixes import Fix

if TYPE_CHECKING:
    from carecloud_async.bulk.report import BulkWriteReport

__all__ = ["BadSourceError", "BulkWriteError", "ConversionError", "TooManyRefusedError", "UnknownColumnError"]


class ConversionError(ValueError):
    """A value that a field cannot take; the text is the reason, without the value."""


class BulkWriteError(CareCloudError):
    """A bulk write cannot start or continue; finished rows are kept, and `resume=True` continues.

    Attributes:
        fix: the step that mends it, as data.
        report: the outcomes so far; `None` if nothing had begun.
    """

    def __init__(self, message: str, *, report: BulkWriteReport | None = None, fix: Fix | None = None) -> None:
        super().__init__(message, fix=fix)
        self.report = report


class BadSourceError(BulkWriteError, ConfigurationError):
    """The source cannot be used; nothing was sent."""


class UnknownColumnError(BadSourceError):
    """A column leads to no field that the SDK knows."""


class TooManyRefusedError(BulkWriteError):
    """More rows are refused than `max_refused` allows; results and rejects have the rows until then."""
