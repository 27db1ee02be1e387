"""`Flight`: the pages that are requested with one setting, and how fast they came."""

from __future__ import annotations

import math

from attrs import define, frozen

__all__ = ["SLOW", "Flight", "Setting"]

#: Pages that take more seconds than this do not grow.
SLOW = 1.0


@frozen(kw_only=True)
class Setting:
    """A number of requests at once and a number of records in each."""

    width: int
    count: int


@define(eq=False)
class Flight:
    """The pages that were requested with one setting, and how long they took.

    Attributes:
        setting: the setting.
        to_skip: the pages not to count: the first ones of an idle server wait less than those that follow.
        is_alone: whether it is the first page of a list, which waits for no other.
        pages, records, seconds: sums over the pages that count.
        fastest: the seconds a record of the fastest page.
    """

    setting: Setting
    to_skip: int = 0
    is_alone: bool = False
    pages: int = 0
    records: int = 0
    seconds: float = 0.0
    fastest: float = math.inf

    def add(self, received: int, seconds: float) -> None:
        """Add a page."""
        self.fastest = min(self.fastest, seconds / received)
        if self.to_skip:
            self.to_skip -= 1
            return
        self.pages += 1
        self.records += received
        self.seconds += seconds

    @property
    def is_complete(self) -> bool:
        """Whether as many pages have arrived as were under way at once."""
        return self.pages >= self.setting.width

    @property
    def is_slow(self) -> bool:
        """Whether its pages took too long to grow."""
        return self.seconds > SLOW * self.pages

    def throughput(self, rate: float | None) -> float:
        """Return records a second (Little's law).

        Args:
            rate: the requests a second that the rate limiter allows; `None` for any number.
        """
        throughput = self.setting.width * self.records / self.seconds
        return throughput if rate is None else min(throughput, rate * self.setting.count)
