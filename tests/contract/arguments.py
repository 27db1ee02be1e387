"""Call a typed method of the client from plain JSON values: its signature says what becomes of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from carecloud_async import models
from carecloud_async._calls.call.operation import Operation
from carecloud_async.resources import OPERATIONS

__all__ = ["Call", "call_of"]


@attrs.frozen(kw_only=True)
class Call:
    """A method with its arguments.

    Attributes:
        method: the bound method.
        arguments: its arguments by name.
        left: what could be sent and has no argument.
    """

    method: Any
    arguments: Mapping[str, Any]
    left: frozenset[str]


def call_of(
    client: Any,
    operation_id: str,
    *,
    ids: Mapping[str, str],
    values: Mapping[str, Any],
    operations: Mapping[str, Operation] = OPERATIONS,
) -> Call:
    """Find the method of an operation and fill its arguments.

    Args:
        client: the client.
        operation_id: the operation.
        ids: the values of the path's parameters by name, in its order.
        values: query parameters and body fields by name, plain JSON values.
        operations: the operations by id.
    """
    left = dict(ids)
    place = client
    *way, last = operations[operation_id].call.split(".")
    for name in way:
        place = getattr(place, name)
        if inspect.isroutine(place):
            place = place(*(_taken(left, parameter) for parameter in inspect.signature(place).parameters))
    method = getattr(place, last)
    arguments = dict(_arguments(method, left, values))
    return Call(
        method=method, arguments=arguments, left=frozenset(values) - {name.removesuffix("_") for name in arguments}
    )


def _arguments(method: Any, ids: dict[str, str], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    function = inspect.unwrap(method.__func__)
    for name, parameter in inspect.signature(method).parameters.items():
        plain, hint = name.removesuffix("_"), function.__annotations__[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            options = function.__globals__[hint.removeprefix("Unpack[").removesuffix("]")]
            yield from ((item, value) for item, value in values.items() if item in options.__annotations__)
        elif plain in ids:  # before the body, which may repeat it
            yield name, ids.pop(plain)
        elif plain in values:
            yield name, _built(values[plain], hint)
        elif ids and (parameter.default is parameter.empty or name.endswith("_id")):
            yield name, _taken(ids, name)


def _taken(ids: dict[str, str], name: str) -> str:
    """Take the id of a name, or the next one where the method calls it otherwise than the path."""
    return ids.pop(name if name in ids else next(iter(ids)))


def _built(value: Any, hint: str) -> Any:
    """Make the input that an annotation names of a plain value, or the inputs of a list."""
    if isinstance(value, list):
        return [_built(item, hint) for item in value]
    named = re.search(r"\w+Input\b", hint)
    return value if named is None or not isinstance(value, dict) else getattr(models, named[0]).from_dict(value)
