"""Any call and any list of the API, by verb and path, known to the SDK or not.

A known operation comes from the table; for an unknown path one is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

from attrs import evolve

from carecloud_async._base.codec.answers import data, target_reader
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._base.runtime.secret_text import conceal, conceal_body, secret_text
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.filters import check_filters, check_names
from carecloud_async._calls.call.operation import PLACEHOLDER, REPEATABLE, CallRequest, Operation
from carecloud_async._lists.listings.listing import Listing, listing
from carecloud_async._lists.paging.auto import AUTO, Auto, check_count
from carecloud_async.errors import ConfigurationError
from carecloud_async.resources import OPERATIONS

T = TypeVar("T")

_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"}
_WORD = re.compile(r"[a-z]+(-[a-z]+)*")


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
        params, json, headers = conceal(params), conceal_body(json), conceal(headers)
        path, path_params = secret_text(path), conceal(path_params)
        operation, values = find(method, path, path_params=path_params, safe_to_repeat=safe_to_repeat)
        values = conceal(values)
        query = check_filters(operation.kinds, params or {})
        if not allow_unknown:
            _check_query(operation, query)
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
        operation, values = find_list(path, path_params=path_params, list_key=list_key, id_field=id_field)
        params = conceal(params)
        params = {**check_count(operation.kinds, params or {})}
        if not allow_unknown:
            _check_query(operation, params, paged=True)
        for name, value, default in (("count", count, AUTO), ("offset", offset, 0)):
            if name not in params:
                params[name] = value
            elif value not in (default, params[name]):
                raise ConfigurationError(f"{name} is {value!r} as an argument and another in params: give it once")
        return listing(self._caller, operation, into or dict, path_params=values, params=params)


def _json_or_nothing(body: bytes) -> Any:
    """Return the JSON under `data`; nothing for an answer without a body, as a 204 is."""
    return data(body) if body else {}


def find(
    method: str, path: str, *, path_params: Mapping[str, Any] | None, safe_to_repeat: bool | None
) -> tuple[Operation, Mapping[str, Any]]:
    """Return the operation that a verb and a path mean, and the values of its placeholders.

    A path with ids in it becomes a template: logs and errors show the operation's path, and an id can be a token.

    Raises:
        ConfigurationError: the verb or path cannot work, or a placeholder has a value in the path and another in
            `path_params`.
    """
    if path_params is not None and not isinstance(path_params, Mapping):
        raise ConfigurationError("path_params must be a dict")
    verb = method.upper() if isinstance(method, str) else ""
    if verb not in _METHODS:
        raise ConfigurationError(f"method must be one of {', '.join(sorted(_METHODS))}")
    segments = _segments(path)
    for parts, known in _by_shape().get((verb, len(segments)), ()):
        filled = _filling(parts, segments)
        if filled is not None:
            known = known if safe_to_repeat is not False else evolve(known, safe_to_repeat=False)
            return known, _merged(filled, path_params)
    template, values = _mask(segments)
    operation = Operation(
        operation_id="",
        method=verb,
        path=template,
        call="request",
        safe_to_repeat=verb in REPEATABLE if safe_to_repeat is None else safe_to_repeat,
    )
    return operation, _merged(values, path_params)


def find_list(
    path: str, *, path_params: Mapping[str, Any] | None, list_key: str | None, id_field: str | None
) -> tuple[Operation, Mapping[str, Any]]:
    """Return the list operation that a path means, and the values of its placeholders; see `find`.

    Args:
        path: the path below the version.
        path_params: values of its placeholders.
        list_key: the name of the list under `data`, if it is not the table's or the only one.
        id_field: the field that names a record, if it is not the table's.

    Raises:
        ConfigurationError: the path cannot work, or its operation is not a list.
    """
    for name, value in (("list_key", list_key), ("id_field", id_field)):
        if value is not None and (not isinstance(value, str) or not value):
            raise ConfigurationError(f"{name} must be the name of a field")
    operation, values = find("GET", path, path_params=path_params, safe_to_repeat=None)
    if not operation.operation_id:
        return evolve(
            operation, call=operation.path.strip("/"), paged=True, result_key=list_key, id_field=id_field
        ), values
    if operation.result_key is None and list_key is None:
        raise ConfigurationError(
            f"{operation.title} is not a list: use client.request, or name a list in it by list_key="
        )
    known = evolve(operation, result_key=list_key or operation.result_key, id_field=id_field or operation.id_field)
    return known, values


def _check_query(operation: Operation, params: Mapping[str, Any], *, paged: bool = False) -> None:
    """Check the names of a query: those of a listing may be `count` and `offset`, an unknown operation takes any."""
    if operation.operation_id:
        paging = ("count", "offset") if paged else ()
        check_names(operation.title, (*operation.parameters, *paging), params)


def _merged(values: Mapping[str, str], path_params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the values of all placeholders: those that the path fills, and those of `path_params`."""
    given = path_params or {}
    for name in values:
        if name in given:
            raise _filled_twice(name)
    return {**values, **given}


def _filled_twice(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the path fills the placeholder {name} already: give its value once, in the path or in path_params, and use "
        "another name for another placeholder"
    )


def _segments(path: str) -> list[str]:
    if not isinstance(path, str) or path.startswith("//") or "?" in path or "#" in path or "://" in path:
        raise ConfigurationError(
            "path must begin below the API's version, such as customers/{customer_id}, without host and without a query"
        )
    segments = path.removeprefix("/").removesuffix("/").split("/")
    if not all(segments) or any(segment in {".", ".."} or "\\" in segment for segment in segments):
        raise ConfigurationError(
            "path must begin below the API's version, such as customers/{customer_id}, without empty segments, without "
            ". or .. and without a backslash"
        )
    return segments


@cache
def _by_shape() -> Mapping[tuple[str, int], list[tuple[list[str], Operation]]]:
    """Group the table by verb and number of segments, paths with fewer placeholders first."""
    rows: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
    for operation in sorted(OPERATIONS.values(), key=lambda operation: operation.path.count("{")):
        template = operation.path.strip("/").split("/")
        rows.setdefault((operation.method, len(template)), []).append((template, operation))
    return rows


def _filling(template: list[str], segments: list[str]) -> dict[str, str] | None:
    """Return the values with which a path fills a template; `None` if it is another path.

    A placeholder may stand for itself.
    """
    values = {}
    for part, segment in zip(template, segments, strict=True):
        if part == segment:
            continue
        if not part.startswith("{") or segment.startswith("{"):
            return None
        values[part[1:-1]] = segment
    return values


@cache
def _words() -> frozenset[str]:
    """Return the segments that stand in the paths of the API."""
    paths = (operation.path for operation in OPERATIONS.values())
    return frozenset(part for path in paths for part in path.split("/") if not part.startswith("{"))


def _mask(segments: list[str]) -> tuple[str, dict[str, str]]:
    """Return a path as a template, and the values of its placeholders.

    Ids, tokens and names can look like words. After the first segment, only words of the API's paths and placeholders
    are shown; all else is masked.
    """
    template, values = [], {}
    for number, segment in enumerate(segments, start=1):
        is_name = number == 1 and _WORD.fullmatch(segment) is not None
        if is_name or segment in _words() or PLACEHOLDER.fullmatch(segment):
            template.append(segment)
        else:
            name = f"id{number}"
            if f"{{{name}}}" in segments:
                raise _filled_twice(name)
            values[name] = segment
            template.append(f"{{{name}}}")
    return "/" + "/".join(template), values
