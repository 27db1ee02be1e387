"""`PageFetcher`: gets one page of a list operation, as records, as records to be read later, or as raw JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar

from attrs import frozen

from carecloud_async import codec
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.operation import Operation
from carecloud_async.codec.targets import any_page, any_page_slices, is_model, only_list
from carecloud_async.paging.iterators import Page, ReceivedPage, UnreadPage

__all__ = ["PageFetcher", "raw_keys"]

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

    async def read(self, offset: int, count: int) -> Page[T]:
        """Get one page of records."""
        key, into = self.operation.result_key, self.into
        if key is None or not is_model(into):
            decode, slices = partial(any_page, key=key, into=into), partial(any_page_slices, key=key, into=into)
            return _page(await self._call(offset, count, decode, slices=slices), offset)
        sliced = partial(codec.page_slices, key=key, into=into)
        return _page(await self._call(offset, count, partial(codec.page, key=key, into=into), slices=sliced), offset)

    async def unread(self, offset: int, count: int) -> ReceivedPage[T]:
        """Get one page whose records are read as they are handed out, where that is worth it."""
        key, into = self.operation.result_key, self.into
        if key is None or not is_model(into):
            return await self.read(offset, count)
        found = await self._call(offset, count, partial(codec.unread_page, key=key, into=into))
        if isinstance(found, codec.DecodedPage):
            return _page(found, offset)
        return UnreadPage(
            records=found.records,
            offset=offset,
            total_items=found.total_items,
            received=found.received,
            error=partial(self.caller.invalid_response, self.operation),
        )

    async def raw(self, offset: int, count: int) -> Page[bytes]:
        """Get one page of raw records."""
        key = self.operation.result_key
        if key is None:
            return _page(await self._call(offset, count, _raw_page_of_one_list), offset)
        slices = partial(codec.raw_page_slices, key=key)
        return _page(await self._call(offset, count, partial(codec.raw_page, key=key), slices=slices), offset)

    def keys(self, page: ReceivedPage[T]) -> Iterator[Any]:
        """Return what the records of a page are told apart by."""
        name = self.operation.id_field
        if isinstance(page, UnreadPage):
            return page.records.keys(name)
        # Where nothing names a record, only its whole content tells it apart.
        return ((name and _field(item, name)) or self._content(item) for item in raw_keys(page))

    def _content(self, item: T) -> bytes:
        return codec.encode(item, zone=self.caller.context.project.timezone)

    def _call(
        self,
        offset: int,
        count: int,
        decode: Callable[[bytes], R],
        *,
        slices: Callable[[bytes], Generator[None, None, R]] | None = None,
    ) -> Coroutine[Any, Any, R]:
        params = dict(self.params)
        if self.operation.paged:
            params |= {"count": count, "offset": offset}
        return self.caller.call(
            self.operation,
            decode=decode,
            path_params=self.path_params,
            params=params,
            json=self.json,
            slices=slices,
        )


def raw_keys(page: ReceivedPage[T]) -> Iterator[T]:
    """Return the records of a page as what they are told apart by."""
    return chain.from_iterable(page.batches())


def _page(found: codec.DecodedPage[T], offset: int) -> Page[T]:
    return Page(items=found.items, offset=offset, total_items=found.total_items, received=found.received)


def _raw_page_of_one_list(body: bytes) -> codec.DecodedPage[bytes]:
    return codec.raw_page(body, key=only_list(codec.data(body)))


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else getattr(item, name, None)
