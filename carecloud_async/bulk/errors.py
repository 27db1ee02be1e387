"""Errors of bulk writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecloud_async.errors import CareCloudError, ConfigurationError
from carecloud_async.fixes import Fix

if TYPE_CHECKING:
    from carecloud_async.bulk.report import BulkWriteReport

__all__ = ["BadSourceError", "BulkWriteError", "ConversionError", "TooManyRefusedError", "UnknownColumnError"]


class ConversionError(ValueError):
    """A value that a field cannot take; neither the text nor an attribute has the value.

    Attributes:
        problem: the reason.
        fix: the setting of bulk writes that mends it, if there is one; other calls leave it out.
    """

    def __init__(self, problem: str, *, fix: Fix | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return self.problem if self.fix is None else f"{self.problem}; {self.fix}"


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
