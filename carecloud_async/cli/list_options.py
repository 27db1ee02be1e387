"""`ListOptions`: the options that choose the records of a list."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.cli.lists import find_list, list_path_values, open_listing
from carecloud_async.cli.parameters import FILTERS, OF
from carecloud_async.client import CareCloud

__all__ = ["ListOptions"]


@frozen(kw_only=True)
class ListOptions:
    """The parents and the filters of a list.

    Attributes:
        of: the ids of the parents, outermost first.
        filters: `name=value` each.
    """

    of: list[str] | None = OF
    filters: list[str] | None = FILTERS

    def find(self, resource: str) -> Operation:
        """Return the list operation of a resource, before anything is asked.

        Raises:
            UsageError: there is no such list, or the ids are too few or too many.
        """
        operation = find_list(resource)
        list_path_values(operation, self.of or [])
        return operation

    def listing(
        self, client: CareCloud, operation: Operation, *, allow_unknown: bool = False, **paging: Any
    ) -> Listing[Any]:
        """Make the listing; see `open_listing`."""
        of, filters = self.of or [], self.filters or []
        return open_listing(client, operation, of=of, filters=filters, allow_unknown=allow_unknown, **paging)
