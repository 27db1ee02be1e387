"""`PageFetcher`: gets one page of a list operation, decoded at once, decoded later, or as raw JSON."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar

import msgspec
from attrs import frozen

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import REFUSED
from carecloud_async._base.codec.fields import is_read_model
from carecloud_async._base.codec.lists import key_decoder
from carecloud_async._calls.call.call_errors import invalid_response
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async._lists.paging.iterators import LazyPage, Page, ReceivedPage
from carecloud_async._lists.paging.page_plan import Fetched
from carecloud_async.errors import ConfigurationError

__all__ = ["PageFetcher", "raw_keys"]

T = TypeVar("T")
R = TypeVar("R")

_Found = codec.DecodedPage[T] | codec.UnreadPage[T]


@frozen
class _Decoding(Generic[R]):
    """How a page is decoded: at once, and in slices if it is large; see `CallRequest`."""

    decode: Callable[[bytes], R]
    slices: Callable[[bytes], Generator[None, None, R]] | None = None

    @staticmethod
    def of_page(**target: Any) -> _Decoding[Any]:
        """Return the decoding of a page whose records are all wanted; `target` is as for `codec.page`."""
        return _Decoding(partial(codec.page, **target), partial(codec.page_slices, **target))


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

    async def read(self, offset: int, count: int) -> Page[T]:
        """Get one page of records."""
        decoding = _Decoding.of_page(**self._target(offset))
        return _page(await self.caller.call(self._request(offset, count, decoding)), offset)

    async def unread(self, offset: int, count: int) -> ReceivedPage[T]:
        """Get one page whose records are decoded when they are returned, if that is faster."""
        return self._received(
            await self.caller.call(self._request(offset, count, self._unread_decoding(offset))), offset
        )

    async def unread_measured(self, offset: int, count: int, fail_fast: bool) -> Fetched[ReceivedPage[T]]:
        """Get such a page, bypassing the cache, with its measurements.

        Args:
            offset: where it begins.
            count: the number of records to request.
            fail_fast: see `page_plan.Send`.
        """
        if self.operation.result_key is None:  # the cache must see an unknown POST: it may be a write
            page = await self.unread(offset, count)
            return Fetched(page=page, received=page.received)
        caller = self.caller.fail_fast if fail_fast else self.caller
        answer = await caller.execute(self._request(offset, count, self._unread_decoding(offset)))
        page = self._received(answer.data, offset)
        return Fetched(
            page=page,
            received=page.received,
            at_end=offset + page.received == page.total_items,
            size=len(answer.response.body),
            sent_at=answer.response.sent_at,
        )

    def _unread_decoding(self, offset: int) -> _Decoding[_Found[T]]:
        if self.operation.result_key is not None and is_read_model(self.into):
            return _Decoding(partial(codec.unread_page, **self._target(offset)))
        return _Decoding.of_page(**self._target(offset))

    def _target(self, offset: int) -> dict[str, Any]:
        return {"key": self.operation.result_key, "into": self.into, "offset": offset}

    def _received(self, found: _Found[T], offset: int) -> ReceivedPage[T]:
        if isinstance(found, codec.DecodedPage):
            return _page(found, offset)
        return LazyPage(
            records=found.records,
            offset=offset,
            total_items=found.total_items,
            received=found.received,
            error=partial(invalid_response, self.operation),
        )

    async def raw(self, offset: int, count: int) -> Page[bytes]:
        """Get one page of raw records."""
        return _page(await self.caller.call(self.raw_request(self._query(offset, count))), offset)

    def raw_request(self, query: Mapping[str, Any]) -> CallRequest[codec.DecodedPage[bytes]]:
        """Return the request for one page of raw records.

        Args:
            query: filters, order and paging.
        """
        offset = query.get("offset", 0)
        return self._make(query, _Decoding.of_page(key=self.operation.result_key, into=bytes, offset=offset))

    def keys(self, page: ReceivedPage[T]) -> Iterator[Any]:
        """Return the identities of a page's records: their ids, or else their whole content."""
        name = self.operation.id_field
        if isinstance(page, LazyPage):
            return page.records.keys(name)
        # Without an id, the whole content is the identity.
        return ((name and _field(item, name)) or self._content(item) for item in raw_keys(page))

    def raw_ids(self, page: ReceivedPage[bytes]) -> Iterator[Any]:
        """Return the identities of raw records: their ids, or else the whole lines."""
        name = self.operation.id_field
        decode = None if name is None else key_decoder(name).decode
        for line in raw_keys(page):
            try:
                found = None if decode is None else decode(line).key
            except REFUSED:
                found = None
            yield line if found is None or found == "" else found

    def _content(self, item: T) -> bytes:
        try:
            return codec.encode(item, zone=self.caller.context.project.timezone)
        except ConfigurationError:  # it can be read but not sent: a dataclass, a pydantic model, an infinite number
            return repr(msgspec.to_builtins(item, enc_hook=vars)).encode("utf-8", "surrogatepass")

    def _request(self, offset: int, count: int, decoding: _Decoding[R]) -> CallRequest[R]:
        return self._make(self._query(offset, count), decoding)

    def _query(self, offset: int, count: int) -> Mapping[str, Any]:
        return {**self.params, "count": count, "offset": offset} if self.operation.paged else self.params

    def _make(self, query: Mapping[str, Any], decoding: _Decoding[R]) -> CallRequest[R]:
        return CallRequest(
            self.operation,
            decode=decoding.decode,
            path_params=self.path_params,
            params=query,
            json=self.json,
            slices=decoding.slices,
        )


def raw_keys(page: ReceivedPage[T]) -> Iterator[T]:
    """Return the records of a page as their own identities."""
    return chain.from_iterable(page.batches())


def _page(found: codec.DecodedPage[T], offset: int) -> Page[T]:
    return Page(items=found.items, offset=offset, total_items=found.total_items, received=found.received)


def _field(item: Any, name: str) -> Any:
    value = item.get(name) if isinstance(item, dict) else getattr(item, name, None)
    try:
        hash(value)
    except TypeError:  # an odd id, such as a list or an object
        return None
    return value
