"""What an export reads of a list: its raw pages, and the scope that a checkpoint is bound to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from carecloud_async._base import codec
from carecloud_async._base.runs import IDENTITY
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import Answer
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.paging.auto import Auto
from carecloud_async._lists.paging.fetching import PageFetcher

__all__ = ["export_source"]


def export_source(fetcher: PageFetcher[Any], *, count: int | Auto, offset: int) -> ExportSource:
    """Return the source of a list.

    Args:
        fetcher: the list, its filters and who calls.
        count: records of a page.
        offset: where the list begins.
    """
    caller, operation = fetcher.caller, fetcher.operation

    async def fetch(caller: Caller, params: Mapping[str, Any]) -> Answer[codec.DecodedPage[bytes]]:
        return await caller.execute(fetcher.raw_request(params))

    context = caller.context
    body = {} if fetcher.json is None else {"body": codec.unstructure(fetcher.json, zone=context.project.timezone)}
    return ExportSource(
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
            IDENTITY: None if caller.manager is None else caller.manager.provider.identity_key,
        },
        fetch=partial(fetch, caller),
        fetch_fail_fast=partial(fetch, caller.fail_fast),
        project=context.project,
        clock=context.clock,
        most_requests=context.http.max_connections,
        rate=lambda: context.rate_limiter.rate,
    )
