"""Make a `Listing` of a list operation and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._base.runtime.validators import require_int
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.listings.listing import Comparer, Listing
from carecloud_async._lists.paging.auto import AUTO, check_count
from carecloud_async._lists.paging.fetching import PageFetcher

__all__ = ["listing"]

T = TypeVar("T")


def listing(
    caller: Caller,
    operation: Operation,
    into: type[T],
    *,
    path_params: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    json: Any = None,
    compare: Comparer | None = None,
) -> Listing[T]:
    """Make a listing; invalid arguments are refused here, not at its first page.

    Args:
        caller: makes the calls.
        operation: the list operation.
        into: the model of a record.
        path_params: values of the path's placeholders.
        params: filters, order and paging (`count`, `offset`).
        json: the body of a list that is a POST.
        compare: compares the list with a source; `None` if its records cannot be compared.

    Raises:
        ConfigurationError: `count` or `offset` is not a sensible number, or a filter is of the wrong kind: the API
            would drop it and list everything.
    """
    # Filters name persons, and error reporters capture local variables.
    params = dict(check_count(operation.kinds, conceal(params or {})))
    count, offset = params.pop("count", AUTO), params.pop("offset", 0)
    require_int("offset", offset, least=0)
    fetcher = PageFetcher(
        caller=caller, operation=operation, into=into, path_params=path_params or {}, params=params, json=json
    )
    return Listing(fetcher=fetcher, count=count, offset=offset, comparer=compare)
