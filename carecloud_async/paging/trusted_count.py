"""`TrustedCount`: how many records a server is trusted to send at once, learnt from its answers.

A page larger than all that came whole before is asked for without patience: if the server fails at it or caps it, the
rest is asked for in smaller ones and no larger one is tried again.
"""

from __future__ import annotations

from carecloud_async.errors import (
    ApiError,
    BadRequestError,
    CareCloudError,
    ResponseError,
    ServerError,
    TransportError,
)
from carecloud_async.paging.auto import DEFAULT_COUNT

__all__ = ["MAX_COUNT", "TrustedCount", "may_be_too_large"]

#: The records of a page at most.
MAX_COUNT = 5000
#: The status of an answer that a server finds too large.
_TOO_LARGE = 413


class TrustedCount:
    """The page sizes that a server is trusted with.

    Attributes:
        most: the largest that may be asked for.
    """

    def __init__(self) -> None:
        self.most: int = MAX_COUNT
        self._whole = 0

    def is_untried(self, count: int) -> bool:
        """Return whether no page of this size came whole; every server is trusted with the API's own default."""
        return count > self._proven

    def on_page(self, asked: int, received: int, *, at_end: bool) -> None:
        """Note a page that came.

        Args:
            asked: the records asked for.
            received: the entries that came.
            at_end: whether the list ends with it, so that it is no wonder if it is short.
        """
        if received >= asked:
            self._whole = max(self._whole, asked)
        elif received and not at_end and asked > self._whole:
            self._lower(max(received, self._whole))

    def on_failure(self) -> None:
        """Note that the server failed at an untried page."""
        self._lower(self._proven)

    @property
    def _proven(self) -> int:
        return max(self._whole, DEFAULT_COUNT)

    def _lower(self, count: int) -> None:
        self.most = max(min(self.most, count), 1)


def may_be_too_large(error: CareCloudError) -> bool:
    """Return whether a request may have failed because it asked for too many records."""
    if isinstance(error, BadRequestError):
        return not error.invalid_params or any(param.name == "count" for param in error.invalid_params)
    if isinstance(error, ApiError):
        return isinstance(error, ServerError) or error.status == _TOO_LARGE
    return isinstance(error, TransportError | ResponseError)
