"""`ExportSource`: everything an export needs from a listing and its client, as one value."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec
from attrs import frozen

from carecloud_async._base import codec
from carecloud_async._base.codec.write import unstructure
from carecloud_async._base.project import Project
from carecloud_async._base.runs import IDENTITY
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import Answer, Operation
from carecloud_async._lists.paging.fetching import PageFetcher
from carecloud_async._lists.paging.page_plan import Auto, PagePlan, fixed_count

__all__ = ["ExportSource"]

#: Gets a page of raw records by the parameters of its query.
_Fetch: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Answer[codec.Page[bytes]]]]


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
    fetch: _Fetch
    project: Project
    clock: Clock
    fetch_fail_fast: _Fetch | None = None
    most_requests: int = 20
    rate: Callable[[], float | None] = lambda: None

    @classmethod
    def of(cls, fetcher: PageFetcher[Any], *, count: int | Auto, offset: int) -> ExportSource:
        """Return the source of a list.

        Args:
            fetcher: the list, its filters and who calls.
            count: records of a page.
            offset: where the list begins.
        """
        caller, operation = fetcher.caller, fetcher.operation

        async def fetch(caller: Caller, params: Mapping[str, Any]) -> Answer[codec.Page[bytes]]:
            return await caller.execute(fetcher.request(params, bytes))

        context = caller.context
        body = {} if fetcher.json is None else {"body": unstructure(fetcher.json, zone=context.project.timezone)}
        return cls(
            operation=operation,
            into=fetcher.into,
            params=fetcher.params,
            count=count,
            offset=offset,
            scope={
                "project": (context.project.origin, str(caller.interface)),
                "list": (operation.method, operation.path, sorted(fetcher.path_params.items())),
                "filters": sorted((name, value) for name, value in fetcher.params.items() if value is not None),
                **body,
                "language": caller.options.language,
                IDENTITY: None if caller.tokens is None else caller.tokens.provider.identity_key,
            },
            fetch=partial(fetch, caller),
            fetch_fail_fast=partial(fetch, caller.fail_fast),
            project=context.project,
            clock=context.clock,
            most_requests=context.http.max_connections,
            rate=lambda: context.rate_limiter.rate,
        )

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
