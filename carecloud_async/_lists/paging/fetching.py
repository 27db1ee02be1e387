"""`PageFetcher`: gets one page of a list operation, decoded at once, decoded later, or as raw JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from attrs import frozen

from carecloud_async._base import codec
from carecloud_async._base.codec.fields import is_read_model
from carecloud_async._base.codec.json_text import REFUSED
from carecloud_async._base.codec.pages import UnreadPage, key_decoder, page_slices, unread_page
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest, Operation, RawResponse
from carecloud_async._lists.paging.iterators import AnyPage
from carecloud_async.errors import ConfigurationError

__all__ = ["PageFetcher"]

T = TypeVar("T")
R = TypeVar("R")


@frozen(kw_only=True, repr=False)
class PageFetcher(Generic[T]):
    """Gets pages of one list.

    Attributes:
        caller: makes the calls.
        operation: the list operation.
        into: the type of a record.
        path_params: values of the path's placeholders.
        params: filters and order.
        json: the body of a list that is a POST.
    """

    caller: Caller
    operation: Operation
    into: type[T]
    path_params: Mapping[str, Any]
    params: Mapping[str, Any]
    json: Any

    @property
    def filters(self) -> list[str]:
        """The names of what narrows or orders the list, without the values: these may be personal data."""
        given = {**self.path_params, **self.params, **(self.json or {})}
        return [name for name, value in given.items() if value is not None]

    async def read(self, offset: int, count: int) -> codec.Page[T]:
        """Get one page of records."""
        return await self.caller.call(self.request(self._query(offset, count), self.into))

    async def raw(self, offset: int, count: int) -> codec.Page[bytes]:
        """Get one page of raw records."""
        return await self.caller.call(self.request(self._query(offset, count), bytes))

    async def unread(self, offset: int, count: int) -> AnyPage[T]:
        """Get one page whose records are decoded when they are returned, if that is faster."""
        return await self.caller.call(self._unread_request(offset, count))

    async def measured(self, offset: int, count: int, fail_fast: bool) -> tuple[AnyPage[T], RawResponse | None]:
        """Get such a page, bypassing the cache, with its response.

        Args:
            offset: where it begins.
            count: the number of records to request.
            fail_fast: see `page_plan.Send`.
        """
        if self.operation.result_key is None:  # the cache must see an unknown POST: it may be a write
            return await self.unread(offset, count), None
        caller = self.caller.fail_fast if fail_fast else self.caller
        answer = await caller.execute(self._unread_request(offset, count))
        return answer.data, answer.response

    def request(self, query: Mapping[str, Any], into: type[R]) -> CallRequest[codec.Page[R]]:
        """Return the request for one page.

        Args:
            query: filters, order and paging.
            into: the type of a record; `bytes` for raw ones.
        """
        target: dict[str, Any] = {"key": self.operation.result_key, "into": into, "offset": query.get("offset", 0)}
        return CallRequest(
            self.operation,
            decode=partial(codec.page, **target),
            slices=partial(page_slices, **target),
            path_params=self.path_params,
            params=query,
            json=self.json,
        )

    def _unread_request(self, offset: int, count: int) -> CallRequest[Any]:
        query, key = self._query(offset, count), self.operation.result_key
        if key is None or not is_read_model(self.into):
            return self.request(query, self.into)
        decode = partial(unread_page, key=key, into=self.into, offset=offset)
        return CallRequest(self.operation, decode=decode, path_params=self.path_params, params=query, json=self.json)

    def _query(self, offset: int, count: int) -> Mapping[str, Any]:
        return {**self.params, "count": count, "offset": offset} if self.operation.paged else self.params

    def keys(self, page: AnyPage[Any]) -> Iterator[Any]:
        """Return the identities of a page's records: their ids, or else their whole content."""
        name = self.operation.id_field
        if isinstance(page, UnreadPage):
            return page.keys(name)
        return ((name and _field(item, name)) or self._content(item) for item in page)

    def _content(self, item: Any) -> bytes:
        if isinstance(item, bytes):
            return item
        try:
            return codec.encode(item, zone=self.caller.context.project.timezone)
        except ConfigurationError:  # it can be read but not sent: a dataclass, a pydantic model, an infinite number
            return repr(msgspec.to_builtins(item, enc_hook=vars)).encode("utf-8", "surrogatepass")


def _field(item: Any, name: str) -> Any:
    """Return the id of a record; `None` if it has none that can be compared."""
    try:
        if isinstance(item, bytes):
            return key_decoder(name).decode(item).key
        value = item.get(name) if isinstance(item, dict) else getattr(item, name, None)
        hash(value)
    except (*REFUSED, TypeError):  # an odd id, such as a list or an object
        return None
    return value
