"""The bounds of what an `AutoPlan` may ask for: the user's own numbers, the memory of pages, and the rate limiter."""

from __future__ import annotations

import math
from collections.abc import Callable

from carecloud_async.paging.auto import AUTO, Auto
from carecloud_async.paging.hill_climb import Setting
from carecloud_async.paging.trusted_count import TrustedCount

__all__ = ["BUDGET", "PAGE_BYTES", "WIDTH", "AutoBounds", "ByteBudget", "LimiterLoad"]

#: The requests at once to begin with, after the first page.
WIDTH = 8
#: The bytes of a page at most, and of all pages in flight together; 20 pages of 1,000 customers are 26 MB.
PAGE_BYTES, BUDGET = 8 * 2**20, 32 * 2**20
#: A page may take so many seconds at most, as far as that can be foreseen: reads are given 30.
_LONGEST = 5.0
#: The width is so much larger than what keeps the rate limiter busy.
_AMPLE = 1.5
#: Records so much larger than those before ask for a new search: the page size is bounded by their bytes.
_GROWN = 2


class ByteBudget:
    """Bounds pages by the mean bytes of the records that came."""

    def __init__(self) -> None:
        self._bytes = self._records = 0
        self._each = 0.0

    def add(self, received: int, size: int) -> None:
        """Count the records of a page and its bytes; 0 bytes if they are unknown."""
        self._records += received
        self._bytes += size

    def restart(self, received: int, size: int) -> None:
        """Count from this page on."""
        self._records, self._bytes = received, size

    def hold(self) -> None:
        """Bound the width by the records of now, until this is called again: in a trial it must not change."""
        self._each = self._mean

    def is_outgrown(self, received: int, size: int) -> bool:
        """Return whether a page is too large, and its records are far larger than those before."""
        return size > max(PAGE_BYTES, _GROWN * self._each * received)

    def most_records(self, width: int) -> float:
        """Return the largest page with so many requests at once."""
        each = self._mean
        return min(PAGE_BYTES / each, BUDGET / (each * width)) if each else math.inf

    def most_requests(self, count: int) -> float:
        """Return the largest number of requests at once with pages of this size; it may be below 1."""
        return math.floor(BUDGET / (count * self._each)) if self._each else math.inf

    @property
    def _mean(self) -> float:
        return self._bytes / self._records if self._records else 0.0


class LimiterLoad:
    """The requests at once that keep the rate limiter busy (Little's law).

    Args:
        rate: returns the requests a second that the rate limiter lets pass; `None` while it holds none back.

    Attributes:
        requests_per_second: see `rate`.
        latency: the seconds that a page takes; 0 while unknown.
    """

    def __init__(self, rate: Callable[[], float | None]) -> None:
        self.requests_per_second: Callable[[], float | None] = rate
        self.latency: float = 0.0

    def is_scarce(self, width: int) -> bool:
        """Return whether fewer requests at once would keep the limiter busy: then it is what bounds."""
        rate = self.requests_per_second()
        return rate is not None and rate * self.latency < width

    @property
    def most_requests(self) -> float:
        """What would wait at the limiter beyond this is better asked for later, by what is known then."""
        rate = self.requests_per_second()
        return math.inf if rate is None or not self.latency else math.ceil(_AMPLE * rate * self.latency) + 1


class AutoBounds:
    """Says what a setting comes to within all bounds, and how far a search may go.

    Args:
        width: the user's number of requests at once, or `auto`.
        count: the user's page size, or `auto`.
        most_requests: the largest width that is found.
        rate: see `LimiterLoad`.

    Attributes:
        trusted: the page sizes that the server is trusted with.
        budget: the memory of pages.
        limiter: the load of the rate limiter.
    """

    def __init__(
        self, *, width: int | Auto, count: int | Auto, most_requests: int, rate: Callable[[], float | None]
    ) -> None:
        self._fixed_width = None if width == AUTO else width
        self._fixed_count = None if count == AUTO else count
        self._most_requests = max(most_requests, 1)
        self.trusted: TrustedCount = TrustedCount()
        self.budget: ByteBudget = ByteBudget()
        self.limiter: LimiterLoad = LimiterLoad(rate)

    @property
    def is_count_fixed(self) -> bool:
        """Whether the user gave the page size."""
        return self._fixed_count is not None

    def first(self, count: int) -> Setting:
        """Return the setting to begin with: the user's numbers, and for the others `WIDTH` and a page size."""
        return Setting(width=self._fixed_width or WIDTH, count=self._fixed_count or count)

    def width(self, setting: Setting) -> int:
        """Return the number of requests at once that a setting comes to."""
        if self._fixed_width is not None:
            return self._fixed_width
        width = min(setting.width, self.limiter.most_requests, self.most_requests(self.count(setting)))
        return max(int(width), 1)

    def count(self, setting: Setting) -> int:
        """Return the number of records of a page that a setting comes to."""
        return self._fixed_count or max(min(setting.count, self.trusted.most), 1)

    def width_of_search(self, setting: Setting) -> int:
        """Return the width from which a search begins."""
        return self._fixed_width or min(setting.width, self._most_requests)

    def most_records(self, width: int, pace: float) -> int:
        """Return the largest page for a search; 0 for a page size that is fixed.

        Args:
            width: the number of requests at once.
            pace: the seconds that a record takes; 0 if unknown.
        """
        if self.is_count_fixed:
            return 0
        most = min(self.trusted.most, self.budget.most_records(width))
        return int(min(most, _LONGEST / pace) if pace else most)

    def most_requests(self, count: int) -> int:
        """Return the largest width for a search with pages of this size; 0 for a width that is fixed."""
        if self._fixed_width is not None:
            return 0
        most = self.budget.most_requests(count)
        # Pages of the user's own size may be as large as they are: as many as ever are in flight in any case.
        return int(min(self._most_requests, max(most, WIDTH) if self.is_count_fixed else most))
