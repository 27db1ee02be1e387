"""`PlanBounds`: what bounds the requests of a reading: memory, the rate limiter, and the server's largest page."""

from __future__ import annotations

import math
from collections.abc import Callable

from carecloud_async._lists.paging.trusted_count import TrustedCount

__all__ = ["BUDGET", "PAGE_BYTES", "PlanBounds"]

#: The most bytes of a page, and of all pages in flight together; 20 pages of 1,000 customers are 26 MB.
PAGE_BYTES, BUDGET = 8 * 2**20, 32 * 2**20
#: Requests beyond those that keep the rate limiter busy (Little's law), times this, would only wait.
_AMPLE = 1.5
#: The least seconds of a page: a clock that a test moves may not advance during a request.
_SHORTEST = 1e-6


class PlanBounds:
    """The bounds, from the pages received so far.

    Args:
        rate: returns the requests a second that the rate limiter allows; `None` while it delays none.

    Attributes:
        sizes: the page sizes that the server handles.
        page_seconds: how long the last page took; 0 before the first.
    """

    def __init__(self, rate: Callable[[], float | None]) -> None:
        self._rate = rate
        self._record_bytes = 0.0  # 0 while unknown
        self.sizes: TrustedCount = TrustedCount()
        self.page_seconds: float = 0.0

    def observe(self, *, records: int, size: int, seconds: float) -> None:
        """Take a page into account.

        Args:
            records: its records.
            size: its bytes.
            seconds: how long it took.
        """
        # Large records bound pages at once; when smaller ones follow, pages grow again.
        self._record_bytes = max(size / records, 0.9 * self._record_bytes)
        self.page_seconds = max(seconds, _SHORTEST)

    @property
    def rate(self) -> float | None:
        """The requests a second that the rate limiter allows; `None` while it delays none."""
        return self._rate()

    @property
    def busy_width(self) -> float:
        """The requests at once that keep the rate limiter busy."""
        rate = self._rate()
        return math.inf if rate is None or not self.page_seconds else _AMPLE * rate * self.page_seconds + 1

    def max_count(self, width: int) -> int:
        """Return the largest page size for a number of requests at once."""
        memory = min(PAGE_BYTES, BUDGET / width) / self._record_bytes if self._record_bytes else math.inf
        return int(min(self.sizes.most, memory))

    def max_width(self, count: int) -> float:
        """Return the largest number of requests at once that memory allows for a page size."""
        return BUDGET / (self._record_bytes * count) if self._record_bytes else math.inf
