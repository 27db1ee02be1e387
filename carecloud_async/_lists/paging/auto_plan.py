"""`AutoPlan`: finds a width and a page size for `"auto"` while the list is read.

The first page comes alone and asks for `FIRST` records: a server that caps pages shows it at once. `WIDTH` larger pages
at a time follow. Then the page size is doubled, and after it the number of requests at once, as long as the pages of a
flight (as many as are under way at once) do not bring fewer records a second. A step that does is taken back, and
tried again some flights later. A page that takes too long halves the page size; so does a failure at a new size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, TypeVar

from attrs import evolve

from carecloud_async._lists.paging.auto import AUTO, DEFAULT_COUNT, Auto
from carecloud_async._lists.paging.flights import SLOW, Flight, Setting
from carecloud_async._lists.paging.page_plan import SPARE_PART, Fetched, FixedPlan, PagePlan, Send
from carecloud_async._lists.paging.plan_bounds import PlanBounds
from carecloud_async._lists.paging.trusted_count import may_be_too_large
from carecloud_async.errors import CareCloudError, RateLimitError

__all__ = ["FIRST", "TOO_LONG", "WIDTH", "AutoPlan", "plan_for"]

P = TypeVar("P")

_Step: TypeAlias = Literal["count", "width"]
#: The number that is doubled after another one can no longer be.
_NEXT: Final[dict[_Step, _Step | None]] = {"count": "width", "width": None}
#: The part of the throughput that a doubled number must bring. Fewer requests are worth a small loss; more requests at
#: once burden the server and need a gain.
_WORTH: Final[dict[_Step, float]] = {"count": 0.95, "width": 1.1}

#: The records of the first page, and the number of requests at once after it.
FIRST, WIDTH = 200, 8
#: The records of the second pages: as many as come in `_QUICK` seconds if each takes as long as on the first page.
_LEAST_SECOND, _MOST_SECOND, _QUICK = 400, 1000, 0.08
#: A page that takes more seconds halves the page size; reads have a timeout of 30.
TOO_LONG = 5.0
#: Pages of which each takes so much longer for a record than the first one, alone and smaller, are too large.
_MUCH_SLOWER = 1.1
#: A smaller step is not worth a trial.
_LEAST_STEP = 1.25
#: The flights until both numbers are tried again; doubled each time.
_PATIENCE = 16


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
        self._bounds = PlanBounds(rate)
        self._max_requests = max(most_requests, 1)
        self._is_width_fixed = width != AUTO
        self.is_fixed: bool = count != AUTO
        self._setting = Setting(
            width=min(WIDTH, self._max_requests) if width == AUTO else width,
            count=FIRST if count == AUTO else count,
        )
        self._flight: Flight | None = None  # the pages of the setting in use; `None` until the first page has come
        self._baseline: Flight | None = None  # the flight that the one in use is compared with
        self._step: _Step | None = "count"  # the number that is tried; `None` while both rest
        self._rest_flights = self._flights_left = _PATIENCE

    @property
    def width(self) -> int:
        """See `PagePlan.width`."""
        if self._is_width_fixed:
            return self._setting.width
        width = min(self._setting.width, self._bounds.busy_width)
        if not self.is_fixed:
            width = min(width, self._bounds.max_width(self.count))
        return max(int(width), 1)

    @property
    def count(self) -> int:
        """See `PagePlan.count`."""
        return self._setting.count if self.is_fixed else max(min(self._setting.count, self._max_count), 1)

    @property
    def spare(self) -> int:
        """See `PagePlan.spare`."""
        # Pages of two sizes take turns during a trial: the small ones must not wait for a large one.
        return self.width if self._step else max(self.width // SPARE_PART, 1)

    @property
    def _max_count(self) -> int:
        return self._bounds.max_count(self._setting.width if self._is_width_fixed else 1)

    @property
    def _is_limited(self) -> bool:
        """Whether the rate limiter bounds the requests at once."""
        return self._bounds.busy_width < self._setting.width

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """See `PagePlan.request`."""
        sizes, fail_fast = self._bounds.sizes, True
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

    def _observe(self, flight: Flight | None, asked: int, began: float, found: Fetched[P]) -> None:
        """Take a page into account, and change the setting after the last page of a flight.

        Args:
            flight: the flight that was in use when it was requested.
            asked: the number of records requested.
            began: when it was requested.
            found: the page.
        """
        bounds = self._bounds
        seconds = self._now() - max(began, found.sent_at or began)
        bounds.observe(records=found.received, size=found.size, seconds=seconds)
        if self._flight is None:
            self._begin_after_first(found.received)
        elif flight is not None and flight is self._flight and asked >= min(flight.setting.count, bounds.sizes.most):
            flight.add(found.received, bounds.page_seconds)
            if bounds.page_seconds > TOO_LONG:
                self._halve()
            elif flight.is_complete or self._is_too_large(flight):
                self._judge(flight)

    def _begin_after_first(self, received: int) -> None:
        """Choose the size of the second pages from the time of the first one."""
        self._baseline = first = self._use(self._setting)
        first.is_alone = True
        first.add(received, self._bounds.page_seconds)
        seconds, most = (SLOW, self._max_count) if self._is_limited else (_QUICK, _MOST_SECOND)
        count = self.count if self.is_fixed else min(max(int(seconds / first.fastest), _LEAST_SECOND), most)
        flight = self._use(evolve(self._setting, count=count))
        flight.to_skip = 0 if self._is_limited else flight.setting.width

    def _judge(self, flight: Flight) -> None:
        """Keep what a flight tried or take it back, and try the next step; while both numbers rest, wait."""
        if self._step is None:
            self._flights_left -= 1
            if not self._flights_left:
                self._step = "count"
        elif self._baseline is not None and self._is_worse(flight, self._baseline, self._step):
            flight, self._step = self._baseline, _NEXT[self._step]
        self._try_larger(flight)

    def _try_larger(self, flight: Flight) -> None:
        """Double the number that is tried, or the next one; if none can be doubled, go on as in this flight."""
        while self._step is not None:
            larger = self._larger(flight, self._step)
            if larger is not None:
                self._baseline = flight
                self._use(larger)
                return
            self._step = _NEXT[self._step]
            if self._step is None:
                self._rest()
        self._use(flight.setting)

    def _larger(self, flight: Flight, step: _Step) -> Setting | None:
        """Return a flight's setting with one number doubled; `None` if it is the user's, or cannot grow."""
        setting = flight.setting
        if flight.is_slow:
            return None
        if step == "count":
            count = None if self.is_fixed else _doubled(setting.count, self._max_count)
            return None if count is None else evolve(setting, count=count)
        width = None if self._is_width_fixed else _doubled(setting.width, self._max_requests)
        return None if width is None else evolve(setting, width=width)

    def _is_worse(self, flight: Flight, baseline: Flight, step: _Step) -> bool:
        """Return whether a larger number did not bring what it must."""
        if baseline.is_alone and step == "count" and not self._is_limited:
            return self._is_too_large(flight)
        rate = self._bounds.rate
        return flight.throughput(rate) < _WORTH[step] * baseline.throughput(rate)

    def _is_too_large(self, flight: Flight) -> bool:
        """Return whether each page of the second flight took longer for a record than the first page of all."""
        first = self._baseline
        if first is None or not first.is_alone or self._is_limited:
            return False
        return not flight.to_skip and flight.fastest > _MUCH_SLOWER * first.fastest

    def _halve(self) -> None:
        """Request half as many records, or where those are few, half as many pages at once."""
        self._rest()
        if self.count > DEFAULT_COUNT and not self.is_fixed:
            self._use(evolve(self._setting, count=max(self.count // 2, DEFAULT_COUNT)))
        elif not self._is_width_fixed:
            self._use(evolve(self._setting, width=max(self.width // 2, 1)))

    def _rest(self) -> None:
        """Try neither number for some flights, each time for twice as many."""
        self._baseline, self._step, self._flights_left = None, None, self._rest_flights
        self._rest_flights *= 2

    def _use(self, setting: Setting) -> Flight:
        """Begin a flight with a setting, within the bounds."""
        self._setting = setting
        self._flight = Flight(Setting(width=self.width, count=self.count))
        return self._flight


def _doubled(value: int, most: int) -> int | None:
    """Return twice a value, or the most that it may be; `None` if that is hardly larger."""
    larger = min(2 * value, most)
    return larger if larger >= _LEAST_STEP * value else None


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
