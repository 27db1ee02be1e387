"""Any call by verb and path: a known operation from the table, or an operation made for an unknown path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from attrs import evolve

from carecloud_async._calls.call.filters import check_names
from carecloud_async._calls.call.operation import PLACEHOLDER, REPEATABLE, Operation
from carecloud_async.errors import ConfigurationError
from carecloud_async.resources import OPERATIONS

_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"}
_WORD = re.compile(r"[a-z]+(-[a-z]+)*")


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
    known = _known(verb, segments)
    if known is not None:
        if safe_to_repeat is False:
            known = evolve(known, safe_to_repeat=False)
        return known, _merged(_values(known.path, segments), path_params)
    template, values = _mask(segments)
    operation = Operation(
        operation_id="",
        method=verb,
        path=template,
        call="request",
        safe_to_repeat=verb in REPEATABLE if safe_to_repeat is None else safe_to_repeat,
    )
    return operation, _merged(values, path_params)


def find_list_by_path(
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


def check_query(operation: Operation, params: Mapping[str, Any], *, paged: bool = False) -> None:
    """Check the names of a query; an operation that the SDK does not know takes any.

    Args:
        params: the query.
        paged: whether the call is a listing: `count` and `offset` are then always allowed.

    Raises:
        ConfigurationError: a name is unknown; the message has the nearest one.
    """
    if operation.operation_id:
        paging = ("count", "offset") if paged else ()
        check_names(operation.title, (*operation.parameters, *paging), params)


def _merged(values: Mapping[str, str], path_params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the values of all placeholders: those that the path fills, and those of `path_params`."""
    given = path_params or {}
    for name in values:
        if name in given:
            raise ConfigurationError(_filled_twice(name))
    return {**values, **given}


def _filled_twice(name: str) -> str:
    return (
        f"the path fills the placeholder {name} already: give its value once, in the path or in path_params, and use "
        "another name for another placeholder"
    )


def _segments(path: str) -> list[str]:
    if not isinstance(path, str) or path.startswith("//") or "?" in path or "#" in path or "://" in path:
        raise ConfigurationError("path must be one below the version, such as customers/{customer_id}, without a query")
    segments = path.removeprefix("/").removesuffix("/").split("/")
    if not all(segments) or any(segment in {".", ".."} or "\\" in segment for segment in segments):
        raise ConfigurationError("path must be one below the version, such as customers/{customer_id}, without gaps")
    return segments


def _known(verb: str, segments: list[str]) -> Operation | None:
    """Return the operation of the table that a path means; an id or the placeholder itself stands for a placeholder."""
    rows = _by_shape().get((verb, len(segments)), ())
    return next((operation for template, operation in rows if _fits(template, segments)), None)


@cache
def _by_shape() -> Mapping[tuple[str, int], list[tuple[list[str], Operation]]]:
    """Group the table by verb and number of segments, paths with fewer placeholders first."""
    rows: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
    for operation in sorted(OPERATIONS.values(), key=lambda one: one.path.count("{")):
        template = operation.path.strip("/").split("/")
        rows.setdefault((operation.method, len(template)), []).append((template, operation))
    return rows


def _fits(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        part == segment or (part.startswith("{") and (segment == part or not segment.startswith("{")))
        for part, segment in zip(template, segments, strict=True)
    )


def _values(template: str, segments: list[str]) -> dict[str, str]:
    """Return the placeholders of a template that the path fills, with their values."""
    parts = template.strip("/").split("/")
    return {
        part[1:-1]: segment
        for part, segment in zip(parts, segments, strict=True)
        if part.startswith("{") and segment != part
    }


@cache
def _words() -> frozenset[str]:
    """Return the segments that stand in the paths of the API."""
    return frozenset(part for one in OPERATIONS.values() for part in one.path.split("/") if not part.startswith("{"))


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
                raise ConfigurationError(_filled_twice(name))
            values[name] = segment
            template.append(f"{{{name}}}")
    return "/" + "/".join(template), values
