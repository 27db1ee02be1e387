"""`ExportSource`: everything an export needs from a listing and its client, as one value."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import frozen

from carecloud_async._base.project import Project
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.paging.auto import Auto, fixed_count
from carecloud_async._lists.paging.page_plan import PagePlan

if TYPE_CHECKING:
    from carecloud_async._base.codec import DecodedPage
    from carecloud_async._calls.call.operation import Answer

__all__ = ["ExportSource"]


@frozen(kw_only=True)
class ExportSource:
    """A list operation with its filters, and the means to read it.

    Attributes:
        operation: the list operation.
        into: the model of a record.
        params: filters and sort.
        count: records per page; `auto` for the fastest.
        offset: records to skip.
        scope: everything that decides which records the list holds, by its name in messages.
        fetch: sends the operation with query parameters and returns the records of the page as the server sent
            them; a truncated page is requested again.
        fetch_fail_fast: the same with one retry at most, see `page_plan.Send`; `None` to use `fetch`.
        project: the project; the records' times are in its zone.
        most_requests: the largest number of requests at once that `auto` may find.
        rate: returns the requests per second that the rate limiter allows; `None` while it delays none.
    """

    operation: Operation
    into: Any
    params: Mapping[str, Any]
    count: int | Auto
    offset: int
    scope: Mapping[str, Any]
    fetch: Callable[[Mapping[str, Any]], Awaitable[Answer[DecodedPage[bytes]]]]
    project: Project
    clock: Clock
    fetch_fail_fast: Callable[[Mapping[str, Any]], Awaitable[Answer[DecodedPage[bytes]]]] | None = None
    most_requests: int = 20
    rate: Callable[[], float | None] = lambda: None

    @property
    def name(self) -> str:
        """The name of the list in logs and errors."""
        return self.operation.call or self.operation.path

    @property
    def fixed_count(self) -> int:
        """Records per page when the size is not measured."""
        return fixed_count(self.count)

    def plan(self, width: int | Auto) -> PagePlan:
        """Return the plan for a reading: the numbers that the user gave, or those that are found to be the fastest.

        Args:
            width: pages in flight.
        """
        return PagePlan(
            width=width,
            count=self.count,
            most_requests=self.most_requests,
            now=self.clock.monotonic,
            rate=self.rate,
        )

    def fingerprints(self, **more: Any) -> dict[str, str]:
        """Return digests of everything that decides what is exported: a checkpoint is bound to them."""
        return {name: _digest(value) for name, value in {**self.scope, **more}.items()}


def _digest(value: Any) -> str:
    text = msgspec.json.encode(value, enc_hook=str)
    return hashlib.sha256(text).hexdigest()[:32]
