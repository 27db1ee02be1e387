"""`AutoPlan`: the width and the page size that bring the most records a second, found while the list is read.

The first page comes alone and asks for `FIRST` records: a server that caps pages below shows it at once. Eight larger
ones at a time follow, and from there `hill_climb` goes on. Once it has settled, the numbers stay until the throughput
has clearly changed for several flights in a row, and each new search makes the next one wait longer.

A page larger than all that came whole before is asked for without patience: if the server fails at it or caps it, the
rest is asked for in smaller ones and no larger one is tried again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from carecloud_async.errors import (
    ApiError,
    BadRequestError,
    CareCloudError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)
from carecloud_async.paging.auto import AUTO, DEFAULT_COUNT, Auto
from carecloud_async.paging.delivery_rate import DeliveryRate, PendingRequest, Sample, Trial
from carecloud_async.paging.hill_climb import (
    LARGE,
    Bounds,
    Search,
    Setting,
    Try,
    search,
    search_behind_one_page,
    search_while_held,
)
from carecloud_async.paging.page_plan import Fetched, FixedPlan, PagePlan, Send

__all__ = ["BUDGET", "FIRST", "MAX_COUNT", "PAGE_BYTES", "WIDTH", "AutoPlan", "make_plan"]

P = TypeVar("P")

#: The requests at once to begin with, after the first page.
WIDTH = 8
#: The records of the first page.
FIRST = 200
#: The records of the pages behind it at least.
_SECOND = 400
#: They are larger, up to `LARGE`, where they come in so many seconds even if each record has its price.
_QUICK = 0.08
#: The records of a page at most.
MAX_COUNT = 5000
#: The bytes of a page at most, and of all pages in flight together; 20 pages of 1,000 customers are 26 MB.
PAGE_BYTES, BUDGET = 8 * 2**20, 32 * 2**20
#: A page may take so many seconds at most, as far as that can be foreseen: reads are given 30.
_LONGEST = 5.0
#: The width is so much larger than what keeps the rate limiter busy.
_AMPLE = 1.5
#: Records so much larger than those before ask for a new search: the page size is bounded by their bytes.
_GROWN = 2
#: One page for five in flight may lie waiting beside them. More would be lost when an export is killed.
_PART = 5
#: The factor between two flights that are alike.
_STEADY = 1.25
#: A throughput outside these parts of the settled one has clearly changed.
_LOW, _HIGH = 0.6, 1.67
#: The flights in a row that must show it, before the first new search.
_PATIENCE = 3
#: The requests that are looked at together, at least.
_WATCHED = 8
#: The status of an answer that a server finds too large.
_TOO_LARGE = 413


def make_plan(
    *,
    width: int | Auto,
    count: int | Auto,
    most_requests: int,
    now: Callable[[], float],
    rate: Callable[[], float | None] = lambda: None,
) -> PagePlan:
    """Return the plan for one reading of a list.

    Args:
        width: the user's number of requests at once, or `auto`.
        count: the user's page size, or `auto`.
        most_requests: the largest width that is found.
        now: returns the time of the monotonic clock.
        rate: returns the requests a second that the rate limiter lets pass; `None` while it holds none back.
    """
    if width != AUTO and count != AUTO:
        return FixedPlan(width=width, count=count, spare=max(width // _PART, 1))
    return AutoPlan(width=width, count=count, most_requests=most_requests, now=now, rate=rate)


class AutoPlan:
    """Finds the width, the page size, or both; see `make_plan` for the arguments."""

    def __init__(
        self,
        *,
        width: int | Auto,
        count: int | Auto,
        most_requests: int,
        now: Callable[[], float],
        rate: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._fixed_width = None if width == AUTO else width
        self._fixed_count = None if count == AUTO else count
        self._most_requests = max(most_requests, 1)
        self._now = now
        self._limit = rate
        self._delivery = DeliveryRate()
        self._setting = Setting(width=self._fixed_width or WIDTH, count=self._fixed_count or FIRST)
        self._ceiling = MAX_COUNT
        self._whole = 0
        self._bytes = self._records = 0
        self._each = 0.0
        self._pace = self._latency = 0.0
        self._search: Search | None = None
        self._trial = Trial(1)
        self._watch: _Watch | None = None
        self._patience = _PATIENCE

    @property
    def width(self) -> int:
        """See `PagePlan.width`."""
        if self._fixed_width is not None:
            return self._fixed_width
        width = self._setting.width
        limit = self._limit()
        if limit is not None and self._latency:
            # What would wait at the rate limiter is better asked for later, by what is known then (Little's law).
            width = min(width, math.ceil(_AMPLE * limit * self._latency) + 1)
        return max(min(width, self._most_width(self.count)), 1)

    @property
    def count(self) -> int:
        """See `PagePlan.count`."""
        return self._fixed_count or max(min(self._setting.count, self._ceiling), 1)

    @property
    def spare(self) -> int:
        """See `PagePlan.spare`."""
        # Pages of several sizes take turns during a search: the small ones must not wait for a large one.
        return max(self.width // _PART, 1) if self.settled else self.width

    @property
    def is_fixed(self) -> bool:
        """See `PagePlan.is_fixed`."""
        return self._fixed_count is not None

    @property
    def settled(self) -> bool:
        """Whether the search is over."""
        return self._watch is not None

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """See `PagePlan.request`."""
        hurried = True
        while True:
            asked = wanted if self.is_fixed else min(wanted, self._ceiling)
            untried = not self.is_fixed and asked > max(self._whole, DEFAULT_COUNT)
            request = self._delivery.begin(asked, trial=self._trial, now=self._now())
            try:
                found = await send(asked, untried and hurried)
            except CareCloudError as error:
                if not untried or not _may_be_too_large(error, hurried=hurried):
                    raise
                hurried = not isinstance(error, RateLimitError)
                if hurried:
                    self._lower_ceiling(max(self._whole, DEFAULT_COUNT))
            else:
                self._note(request, found)
                return asked, found.page

    def _note(self, request: PendingRequest, found: Fetched[P]) -> None:
        asked, received = request.asked, found.received
        self._bytes += found.size
        self._records += received
        if received >= asked:
            self._whole = max(self._whole, asked)
        elif received and not found.at_end and asked > self._whole:
            self._lower_ceiling(max(received, self._whole))
        sample = self._delivery.end(request, received, now=self._now(), sent_at=found.sent_at)
        if sample is None:
            return
        if self._search is None:
            self._pace, self._latency = sample.pace, sample.pace * received
            self._begin_behind_one_page()
        elif self.is_fixed or asked >= min(request.trial.count, self._ceiling):
            self._measure(request.trial, sample)
        if found.size > max(PAGE_BYTES, _GROWN * self._each * received) and not self.is_fixed:
            self._bytes, self._records = found.size, received
            self._begin()

    def _lower_ceiling(self, count: int) -> None:
        self._ceiling = max(min(self._ceiling, count), 1)

    def _begin_behind_one_page(self) -> None:
        """Begin the first search."""
        pace, width, bounds = self._pace, self._width_to_begin, self._bounds
        if self._is_scarce(width):
            self._search = search_while_held(self._start(width, self._setting.count), bounds, pace=pace)
        else:
            start = self._start(width, max(min(int(_QUICK / pace), LARGE), _SECOND))
            if start.count > self._setting.count and not self.is_fixed:
                self._search = search_behind_one_page(start, bounds, pace=pace)
            else:
                self._search = search(start, bounds, clean=False)
        self._go_on(lambda search: next(search))

    def _begin(self) -> None:
        """Begin a search from where it stands."""
        self._watch = None
        self._search = search(self._start(self._width_to_begin, self._setting.count), self._bounds)
        self._go_on(lambda search: next(search))

    def _start(self, width: int, count: int) -> Setting:
        most = count if self.is_fixed else self._most_records(width, self._pace)
        return Setting(width=width, count=max(min(count, most), 1))

    @property
    def _width_to_begin(self) -> int:
        return self._fixed_width or min(self._setting.width, self._most_requests)

    @property
    def _bounds(self) -> Bounds:
        return Bounds(most_records=self._most_records, most_requests=self._most_width)

    def _most_records(self, width: int, pace: float) -> int:
        if self.is_fixed:
            return 0
        most = float(min(MAX_COUNT, self._ceiling))
        if self._bytes:
            each = self._bytes / self._records
            most = min(most, PAGE_BYTES / each, BUDGET / (each * min(width, self.width)))
        return int(min(most, _LONGEST / pace) if pace else most)

    def _most_width(self, count: int) -> int:
        if self._fixed_width is not None:
            return 0
        if not self._each:
            return self._most_requests
        most = int(BUDGET / (count * self._each))
        return min(self._most_requests, max(most, WIDTH) if self.is_fixed else most)

    def _try(self, tried: Try) -> None:
        self._setting = tried.setting
        self._each = self._bytes / self._records if self._records else 0.0
        self._trial = Trial(
            self.width,
            count=tried.setting.count,
            before=tried.before,
            beats=tried.beats,
            clean=tried.clean,
            scarce=self._is_scarce(tried.setting.width),
        )

    def _is_scarce(self, width: int) -> bool:
        """Return whether fewer requests at once would keep the rate limiter busy: then it is what bounds."""
        limit = self._limit()
        return limit is not None and limit * self._latency < width

    def _measure(self, trial: Trial, sample: Sample) -> None:
        if trial is not self._trial:
            trial.add(sample)
        elif self._watch is not None:
            if self._watch.has_changed(sample):
                self._patience *= 2
                self._begin()
        elif trial.add(sample):
            outcome = trial.outcome()
            self._pace, self._latency = outcome.pace, outcome.pace * self.count
            self._go_on(lambda search: search.send(trial.outcome))

    def _go_on(self, step: Callable[[Search], Try]) -> None:
        if self._search is None:
            return
        try:
            self._try(step(self._search))
        except StopIteration as end:
            self._try(Try(setting=end.value))
            self._watch = _Watch(size=max(self.width, _WATCHED), patience=self._patience)


class _Watch:
    """Watches whether the throughput of a settled plan changes clearly.

    Args:
        size: the requests of a flight.
        patience: the flights in a row that must show it.
    """

    def __init__(self, *, size: int, patience: int) -> None:
        self._size = size
        self._patience = patience
        self._rates: list[float] = []
        self._before = 0.0
        self._settled = 0.0
        self._others = 0

    def has_changed(self, sample: Sample) -> bool:
        """Note a measurement; return whether it has changed."""
        self._rates.append(sample.rate)
        if len(self._rates) < self._size:
            return False
        rate, self._rates = sorted(self._rates)[len(self._rates) // 2], []
        if not self._settled:
            # The first flights share their time with those of the setting before.
            is_steady = 1 / _STEADY <= rate / (self._before or math.inf) <= _STEADY
            self._settled, self._before = rate if is_steady else 0.0, rate
            return False
        self._others = 0 if _LOW <= rate / self._settled <= _HIGH else self._others + 1
        return self._others >= self._patience


def _may_be_too_large(error: CareCloudError, *, hurried: bool) -> bool:
    """Return whether a request may have failed because it asked for too many records."""
    if isinstance(error, RateLimitError):
        return hurried
    if isinstance(error, BadRequestError):
        return not error.invalid_params or any(param.name == "count" for param in error.invalid_params)
    if isinstance(error, ApiError):
        return isinstance(error, ServerError) or error.status == _TOO_LARGE
    return isinstance(error, TransportError | ResponseError)
