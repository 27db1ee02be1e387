"""`AutoPlan`: the width and the page size that bring the most records a second, found while the list is read.

The first page comes alone and asks for `FIRST` records: a server that caps pages below shows it at once. Eight larger
ones at a time follow, and from there `hill_climb` goes on. Once it has settled, the numbers stay until the throughput
has clearly changed for several flights in a row, and each new search makes the next one wait longer.

The plan runs the search: `hill_climb` says what to try, `delivery_rate` measures it, `auto_bounds` and `trusted_count`
say how far it may go, and `throughput_watch` when to begin anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from carecloud_async.errors import CareCloudError, RateLimitError
from carecloud_async.paging.auto import AUTO, Auto
from carecloud_async.paging.auto_bounds import AutoBounds
from carecloud_async.paging.delivery_rate import DeliveryRate, PendingRequest, Sample, Trial
from carecloud_async.paging.hill_climb import (
    LARGE,
    Search,
    SearchBounds,
    Setting,
    Try,
    search,
    search_behind_one_page,
    search_while_held,
)
from carecloud_async.paging.page_plan import Fetched, FixedPlan, PagePlan, Send
from carecloud_async.paging.throughput_watch import ThroughputWatch
from carecloud_async.paging.trusted_count import may_be_too_large

__all__ = ["FIRST", "AutoPlan", "make_plan"]

P = TypeVar("P")

#: The records of the first page.
FIRST = 200
#: The records of the pages behind it at least.
_SECOND = 400
#: They are larger, up to `LARGE`, where they come in so many seconds even if each record has its price.
_QUICK = 0.08
#: One page for five in flight may lie waiting beside them. More would be lost when an export is killed.
_PART = 5
#: The flights in a row that must show a change, before the first new search.
_PATIENCE = 3


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
        self._now = now
        self._delivery = DeliveryRate()
        self._bounds = AutoBounds(width=width, count=count, most_requests=most_requests, rate=rate)
        self._setting = self._bounds.first(FIRST)
        self._trial = Trial(1)
        self._pace = 0.0
        self._search: Search | None = None
        self._watch: ThroughputWatch | None = None
        self._patience = _PATIENCE

    @property
    def width(self) -> int:
        """See `PagePlan.width`."""
        return self._bounds.width(self._setting)

    @property
    def count(self) -> int:
        """See `PagePlan.count`."""
        return self._bounds.count(self._setting)

    @property
    def spare(self) -> int:
        """See `PagePlan.spare`."""
        # Pages of several sizes take turns during a search: the small ones must not wait for a large one.
        return max(self.width // _PART, 1) if self.settled else self.width

    @property
    def is_fixed(self) -> bool:
        """See `PagePlan.is_fixed`."""
        return self._bounds.is_count_fixed

    @property
    def settled(self) -> bool:
        """Whether the search is over."""
        return self._watch is not None

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """See `PagePlan.request`."""
        trusted, hurried = self._bounds.trusted, True
        while True:
            asked = wanted if self.is_fixed else min(wanted, trusted.most)
            untried = not self.is_fixed and trusted.is_untried(asked)
            request = self._delivery.begin(asked, trial=self._trial, now=self._now())
            try:
                found = await send(asked, untried and hurried)
            except CareCloudError as error:
                if untried and hurried and isinstance(error, RateLimitError):
                    hurried = False  # it says nothing of the size: the same once more, with patience
                elif untried and may_be_too_large(error):
                    hurried = True
                    trusted.on_failure()
                else:
                    raise
            else:
                self._note(request, found)
                return asked, found.page

    def _note(self, request: PendingRequest, found: Fetched[P]) -> None:
        bounds, received = self._bounds, found.received
        bounds.budget.add(received, found.size)
        bounds.trusted.on_page(request.asked, received, at_end=found.at_end)
        sample = self._delivery.end(request, received, now=self._now(), sent_at=found.sent_at)
        if sample is None:
            return
        if self._search is None:
            self._learn_pace(sample.pace, received)
            self._start(self._first_search())
        elif self.is_fixed or request.asked >= min(request.trial.count, bounds.trusted.most):
            self._measure(request.trial, sample)
        if not self.is_fixed and bounds.budget.is_outgrown(received, found.size):
            bounds.budget.restart(received, found.size)
            self._start(self._new_search())

    def _measure(self, trial: Trial, sample: Sample) -> None:
        if trial is not self._trial:
            trial.add(sample)  # it is over, but its figures sharpen
        elif self._watch is not None:
            if self._watch.has_changed(sample.rate):
                self._patience *= 2
                self._start(self._new_search())
        elif trial.add(sample) and (under_way := self._search) is not None:
            self._learn_pace(trial.outcome().pace, self.count)
            self._go_on(lambda: under_way.send(trial.outcome))

    def _learn_pace(self, pace: float, records: int) -> None:
        self._pace = pace
        self._bounds.limiter.latency = pace * records

    def _first_search(self) -> Search:
        """Return the search behind the first page."""
        pace, setting, bounds = self._pace, self._setting, self._search_bounds
        width = self._bounds.width_of_search(setting)
        if self._bounds.limiter.is_scarce(width):
            return search_while_held(self._within_bounds(width, setting.count), bounds, pace=pace)
        start = self._within_bounds(width, max(min(int(_QUICK / pace), LARGE), _SECOND))
        if start.count > setting.count and not self.is_fixed:
            return search_behind_one_page(start, bounds, pace=pace)
        return search(start, bounds, clean=False)

    def _new_search(self) -> Search:
        """Return a search from where it stands."""
        width = self._bounds.width_of_search(self._setting)
        return search(self._within_bounds(width, self._setting.count), self._search_bounds)

    def _within_bounds(self, width: int, count: int) -> Setting:
        most = count if self.is_fixed else self._most_records(width, self._pace)
        return Setting(width=width, count=max(min(count, most), 1))

    @property
    def _search_bounds(self) -> SearchBounds:
        return SearchBounds(
            most_records=self._most_records,
            most_requests=self._bounds.most_requests,
            requests_per_second=self._bounds.limiter.requests_per_second,
        )

    def _most_records(self, width: int, pace: float) -> int:
        return self._bounds.most_records(min(width, self.width), pace)

    def _start(self, begun: Search) -> None:
        self._search, self._watch = begun, None
        self._go_on(lambda: next(begun))

    def _go_on(self, step: Callable[[], Try]) -> None:
        """Try what the search says next, or settle on what it ended with."""
        try:
            self._try(step())
        except StopIteration as end:
            self._try(Try(setting=end.value))
            self._watch = ThroughputWatch(width=self.width, patience=self._patience)

    def _try(self, tried: Try) -> None:
        self._setting = tried.setting
        self._bounds.budget.hold()
        self._trial = Trial(
            self.width,
            count=tried.setting.count,
            before=tried.before,
            beats=tried.beats,
            clean=tried.clean,
            scarce=self._bounds.limiter.is_scarce(tried.setting.width),
        )
