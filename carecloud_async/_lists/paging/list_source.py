"""`ListSource`: a list operation, its filters and its caller; gets a page decoded at once, later, or as raw JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from attrs import frozen

from carecloud_async._base import codec
from carecloud_async._base.codec.fields import is_read_model
from carecloud_async._base.codec.json_text import REFUSED
from carecloud_async._base.codec.pages import AnyPage, UnreadPage, key_decoder, page_slices, unread_page
from carecloud_async._base.codec.write import unstructure
from carecloud_async._base.project import Project
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest, Operation, RawResponse
from carecloud_async._lists.paging.auto import AUTO, DEFAULT_COUNT, Auto
from carecloud_async.errors import ConfigurationError

__all__ = ["ListSource"]

T = TypeVar("T")
R = TypeVar("R")


@frozen(kw_only=True, repr=False)
class ListSource(Generic[T]):
    """A list: what every way to read one begins with.

    Attributes:
        caller: makes the calls.
        operation: the list operation.
        into: the type of a record.
        path_params: values of the path's placeholders.
        params: filters and order.
        json: the body of a list that is a POST.
        count: records per page; `auto` for the fastest.
        offset: records to skip.
    """

    caller: Caller
    operation: Operation
    into: type[T]
    path_params: Mapping[str, Any]
    params: Mapping[str, Any]
    json: Any
    count: int | Auto
    offset: int

    @property
    def name(self) -> str:
        """The name of the list in logs and errors."""
        return self.operation.call or self.operation.path

    @property
    def filters(self) -> list[str]:
        """The names of what narrows or orders the list, without the values: these may be personal data."""
        given = {**self.path_params, **self.params, **(self.json or {})}
        return [name for name, value in given.items() if value is not None]

    @property
    def fixed_count(self) -> int:
        """Records per page when the size is not measured."""
        return DEFAULT_COUNT if self.count == AUTO else self.count

    @property
    def project(self) -> Project:
        """The project; the records' times are in its zone."""
        return self.caller.context.project

    @property
    def clock(self) -> Clock:
        """The client's clock."""
        return self.caller.context.clock

    async def read(self, offset: int, count: int) -> codec.Page[T]:
        """Get one page of records."""
        return await self.caller.call(self._request(self._query(offset, count), self.into))

    async def raw(self, offset: int, count: int) -> codec.Page[bytes]:
        """Get one page of raw records."""
        return await self.caller.call(self._request(self._query(offset, count), bytes))

    async def unread(self, offset: int, count: int) -> AnyPage[T]:
        """Get one page whose records are decoded when they are returned, if that is faster."""
        return await self.caller.call(self._unread_request(offset, count))

    async def measured(
        self, offset: int, count: int, sort: Mapping[str, Any] | None = None, *, fail_fast: bool = False
    ) -> tuple[AnyPage[T], RawResponse | None]:
        """Get such a page, bypassing the cache, with its response.

        Args:
            offset: where it begins.
            count: the number of records to request.
            sort: the sort, in place of the list's own.
            fail_fast: whether to retry once at most.
        """
        if self.operation.result_key is None:  # the cache must see an unknown POST: it may be a write
            return await self.unread(offset, count), None
        request = self._unread_request(offset, count, sort)
        answer = await self._caller(fail_fast=fail_fast).execute(request)
        return answer.data, answer.response

    async def raw_measured(
        self, offset: int, count: int, sort: Mapping[str, Any] | None = None, *, fail_fast: bool = False
    ) -> tuple[codec.Page[bytes], RawResponse]:
        """Get one page of raw records as `measured` does, also of an unknown POST."""
        request = self._request(self._query(offset, count, sort), bytes)
        answer = await self._caller(fail_fast=fail_fast).execute(request)
        return answer.data, answer.response

    def _caller(self, *, fail_fast: bool) -> Caller:
        return self.caller.fail_fast if fail_fast else self.caller

    def _request(self, query: Mapping[str, Any], into: type[R]) -> CallRequest[codec.Page[R]]:
        target: dict[str, Any] = {"key": self.operation.result_key, "into": into, "offset": query.get("offset", 0)}
        return CallRequest(
            self.operation,
            decode=partial(codec.page, **target),
            slices=partial(page_slices, **target),
            path_params=self.path_params,
            params=query,
            json=self.json,
        )

    def _unread_request(self, offset: int, count: int, sort: Mapping[str, Any] | None = None) -> CallRequest[Any]:
        query, key = self._query(offset, count, sort), self.operation.result_key
        if key is None or not is_read_model(self.into):
            return self._request(query, self.into)
        decode = partial(unread_page, key=key, into=self.into, offset=offset)
        return CallRequest(self.operation, decode=decode, path_params=self.path_params, params=query, json=self.json)

    def _query(self, offset: int, count: int, sort: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        paging = {"count": count, "offset": offset} if self.operation.paged else {}
        return {**self.params, **(sort or {}), **paging}

    def fingerprints(self, **more: Any) -> dict[str, str]:
        """Return digests of everything that decides which records the list holds: a checkpoint is bound to them.

        Args:
            more: what else the checkpoint is bound to, by its name in messages.
        """
        from carecloud_async._base.runs import IDENTITY  # few programs keep a state

        caller, operation = self.caller, self.operation
        scope = {
            "project": (self.project.origin, str(caller.interface)),
            "list": (operation.method, operation.path, sorted(self.path_params.items())),
            "filters": sorted((name, value) for name, value in self.params.items() if value is not None),
            **({} if self.json is None else {"body": unstructure(self.json, zone=self.project.timezone)}),
            "language": caller.options.language,
            IDENTITY: None if caller.tokens is None else caller.tokens.provider.identity_key,
        }
        return {name: _digest(value) for name, value in {**scope, **more}.items()}

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
            return codec.encode(item, zone=self.project.timezone)
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


def _digest(value: Any) -> str:
    text = msgspec.json.encode(value, enc_hook=str)
    return hashlib.sha256(text).hexdigest()[:32]
