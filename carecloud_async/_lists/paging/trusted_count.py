"""`TrustedCount`: the largest page size that a server handles, learnt from its answers.

A page larger than every complete page before is requested without retries: if the server fails at it or caps it, the
rest is requested in smaller pages, and no larger one is tried again.
"""

from __future__ import annotations

from carecloud_async._lists.paging.auto import DEFAULT_COUNT
from carecloud_async.errors import (
    ApiError,
    BadRequestError,
    CareCloudError,
    ResponseError,
    ServerError,
    TransportError,
)

__all__ = ["MAX_COUNT", "TrustedCount", "may_be_too_large"]

#: The largest page size.
MAX_COUNT = 5000
#: The status of a server that refuses a page as too large.
_TOO_LARGE = 413


class TrustedCount:
    """The page sizes that a server handles.

    Attributes:
        most: the largest that may be requested.
    """

    def __init__(self) -> None:
        self.most: int = MAX_COUNT
        self._whole = 0

    def is_untried(self, count: int) -> bool:
        """Return whether no page of this size came complete; every server is assumed to handle the API's default."""
        return count > self._proven

    def on_page(self, asked: int, received: int, *, at_end: bool) -> None:
        """Note a page that was received.

        Args:
            asked: the number of records requested.
            received: the number of entries received.
            at_end: whether the list ends with it, so that a short page is expected.
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
