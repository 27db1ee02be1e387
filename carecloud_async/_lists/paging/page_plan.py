"""How many pages are requested at once, and of what size: set by the user or measured.

`await plan.request(1000, send)` requests 1,000 records, or fewer if the server is known to fail at so many.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from attrs import frozen

__all__ = ["SPARE_PART", "Fetched", "FixedPlan", "PagePlan", "Send"]

P = TypeVar("P")

#: One page may wait for this many in flight. More waiting pages would be lost when an export is killed.
SPARE_PART = 5


@frozen(kw_only=True)
class Fetched(Generic[P]):
    """A page with its measurements.

    Attributes:
        page: the page.
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


#: Requests a number of records. The second argument, `fail_fast`, is true if the server never sent so many: the request
#: may fail, and is then retried once at most.
Send = Callable[[int, bool], Awaitable[Fetched[P]]]


class PagePlan(Protocol):
    """The requests of one reading of a list."""

    @property
    def width(self) -> int:
        """The number of requests at once."""
        ...

    @property
    def count(self) -> int:
        """The number of records to request at a time."""
        ...

    @property
    def spare(self) -> int:
        """The number of pages that may wait in addition to those in flight."""
        ...

    @property
    def is_fixed(self) -> bool:
        """Whether `count` never changes."""
        ...

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """Request a number of records, or fewer if the server fails at so many; return the number and the page.

        Raises:
            CareCloudError: the server cannot be read.
        """
        ...


@frozen(kw_only=True)
class FixedPlan:
    """The numbers that the user set; see `PagePlan` for the attributes."""

    width: int
    count: int
    spare: int = 0
    is_fixed: bool = True

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """See `PagePlan.request`."""
        return wanted, (await send(wanted, False)).page
