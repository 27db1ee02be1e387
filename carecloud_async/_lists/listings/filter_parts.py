"""Splits filters that are too long for one request into parts that each fit one.

The values of a list-valued filter are alternatives: a record matches if it matches any of them. The records of the
whole filter are therefore the union of the records of its parts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._calls.call.request import MAX_REQUEST_LINE, MAX_VARIABLES, RequestSize
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import ConfigurationError

__all__ = ["FilterParts", "Params"]

Params: TypeAlias = Mapping[str, Any]

#: The longest parameters that paging and the order of an export add to a query.
_PAGING = {"count": 10**6, "offset": 10**9, "sort_field": "x" * 50, "sort_direction": "DESC"}


@frozen(repr=False)
class FilterParts:
    """The filters of one listing, which may be split.

    Attributes:
        source: the listing.
    """

    source: ListSource[Any]

    @property
    def params(self) -> Params:
        """Filters and order."""
        return self.source.params

    def parts(self) -> list[Params]:
        """Return the filters in parts that each fit one request; usually one part is enough.

        Raises:
            ConfigurationError: they do not fit and cannot be split, since the list is sorted or does not begin at its
                start.
        """
        params = self.params
        parts = self._split(params)
        is_ordered = params.get("sort_field") is not None or params.get("sort_direction") is not None
        if len(parts) > 1 and (self.source.offset or is_ordered):
            raise self._refused("a sorted list, or one with an offset,", parts)
        return parts

    def require_one(self, what: str) -> None:
        """Raise if the filters need several parts, for operations that need a single list.

        Args:
            what: the operation, such as `an export`.

        Raises:
            ConfigurationError: the filters do not fit one request; the message has the bounds and what to do.
        """
        parts = self._split(self.params)
        if len(parts) > 1:
            raise self._refused(what, parts)

    def _split(self, params: Params) -> list[Params]:
        lists = self._lists(params)
        if not lists or self._size(params).fits:
            return [params]
        longest = max(lists, key=lambda name: sum(len(str(value)) + len(name) for value in lists[name]))
        values = lists[longest]
        middle = len(values) // 2
        halves = values[:middle], values[middle:]
        return [part for half in halves for part in self._split({**params, longest: half})]

    def _size(self, params: Params) -> RequestSize:
        source = self.source
        query = {**params, **(_PAGING if source.operation.paged else {})}
        return source.caller.request_size(source.operation, path_params=source.path_params, params=query)

    def _lists(self, params: Params) -> dict[str, list[Any]]:
        """Return the filters with several alternative values, duplicates removed."""
        known = self.source.operation.multi_value_parameters
        lists = {name: _distinct(params[name]) for name in params if name.removesuffix("[]") in known}
        return {name: values for name, values in lists.items() if len(values) > 1}

    def _refused(self, what: str, parts: Collection[Params]) -> ConfigurationError:
        fewest = {name: min(len(part[name]) for part in parts) for name in self._lists(self.params)}
        name = min(fewest, key=lambda name: fewest[name] / len(self.params[name]))
        return ConfigurationError(
            f"{self.source.operation.call}: {name} makes {self._size(self.params)}, and servers take "
            f"{MAX_REQUEST_LINE:,} bytes and {MAX_VARIABLES:,} variables; {what} cannot be put together from parts. "
            f"Give some {fewest[name]} values at a time, or iterate the listing from its start without an order, which "
            "asks in parts"
        )


def _distinct(values: Any) -> list[Any]:
    if not isinstance(values, Collection) or isinstance(values, str | bytes | Mapping):
        return []
    distinct: list[Any] = conceal(list(dict.fromkeys(values)))
    return distinct
