"""How many pages are asked for at once, and of what size: as the user says, or as the measurement goes.

`await plan.request(1000, send)` asks for 1,000 records, or for fewer where the server is not trusted with as many.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from attrs import frozen

__all__ = ["SPARE_PART", "Fetched", "FixedPlan", "PagePlan", "Send"]

P = TypeVar("P")

#: One page for so many in flight may lie waiting beside them. More would be lost when an export is killed.
SPARE_PART = 5


@frozen(kw_only=True)
class Fetched(Generic[P]):
    """A page, and what is measured by it.

    Attributes:
        page: the page.
        received: the number of entries that the server sent.
        at_end: whether it ends where the list does, as the server says.
        size: the bytes of its body; 0 if unknown.
        sent_at: when its last attempt was sent, on the monotonic clock; `None` if unknown.
    """

    page: P
    received: int
    at_end: bool = False
    size: int = 0
    sent_at: float | None = None


#: Asks for a number of records; the second argument says whether the server never sent as many, so that it may well
#: fail: such a request is not repeated for long.
Send = Callable[[int, bool], Awaitable[Fetched[P]]]


class PagePlan(Protocol):
    """The requests of one reading of a list."""

    @property
    def width(self) -> int:
        """The number of requests at once."""
        ...

    @property
    def count(self) -> int:
        """The number of records to ask for at a time."""
        ...

    @property
    def spare(self) -> int:
        """The number of pages that may lie waiting beside those in flight."""
        ...

    @property
    def is_fixed(self) -> bool:
        """Whether `count` never changes."""
        ...

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """Ask for a number of records, or for fewer if the server is not trusted with as many; return that number too.

        Raises:
            CareCloudError: the server cannot be read.
        """
        ...


@frozen(kw_only=True)
class FixedPlan:
    """The numbers that a user gave; see `PagePlan` for the attributes."""

    width: int
    count: int
    spare: int = 0
    is_fixed: bool = True

    async def request(self, wanted: int, send: Send[P]) -> tuple[int, P]:
        """See `PagePlan.request`."""
        return wanted, (await send(wanted, False)).page
