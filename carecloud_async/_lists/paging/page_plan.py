"""`PagePlan`: how many pages are requested at once, and of what size: the user's numbers, or numbers found meanwhile.

`await plan.request(1000, send)` requests 1,000 records, or fewer if the server is known to fail on pages of that size.

With `"auto"` the first page is requested alone, with 200 records, which shows whether the server caps its pages. From
then on the smallest of these bounds counts:

    pace      20 pages of 1,000 records at once. A page that takes too long halves the size, down to 100 records, then
              the number of requests; both are doubled after 64 quick pages
    server    if the server fails at a page, or caps two in a row at one length: the largest page that arrived whole
    memory    as many bytes as a page, and all pages in flight together, may have
    rate      as many requests as the rate limiter lets leave
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

from carecloud_async._base.codec.pages import AnyPage
from carecloud_async._base.runtime.validators import quoted
from carecloud_async._calls.call.filters import Kind, check_filters
from carecloud_async._calls.call.operation import RawResponse
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
    "PagePlan",
    "Send",
    "check_count",
    "fixed_count",
    "problem_of",
    "require_int_or_auto",
]

P = TypeVar("P", bound=AnyPage[Any])

Auto: TypeAlias = Literal["auto"]
AUTO: Final[Auto] = "auto"

#: The records of a page if nothing is measured, and of the smallest page that a pace asks for: the API's own default.
DEFAULT_COUNT: Final = 100
#: The records of the first page, and of the largest ones.
FIRST: Final = 200
LARGEST: Final = 1000
#: A page that takes more seconds is too slow; reads have a timeout of 30.
TOO_LONG: Final = 5.0
#: Quick pages in a row that let halved numbers grow back.
_PATIENCE: Final = 64
#: The most bytes of a page, and of all pages in flight together; 20 pages of 1,000 customers are 26 MB.
PAGE_BYTES: Final = 8 * 2**20
_BUDGET: Final = 32 * 2**20
#: This many times the requests that keep the rate limiter busy (Little's law) are made; more would only wait.
_AMPLE: Final = 1.5
#: One page may wait for this many in flight. More waiting pages would be lost when an export is killed.
_SPARE_PART: Final = 5


#: Requests a number of records; returns the page and its response, if that is known. The second argument, `fail_fast`,
#: is true if no page of that size has arrived yet: the request may fail, and is then retried once at most.
Send: TypeAlias = Callable[[int, bool], Awaitable[tuple[P, RawResponse | None]]]


class _Pace:
    """The numbers that the duration of pages allows.

    Args:
        width: the most requests at once, with which it begins.
        can_shrink: whether pages may become smaller; otherwise there are fewer at once.

    Attributes:
        count, width: the records of a page, and the requests at once.
        changes: how often these changed: pages that were requested before the last change do not count.
    """

    def __init__(self, *, width: int, can_shrink: bool) -> None:
        self.count: int = FIRST
        self.width: int = width
        self.changes: int = 0
        self._most_width = width
        self._can_shrink = can_shrink
        self._quick_pages = 0  # since the last change

    def take(self, seconds: float, *, is_current: bool) -> None:
        """Take the duration of a page into account.

        Args:
            seconds: the duration.
            is_current: whether the page was requested after the last change.
        """
        if not self.changes:
            self._change(LARGEST, self.width)
        elif not is_current:
            return
        elif seconds <= TOO_LONG:
            self._quick_pages += 1
            if self._quick_pages >= _PATIENCE:
                self._change(2 * self.count, 2 * self.width)
        elif self._can_shrink and self.count > DEFAULT_COUNT:
            self._change(self.count // 2, self.width)
        else:
            self._change(self.count, self.width // 2)

    def _change(self, count: int, width: int) -> None:
        self.changes += 1
        self._quick_pages = 0
        self.count = min(max(count, DEFAULT_COUNT), LARGEST)
        self.width = min(max(width, 1), self._most_width)


class _Server:
    """The pages that the server can send.

    Attributes:
        most: the largest page that is asked for.
    """

    def __init__(self) -> None:
        self.most: int = LARGEST
        self._whole = 0  # the largest page that arrived whole
        self._cut = 0  # the length of the last page that was shorter than asked

    @property
    def known(self) -> int:
        """The largest page that needs no trial: every server is assumed to handle the API's default."""
        return max(self._whole, DEFAULT_COUNT)

    def fail(self) -> None:
        """Ask for no page again that is larger than those that arrived."""
        self.most = min(self.most, self.known)

    def take(self, asked: int, received: int, *, at_end: bool) -> None:
        """Take the length of a page into account."""
        if received >= asked:
            self._whole = max(self._whole, asked)
        elif received and not at_end and asked > self._whole:
            if received == self._cut:  # a cap cuts every page to one length
                self.most = min(self.most, max(received, self._whole))
            self._cut = received


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
        self._given_width: int | Auto = width
        self._given_count: int | Auto = count
        self.is_fixed: bool = count != AUTO
        self._now = now
        self._rate = rate
        self._pace = _Pace(width=max(most_requests, 1), can_shrink=not self.is_fixed)
        self._server = _Server()
        self._record_bytes = self._page_seconds = 0.0  # 0 while unknown

    @property
    def width(self) -> int:
        """The number of requests at once."""
        if self._given_width != AUTO:
            return self._given_width
        rate, width = self._rate(), float(self._pace.width)
        if rate is not None and self._page_seconds:
            width = min(width, _AMPLE * rate * self._page_seconds + 1)
        if self._record_bytes and not self.is_fixed:
            width = min(width, _BUDGET / (self._record_bytes * self.count))
        return max(int(width), 1)

    @property
    def count(self) -> int:
        """The number of records to request at a time."""
        if self._given_count != AUTO:
            return self._given_count
        count = min(self._pace.count, self._server.most)
        if self._record_bytes:
            most_bytes = PAGE_BYTES if self._given_width == AUTO else min(PAGE_BYTES, _BUDGET / self._given_width)
            count = min(count, int(most_bytes / self._record_bytes))
        return max(count, 1)

    @property
    def spare(self) -> int:
        """The number of pages that may wait in addition to those in flight."""
        return max(self.width // _SPARE_PART, 1)

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """Request a number of records, or fewer if the server fails on that many; return the number and the page.

        Raises:
            CareCloudError: the server cannot be read.
        """
        fail_fast = True
        while True:
            asked = wanted if self.is_fixed else min(wanted, self._server.most)
            is_untried = not self.is_fixed and asked > self._server.known
            began, changes = self._now(), self._pace.changes
            try:
                page, response = await send(asked, is_untried and fail_fast)
            except CareCloudError as error:
                if is_untried and fail_fast and isinstance(error, RateLimitError):
                    fail_fast = False  # it says nothing about the size: send it again, with the usual retries
                elif is_untried and _may_be_too_large(error):
                    fail_fast = True
                    self._server.fail()
                else:
                    raise
            else:
                received = page.received
                self._server.take(asked, received, at_end=page.offset + received == page.total_items)
                if received:
                    self._measure(received, response, began, is_current=changes == self._pace.changes)
                return asked, page

    def _measure(self, received: int, response: RawResponse | None, began: float, *, is_current: bool) -> None:
        """Take the duration and the size of a page into account."""
        if response is not None:
            began = max(began, response.sent_at)
            # Large records bound pages at once; when smaller ones follow, pages grow again.
            self._record_bytes = max(len(response.body) / received, 0.9 * self._record_bytes)
        self._page_seconds = max(self._now() - began, 1e-6)
        self._pace.take(self._page_seconds, is_current=is_current)


def _may_be_too_large(error: CareCloudError) -> bool:
    """Return whether a request may have failed because it asked for too many records."""
    if isinstance(error, BadRequestError):
        return not error.invalid_params or any(param.name == "count" for param in error.invalid_params)
    if isinstance(error, ApiError):
        return isinstance(error, ServerError) or error.status == 413
    return isinstance(error, TransportError | ResponseError)


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
