"""`AutoPlan`: finds a width and a page size for `"auto"` while the list is read.

The first page comes alone and asks for `FIRST` records: a server that caps pages shows it at once. `WIDTH` larger pages
at a time follow. Then the page size is doubled, and after it the number of requests at once, as long as the pages of a
flight (as many as are under way at once) do not bring fewer records a second. A step that does is taken back, and
tried again some flights later. A page that takes too long halves the page size; so does a failure at a new size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal, TypeAlias, TypeVar

from attrs import define, evolve, frozen

from carecloud_async.errors import CareCloudError, RateLimitError
from carecloud_async.paging.auto import AUTO, DEFAULT_COUNT, Auto
from carecloud_async.paging.page_plan import SPARE_PART, Fetched, FixedPlan, PagePlan, Send
from carecloud_async.paging.trusted_count import TrustedCount, may_be_too_large

__all__ = ["BUDGET", "FIRST", "PAGE_BYTES", "TOO_LONG", "WIDTH", "AutoPlan", "plan_for"]

P = TypeVar("P")

_Step: TypeAlias = Literal["count", "width"]
_NEXT: Final[dict[_Step, _Step | None]] = {"count": "width", "width": None}

#: The records of the first page, and the number of requests at once after it.
FIRST, WIDTH = 200, 8
#: The records of the second pages: as many as come in `_QUICK` seconds if each takes as long as on the first page.
_LEAST_SECOND, _MOST_SECOND, _QUICK = 400, 1000, 0.08
#: The bytes of a page at most, and of all pages in flight together; 20 pages of 1,000 customers are 26 MB.
PAGE_BYTES, BUDGET = 8 * 2**20, 32 * 2**20
#: A page that takes more seconds halves the page size; reads have a timeout of 30. Above `_SLOW` seconds none grows.
TOO_LONG, _SLOW = 5.0, 1.0
#: The part of the throughput that a doubled number must bring. Fewer requests are worth a small loss; more requests at
#: once burden the server and need a gain.
_WORTH: Final[dict[_Step, float]] = {"count": 0.95, "width": 1.1}
#: Pages of which each takes so much longer for a record than the first one, alone and smaller, are too large.
_MUCH_SLOWER = 1.1
#: A smaller step is not worth a trial.
_LEAST_STEP = 1.25
#: The flights until both numbers are tried again; doubled each time.
_PATIENCE = 16
#: Requests beyond those that keep the rate limiter busy (Little's law) would only wait.
_AMPLE = 1.5
#: The least seconds of a page: a clock that a test moves may not advance during a request.
_SHORTEST = 1e-6


@frozen(kw_only=True)
class _Setting:
    """A width and a page size."""

    width: int
    count: int


@define(eq=False)
class _Flight:
    """The pages that were asked for with one setting, and how long they took.

    Attributes:
        setting: the setting.
        to_skip: the pages not to count: the first ones of an idle server wait less than those that follow.
        is_alone: whether it is the first page, which waits for no other.
        pages, records, seconds: sums over the pages that count.
        fastest: the seconds a record of the fastest page.
    """

    setting: _Setting
    to_skip: int = 0
    is_alone: bool = False
    pages: int = 0
    records: int = 0
    seconds: float = 0.0
    fastest: float = math.inf

    def add(self, received: int, seconds: float) -> None:
        """Note a page."""
        self.fastest = min(self.fastest, seconds / received)
        if self.to_skip:
            self.to_skip -= 1
            return
        self.pages += 1
        self.records += received
        self.seconds += seconds

    def throughput(self, rate: float | None) -> float:
        """Return records a second (Little's law), at most those that the rate limiter allows."""
        throughput = self.setting.width * self.records / self.seconds
        return throughput if rate is None else min(throughput, rate * self.setting.count)


class AutoPlan:
    """Finds the width, the page size, or both, for one reading of a list.

    Args:
        width: the user's number of requests at once, or `auto`.
        count: the user's page size, or `auto`.
        most_requests: the largest width that is found.
        now: returns the time of the monotonic clock.
        rate: returns the requests a second that the rate limiter allows; `None` while it delays none.
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
        self._now = now
        self._rate = rate
        self._most_requests = max(most_requests, 1)
        self._is_width_fixed = width != AUTO
        self.is_fixed: bool = count != AUTO
        self._setting = _Setting(
            width=min(WIDTH, self._most_requests) if width == AUTO else width,
            count=FIRST if count == AUTO else count,
        )
        self._sizes = TrustedCount()
        self._record_bytes = 0.0
        self._page_seconds = 0.0
        self._flight: _Flight | None = None  # the pages of the setting in use
        self._kept: _Flight | None = None  # those of the setting that a trial is compared with
        self._step: _Step | None = "count"  # what is tried; `None` while the numbers rest
        self._rest_flights = self._flights_left = _PATIENCE

    @property
    def width(self) -> int:
        """See `PagePlan.width`."""
        if self._is_width_fixed:
            return self._setting.width
        most = min(self._setting.width, self._busy_width)
        if not self.is_fixed and self._record_bytes:
            most = min(most, BUDGET / (self._record_bytes * self.count))
        return max(int(most), 1)

    @property
    def count(self) -> int:
        """See `PagePlan.count`."""
        return self._setting.count if self.is_fixed else max(min(self._setting.count, self._most_records), 1)

    @property
    def spare(self) -> int:
        """See `PagePlan.spare`."""
        # Pages of two sizes take turns during a trial: the small ones must not wait for a large one.
        return self.width if self._step else max(self.width // SPARE_PART, 1)

    @property
    def _most_records(self) -> int:
        width = self._setting.width if self._is_width_fixed else 1
        memory = min(PAGE_BYTES, BUDGET / width) / self._record_bytes if self._record_bytes else math.inf
        return int(min(self._sizes.most, memory))

    @property
    def _busy_width(self) -> float:
        """The requests at once that keep the rate limiter busy."""
        rate = self._rate()
        return math.inf if rate is None or not self._page_seconds else _AMPLE * rate * self._page_seconds + 1

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """See `PagePlan.request`."""
        sizes, fail_fast = self._sizes, True
        while True:
            asked = wanted if self.is_fixed else min(wanted, sizes.most)
            untried = not self.is_fixed and sizes.is_untried(asked)
            flight, began = self._flight, self._now()
            try:
                found = await send(asked, untried and fail_fast)
            except CareCloudError as error:
                if untried and fail_fast and isinstance(error, RateLimitError):
                    fail_fast = False  # it says nothing of the size: the same once more, with patience
                elif untried and may_be_too_large(error):
                    fail_fast = True
                    sizes.on_failure()
                else:
                    raise
            else:
                sizes.on_page(asked, found.received, at_end=found.at_end)
                if found.received:
                    self._observe(flight, asked, began, found)
                return asked, found.page

    def _observe(self, flight: _Flight | None, asked: int, began: float, found: Fetched[P]) -> None:
        # Large records bound pages at once; when smaller ones follow, pages grow again.
        self._record_bytes = max(found.size / found.received, 0.9 * self._record_bytes)
        self._page_seconds = seconds = max(self._now() - max(began, found.sent_at or began), _SHORTEST)
        if self._flight is None:
            self._begin_after_first(found.received)
        elif flight is not None and flight is self._flight and asked >= min(flight.setting.count, self._sizes.most):
            flight.add(found.received, seconds)
            if seconds > TOO_LONG:
                self._halve()
            elif flight.pages >= flight.setting.width or self._is_too_large(flight):
                self._judge(flight)

    def _begin_after_first(self, received: int) -> None:
        self._kept = first = self._use(self._setting)
        first.is_alone = True
        first.add(received, self._page_seconds)
        seconds, most = (_SLOW, self._most_records) if self._is_limited else (_QUICK, _MOST_SECOND)
        count = self.count if self.is_fixed else min(max(int(seconds / first.fastest), _LEAST_SECOND), most)
        flight = self._use(evolve(self._setting, count=count))
        flight.to_skip = 0 if self._is_limited else flight.setting.width

    @property
    def _is_limited(self) -> bool:
        """Whether the rate limiter bounds the requests at once."""
        return self._busy_width < self._setting.width

    def _judge(self, flight: _Flight) -> None:
        """Keep what was tried or take it back, and try the next step."""
        if self._step is None:
            self._flights_left -= 1
            self._step = None if self._flights_left else "count"
        elif self._kept is not None and self._is_worse(flight, self._kept, self._step):
            flight, self._step = self._kept, _NEXT[self._step]
        while self._step is not None:
            larger = self._larger(flight, self._step)
            if larger is not None:
                self._kept = flight
                self._use(larger)
                return
            self._step = _NEXT[self._step]
            if self._step is None:
                self._rest()
        self._use(flight.setting)

    def _is_worse(self, flight: _Flight, before: _Flight, step: _Step) -> bool:
        if before.is_alone and step == "count" and not self._is_limited:
            return self._is_too_large(flight)
        rate = self._rate()
        return flight.throughput(rate) < _WORTH[step] * before.throughput(rate)

    def _is_too_large(self, flight: _Flight) -> bool:
        """Return whether each page of the second flight took longer for a record than the first page of all."""
        first = self._kept if self._kept and self._kept.is_alone and not self._is_limited else None
        return first is not None and not flight.to_skip and flight.fastest > _MUCH_SLOWER * first.fastest

    def _larger(self, flight: _Flight, step: _Step) -> _Setting | None:
        """Return the next setting to try; `None` if there is none."""
        is_fixed, most = (
            (self.is_fixed, self._most_records) if step == "count" else (self._is_width_fixed, self._most_requests)
        )
        value = min(2 * getattr(flight.setting, step), most)
        too_small = value < _LEAST_STEP * getattr(flight.setting, step)
        if is_fixed or too_small or flight.seconds > _SLOW * flight.pages:
            return None
        return evolve(flight.setting, **{step: value})

    def _halve(self) -> None:
        """Ask for half as many records, or where those are few for half as many pages at once."""
        self._rest()
        if self.count > DEFAULT_COUNT and not self.is_fixed:
            self._use(evolve(self._setting, count=max(self.count // 2, DEFAULT_COUNT)))
        elif not self._is_width_fixed:
            self._use(evolve(self._setting, width=max(self.width // 2, 1)))

    def _rest(self) -> None:
        """Keep the numbers for some flights."""
        self._kept, self._step, self._flights_left = None, None, self._rest_flights
        self._rest_flights *= 2

    def _use(self, setting: _Setting) -> _Flight:
        self._setting = setting
        self._flight = _Flight(_Setting(width=self.width, count=self.count))
        return self._flight


def plan_for(
    width: int | Auto,
    count: int | Auto,
    *,
    has_spare: bool = False,
    most_requests: int,
    now: Callable[[], float],
    rate: Callable[[], float | None],
) -> PagePlan:
    """Return the plan for a reading: the user's numbers if there are two, otherwise an `AutoPlan`; see there.

    Args:
        width: the number of requests at once.
        count: the page size.
        has_spare: whether pages may wait in addition to those in flight, if both numbers are the user's.
        most_requests: see `AutoPlan`.
        now: see `AutoPlan`.
        rate: see `AutoPlan`.
    """
    if width != AUTO and count != AUTO:
        return FixedPlan(width=width, count=count, spare=max(width // SPARE_PART, 1) if has_spare else 0)
    return AutoPlan(width=width, count=count, most_requests=most_requests, now=now, rate=rate)
