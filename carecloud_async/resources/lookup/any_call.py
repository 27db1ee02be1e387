"""Any call and any list of the API, by verb and path, known to the SDK or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from carecloud_async._base.codec.answers import data
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._base.codec.targets import target_reader
from carecloud_async._base.runtime.secret_text import conceal, conceal_body, secret_text
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.filters import check_filters
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async._lists.listings.listing import Listing, listing
from carecloud_async._lists.paging.page_plan import AUTO, Auto, check_count
from carecloud_async.errors import ConfigurationError

T = TypeVar("T")


class AnyCall:
    """What a client can do by path."""

    if TYPE_CHECKING:

        @property
        def _caller(self) -> Caller: ...

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        into: None = None,
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        safe_to_repeat: bool | None = None,
        allow_unknown: bool = False,
    ) -> JsonObject: ...

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        into: type[T],
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        safe_to_repeat: bool | None = None,
        allow_unknown: bool = False,
    ) -> T: ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        into: Any = None,
        safe_to_repeat: bool | None = None,
        allow_unknown: bool = False,
    ) -> Any:
        """Make any call of the API.

        Args:
            method: the HTTP verb.
            path: the path below the version, such as `customers/{customer_id}`.
            params: query parameters; sequences become `name[]=…`.
            path_params: values of the path's placeholders; one that the path fills already is an error.
            json: the body; inputs, dicts, dates.
            headers: headers to add, such as one for a trace. Those of the identity and the connection cannot be set.
            into: what to read `data` into: an attrs class, dataclass, msgspec struct, TypedDict or pydantic model, or a
                `list[…]` of one, which is read from the one list under `data`. Without it the JSON under `data` is
                returned as it is.
            safe_to_repeat: whether sending it twice is the same as once. Left out, it follows from the operation, or
                from the verb if the SDK does not know the operation. False always holds; true counts for operations
                that the SDK does not know.
            allow_unknown: send query parameters that the SDK does not know of an operation that it knows.

        Raises:
            InterfaceError: this identity's interface does not have the operation.
            ConfigurationError: an argument cannot work: a query parameter of a known operation is unknown or of the
                wrong kind, nothing can be read into `into`.
            ResponseError: the answer does not fit `into`.
            CareCloudError: see `carecloud_async.errors`.
        """
        from carecloud_async.resources.lookup.adhoc import check_query, find  # they load the table of all operations

        params, json, headers = conceal(params), conceal_body(json), conceal(headers)
        path, path_params = secret_text(path), conceal(path_params)
        operation, values = find(method, path, path_params=path_params, safe_to_repeat=safe_to_repeat)
        values = conceal(values)
        query = check_filters(operation.kinds, params or {})
        if not allow_unknown:
            check_query(operation, query)
        read = _json_or_nothing if into is None else target_reader(into)
        request = CallRequest(operation, decode=read, path_params=values, params=query, json=json, headers=headers)
        return await self._caller.call(request)

    @overload
    def listing(
        self,
        path: str,
        *,
        into: None = None,
        list_key: str | None = None,
        id_field: str | None = None,
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        count: int | Auto = AUTO,
        offset: int = 0,
        allow_unknown: bool = False,
    ) -> Listing[JsonObject]: ...

    @overload
    def listing(
        self,
        path: str,
        *,
        into: type[T],
        list_key: str | None = None,
        id_field: str | None = None,
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        count: int | Auto = AUTO,
        offset: int = 0,
        allow_unknown: bool = False,
    ) -> Listing[T]: ...

    def listing(
        self,
        path: str,
        *,
        into: Any = None,
        list_key: str | None = None,
        id_field: str | None = None,
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        count: int | Auto = AUTO,
        offset: int = 0,
        allow_unknown: bool = False,
    ) -> Listing[Any]:
        """Return a `Listing` of any list of the API, known to the SDK or not: iterated, paged, prefetched, exported.

        Args:
            path: the path below the version, such as `cards` or `customers/{customer_id}/cards`.
            into: the type of a record, as in `request`; without it records are dicts.
            list_key: the name of the list under `data`; without it the one list there is taken.
            id_field: the field that names a record, which never changes; exports need it to be exact.
            params: filters, `sort_field` and `sort_direction`; `count` and `offset` may stand here too.
            path_params: values of the path's placeholders.
            count: records per page; `"auto"` finds what is fastest, for exports, `arrow()` and `prefetch()`.
            offset: records to skip.
            allow_unknown: send query parameters that the SDK does not know of a list that it knows.

        Raises:
            ConfigurationError: an argument cannot work: a parameter of a known list is unknown or of the wrong kind,
                or `count` or `offset` is given twice and differs.
        """
        from carecloud_async.resources.lookup.adhoc import check_query, find_list_by_path  # as above

        operation, values = find_list_by_path(path, path_params=path_params, list_key=list_key, id_field=id_field)
        params = conceal(params)
        params = {**check_count(operation.kinds, params or {})}
        if not allow_unknown:
            check_query(operation, params, paged=True)
        for name, value, default in (("count", count, AUTO), ("offset", offset, 0)):
            if name not in params:
                params[name] = value
            elif value not in (default, params[name]):
                raise ConfigurationError(f"{name} is {value!r} as an argument and another in params: give it once")
        return listing(self._caller, operation, into or dict, path_params=values, params=params)


def _json_or_nothing(body: bytes) -> Any:
    """Return the JSON under `data`; nothing for an answer without a body, as a 204 is."""
    return data(body) if body else {}
