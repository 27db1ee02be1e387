"""`PagePlan`: how many pages are requested at once, and of what size: the user's numbers, or numbers found meanwhile.

`await plan.request(1000, send)` requests 1,000 records, or fewer if the server is known to fail on pages of that size.

With `"auto"` the first page is requested alone, with 200 records, which shows whether the server caps its pages. Then
20 pages of 1,000 records are requested at once. Pages that take too long halve the page size, down to 100 records, and
then the number of requests; both grow back while pages are quick. If records are so large that the pages in flight
would take too much memory, fewer are requested. There are never more requests than the rate limiter lets leave. If the
server fails at a page or caps two in a row at the same length, no page is requested that is larger than the largest one
that arrived whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from attrs import frozen

from carecloud_async._base.runtime.validators import quoted
from carecloud_async._calls.call.filters import Kind, check_filters
from carecloud_async.errors import (
    ApiError,
    BadRequestError,
    CareCloudError,
    ConfigurationError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)

__all__ = [
    "AUTO",
    "DEFAULT_COUNT",
    "Auto",
    "Fetched",
    "PagePlan",
    "Send",
    "check_count",
    "fixed_count",
    "problem_of",
    "require_int_or_auto",
]


P = TypeVar("P")

#: The records of the first page, and of the largest ones.
FIRST: Final = 200
LARGEST: Final = 1000
#: A page that takes more seconds halves the numbers; reads have a timeout of 30.
TOO_LONG: Final = 5.0
#: Quick pages in a row that let a halved number grow back.
_PATIENCE: Final = 64
#: The most bytes of a page, and of all pages in flight together; 20 pages of 1,000 customers are 26 MB.
PAGE_BYTES: Final = 8 * 2**20
_BUDGET: Final = 32 * 2**20
#: This many times the requests that keep the rate limiter busy (Little's law) are made; more would only wait.
_AMPLE: Final = 1.5
#: One page may wait for this many in flight. More waiting pages would be lost when an export is killed.
_SPARE_PART: Final = 5


@frozen(kw_only=True)
class Fetched(Generic[P]):
    """A page with its measurements.

    Attributes:
        received: the number of entries that the server sent.
        at_end: whether it ends at the total that the server reports.
        size: the bytes of its body; 0 if unknown.
        sent_at: when its last attempt began, on the monotonic clock; `None` if unknown.
    """

    page: P
    received: int
    at_end: bool = False
    size: int = 0
    sent_at: float | None = None


#: Requests a number of records. The second argument, `fail_fast`, is true if no page of that size has arrived
#: yet: the request may fail, and is then retried once at most.
Send: TypeAlias = Callable[[int, bool], Awaitable[Fetched[P]]]


class PagePlan:
    """The requests of one reading of a list.

    Args:
        width: the user's number of requests at once, or `auto`.
        count: the user's page size, or `auto`.
        most_requests: the most requests at once with `auto`.
        now: returns the time of the monotonic clock.
        rate: returns the requests a second that the rate limiter allows; `None` while it delays none.

    Attributes:
        is_fixed: whether `count` never changes.
    """

    def __init__(
        self,
        *,
        width: int | Auto,
        count: int | Auto,
        most_requests: int,
        now: Callable[[], float],
        rate: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.is_fixed: bool = count != AUTO
        self._is_width_fixed = width != AUTO
        self._now = now
        self._rate = rate
        self._most_width = self._width = max(most_requests, 1) if width == AUTO else width
        self._count = FIRST if count == AUTO else count
        self._most_count = LARGEST  # the largest page that the server handles
        self._whole = 0  # the largest one that came whole
        self._cut = 0  # the length of the last page that was cut short
        self._record_bytes = self._page_seconds = 0.0  # 0 while unknown
        self._quick_pages = 0
        self._changes = 0  # of the numbers: pages that were requested before the last one change nothing

    @property
    def width(self) -> int:
        """The number of requests at once."""
        if self._is_width_fixed:
            return self._width
        rate, width = self._rate(), float(self._width)
        if rate is not None and self._page_seconds:
            width = min(width, _AMPLE * rate * self._page_seconds + 1)
        if self._record_bytes and not self.is_fixed:
            width = min(width, _BUDGET / (self._record_bytes * self.count))
        return max(int(width), 1)

    @property
    def count(self) -> int:
        """The number of records to request at a time."""
        if self.is_fixed:
            return self._count
        count = min(self._count, self._most_count)
        if self._record_bytes:
            page = min(PAGE_BYTES, _BUDGET / self._width) if self._is_width_fixed else PAGE_BYTES
            count = min(count, int(page / self._record_bytes))
        return max(count, 1)

    @property
    def spare(self) -> int:
        """The number of pages that may wait in addition to those in flight."""
        return max(self.width // _SPARE_PART, 1)

    @property
    def _proven(self) -> int:
        """The largest page that needs no trial: every server is assumed to handle the API's default."""
        return max(self._whole, DEFAULT_COUNT)

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """Request a number of records, or fewer if the server fails on that many; return the number and the page.

        Raises:
            CareCloudError: the server cannot be read.
        """
        fail_fast = True
        while True:
            asked = wanted if self.is_fixed else min(wanted, self._most_count)
            is_untried = not self.is_fixed and asked > self._proven
            began, changes = self._now(), self._changes
            try:
                fetched = await send(asked, is_untried and fail_fast)
            except CareCloudError as error:
                if is_untried and fail_fast and isinstance(error, RateLimitError):
                    fail_fast = False  # it says nothing about the size: send it again, with the usual retries
                elif is_untried and _may_be_too_large(error):
                    fail_fast, self._most_count = True, min(self._most_count, self._proven)
                else:
                    raise
            else:
                self._learn(fetched, asked, began, is_current=changes == self._changes)
                return asked, fetched.page

    def _learn(self, fetched: Fetched[P], asked: int, began: float, *, is_current: bool) -> None:
        """Take a page into account."""
        received = fetched.received
        if received >= asked:
            self._whole = max(self._whole, asked)
        elif received and not fetched.at_end and asked > self._whole:
            if received == self._cut:  # a cap cuts every page to one length
                self._most_count = min(self._most_count, max(received, self._whole))
            self._cut = received
        if not received:
            return
        self._page_seconds = max(self._now() - max(began, fetched.sent_at or began), 1e-6)
        # Large records bound pages at once; when smaller ones follow, pages grow again.
        self._record_bytes = max(fetched.size / received, 0.9 * self._record_bytes)
        if not self._changes:
            self._change(LARGEST, self._width)
        elif is_current:
            self._quick_pages += 1
            if self._page_seconds > TOO_LONG:
                is_small = self.is_fixed or self._count <= DEFAULT_COUNT
                self._change(self._count // (1 if is_small else 2), self._width // (2 if is_small else 1))
            elif self._quick_pages >= _PATIENCE:
                self._change(2 * self._count, 2 * self._width)

    def _change(self, count: int, width: int) -> None:
        self._changes += 1
        self._quick_pages = 0
        if not self.is_fixed:
            self._count = min(max(count, DEFAULT_COUNT), LARGEST)
        if not self._is_width_fixed:
            self._width = min(max(width, 1), self._most_width)


def _may_be_too_large(error: CareCloudError) -> bool:
    """Return whether a request may have failed because it asked for too many records."""
    if isinstance(error, BadRequestError):
        return not error.invalid_params or any(param.name == "count" for param in error.invalid_params)
    if isinstance(error, ApiError):
        return isinstance(error, ServerError) or error.status == 413
    return isinstance(error, TransportError | ResponseError)


Auto: TypeAlias = Literal["auto"]

AUTO: Final[Auto] = "auto"

#: The records of a page if nothing is measured; the API's own default.
DEFAULT_COUNT = 100


def problem_of(name: str, value: Any) -> str | None:
    """Return what is wrong with a value that must be `"auto"` or a whole number from 1 up; `None` if nothing is."""
    if isinstance(value, str) and value == AUTO:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return None
    return f'{name} must be a whole number from 1 up, not {quoted(value)}; or "auto", which finds what is fastest'


def require_int_or_auto(name: str, value: Any) -> None:
    """Raise unless `value` is `"auto"` or a whole number from 1 up.

    Raises:
        ConfigurationError: naming the setting.
    """
    problem = problem_of(name, value)
    if problem is not None:
        raise ConfigurationError(problem)


def check_count(kinds: Mapping[str, Kind], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the query of a list as `check_filters` does, where `count` may be `"auto"` too.

    Raises:
        ConfigurationError: see `check_filters`.
    """
    if "count" in params:
        require_int_or_auto("count", params["count"])
    return check_filters({name: kind for name, kind in kinds.items() if name != "count"}, params)


def fixed_count(count: int | Auto) -> int:
    """Return the page size for a reading that measures nothing."""
    return DEFAULT_COUNT if count == AUTO else count
