"""`PageReader`: reads the pages of a list, several at once and ahead of their consumer, in the order of the list.

It asks for fewer records where the server fails on larger pages. With `"auto"` it finds how many pages are fastest, and
of what size. The first one is requested alone, with 200 records, which shows whether the server caps its pages. From
then on the smallest of these bounds counts:

    pace      20 pages of 1,000 records at once. A page that takes too long halves the size, down to 100 records, then
              the number of requests; both are doubled after 64 quick pages
    server    if the server fails at a page, or caps two in a row at one length: the largest page that arrived whole
    memory    as many bytes as a page, and all pages in flight together, may have
    rate      as many requests as the rate limiter lets leave
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

import anyio

from carecloud_async._base.codec.pages import AnyPage
from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._calls.call.operation import RawResponse
from carecloud_async._lists.paging.auto import AUTO, DEFAULT_COUNT, Auto
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import (
    ApiError,
    BadRequestError,
    CareCloudError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)

__all__ = ["Fetch", "PageReader"]

P = TypeVar("P", bound=AnyPage[Any])
P_co = TypeVar("P_co", bound=AnyPage[Any], covariant=True)

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


class Fetch(Protocol[P_co]):
    """Gets one page of a list, and its response if that is known."""

    async def __call__(
        self, offset: int, count: int, sort: Mapping[str, Any] | None, /, *, fail_fast: bool
    ) -> tuple[P_co, RawResponse | None]:
        """Get a page.

        Args:
            offset: where it begins.
            count: the number of records to request.
            sort: the sort, in place of the list's own.
            fail_fast: whether no page of that size has arrived yet: the request may fail, and is then retried once at
                most.
        """
        ...


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
            if received == self._cut:  # a cap cuts every page to one length; pages of one record could not overlap
                self.most = min(self.most, max(received, self._whole, 2))
            self._cut = received


class _Part(Generic[P]):
    """A part of the list that a task reads ahead; `ready` is set when its pages have arrived, or one of them failed."""

    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.pages: list[tuple[int, P]] = []
        self.error: Exception | None = None


class PageReader(Generic[P]):
    """Reads the pages of one list; see the module.

    A part of the list that is read ahead is a range of offsets. If its page is shorter, the same task requests the rest
    after it.

    Args:
        source: the list.
        width: the user's number of requests at once, or `auto`.
        fetch: gets one page.

    Attributes:
        is_fixed: whether `count` never changes.
    """

    def __init__(self, source: ListSource[Any], width: int | Auto, *, fetch: Fetch[P]) -> None:
        context = source.caller.context
        self._fetch = fetch
        self.is_fixed: bool = source.count != AUTO
        self._given_width: int | Auto = width
        self._given_count: int | Auto = source.count
        self._now, self._limiter = context.clock.monotonic, context.rate_limiter
        self._pace = _Pace(width=max(context.http.max_connections, 1), can_shrink=not self.is_fixed)
        self._server = _Server()
        self._record_bytes = self._page_seconds = 0.0  # 0 while unknown
        self._parts: deque[_Part[P]] = deque()  # in flight, or waiting for the consumer
        self._arrived: deque[tuple[int, P]] = deque()  # the pages of the part that is being taken

    # One page

    @property
    def width(self) -> int:
        """The number of requests at once."""
        if self._given_width != AUTO:
            return self._given_width
        rate, width = self._limiter.rate, float(self._pace.width)
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

    async def get(self, offset: int, wanted: int, sort: Mapping[str, Any] | None = None) -> tuple[int, P]:
        """Request a number of records, or fewer if the server fails on that many; return the number and the page.

        Args:
            offset: where the page begins.
            wanted: the number of records.
            sort: the sort, in place of the list's own.

        Raises:
            CareCloudError: the server cannot be read.
        """
        fail_fast = True
        while True:
            asked = wanted if self.is_fixed else min(wanted, self._server.most)
            is_untried = not self.is_fixed and asked > self._server.known
            began, changes = self._now(), self._pace.changes
            try:
                page, response = await self._fetch(offset, asked, sort, fail_fast=is_untried and fail_fast)
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

    # Pages ahead

    def begin(
        self,
        tasks: BackgroundTasks,
        *,
        next_part: Callable[[], range | None],
        fetch: Callable[[range], Awaitable[tuple[tuple[int, P], range]]],
    ) -> None:
        """Begin to read ahead.

        Args:
            tasks: the group that the requests run in.
            next_part: returns the next part, or `None` while there is nothing to read ahead.
            fetch: gets the first page of a part by `get`, and the rest that is missing from it, which is empty at its
                end.
        """
        self._tasks, self._next_part, self._fetch_part = tasks, next_part, fetch
        self.clear()

    @property
    def is_ahead(self) -> bool:
        """Whether pages are in flight, or wait to be taken."""
        return bool(self._parts or self._arrived)

    @property
    def is_at_part_end(self) -> bool:
        """Whether the last page that was taken ended its part."""
        return not self._arrived

    def clear(self) -> None:
        """Drop all pages; those that are in flight are dropped when they arrive."""
        self._parts.clear()
        self._arrived.clear()

    async def take(self) -> tuple[int, P] | None:
        """Return the next page in the order of the list, with the number asked for; `None` if none is ahead.

        Raises:
            Exception: what fetching its part raised.
        """
        self.fill()
        while not self._arrived:
            if not self._parts:
                return None
            part = self._parts[0]
            await part.ready.wait()
            if not self._parts:
                return None  # dropped while this task waited
            if part.error is not None:
                raise part.error
            self._parts.popleft()
            self._arrived.extend(part.pages)
            self.fill()
        return self._arrived.popleft()

    def fill(self) -> None:
        """Start as many requests as may be in flight; none after a page has failed.

        Some more parts may wait for the consumer, so that one slow response does not stop the others.
        """
        while not any(part.error for part in self._parts):
            in_flight = sum(not part.ready.is_set() for part in self._parts)
            may_wait = max(self.width // _SPARE_PART, 1)
            has_room = in_flight < self.width and len(self._parts) < self.width + may_wait
            span = self._next_part() if has_room else None
            if span is None:
                return
            part: _Part[P] = _Part()
            self._parts.append(part)
            self._tasks.start(self._read_part, part, span)

    async def _read_part(self, part: _Part[P], span: range) -> None:
        try:
            while span and part in self._parts:
                page, span = await self._fetch_part(span)
                part.pages.append(page)
        except Exception as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            part.error = error
        finally:
            part.ready.set()
        if part in self._parts:  # otherwise it was dropped
            self.fill()


def _may_be_too_large(error: CareCloudError) -> bool:
    """Return whether a request may have failed because it asked for too many records."""
    if isinstance(error, BadRequestError):
        return not error.invalid_params or any(param.name == "count" for param in error.invalid_params)
    if isinstance(error, ApiError):
        return isinstance(error, ServerError) or error.status == 413
    return isinstance(error, TransportError | ResponseError)
