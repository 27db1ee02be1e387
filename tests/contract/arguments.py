"""Call a typed method of the client from plain JSON values: its signature says what becomes of them."""

from __future__ import annotations

import builtins
import inspect
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import attrs

from carecloud_async import models
from carecloud_async._calls.call.operation import Operation
from carecloud_async.resources import OPERATIONS

__all__ = ["Call", "call_of"]

_TIMES = {date: date.fromisoformat, datetime: datetime.fromisoformat, time: time.fromisoformat}


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
    hints = _hints(method)
    for name, parameter in inspect.signature(method).parameters.items():
        plain = name.removesuffix("_")
        if parameter.kind is parameter.VAR_KEYWORD:
            yield from ((item, value) for item, value in values.items() if item in _unpacked(hints[name]))
        elif plain in ids:  # before the body, which may repeat it
            yield name, ids.pop(plain)
        elif plain in values:
            yield name, _built(values[plain], hints[name])
        elif ids and (parameter.default is parameter.empty or name.endswith("_id")):
            yield name, _taken(ids, name)


def _taken(ids: dict[str, str], name: str) -> str:
    """Take the id of a name, or the next one where the method calls it otherwise than the path."""
    return ids.pop(name if name in ids else next(iter(ids)))


def _hints(method: Any) -> dict[str, Any]:
    """Resolve the hints of a method whose module imports its models for type checkers only."""
    function = inspect.unwrap(getattr(method, "__func__", method))
    names = _Names({"date": date, "datetime": datetime, "time": time, "Sequence": Sequence, "Mapping": Mapping})
    names |= function.__globals__
    return {
        name: eval(hint, {}, names) if isinstance(hint, str) else hint
        for name, hint in function.__annotations__.items()
        if name != "return"
    }


class _Names(dict[str, Any]):
    """The names that hints use; one that is known nowhere takes any plain value."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, None) or getattr(models, name, Any)


def _unpacked(hint: Any) -> frozenset[str]:
    """Return the names that `**paging: Unpack[Paging]` takes."""
    (options,) = typing.get_args(hint)
    return frozenset(options.__annotations__)


def _built(value: Any, hint: Any) -> Any:
    """Build what a hint wants of a plain value."""
    choices = list(_choices(hint))
    if isinstance(value, list):
        inner = next((typing.get_args(choice)[0] for choice in choices if typing.get_origin(choice) is not None), None)
        return value if inner is None else [_built(item, inner) for item in value]
    if isinstance(value, dict):
        cls = next((choice for choice in choices if attrs.has(choice)), None)
        return value if cls is None else _instance(cls, value)
    if isinstance(value, str) and str not in choices:
        return next((read(value) for kind, read in _TIMES.items() if kind in choices), value)
    return value


def _choices(hint: Any) -> Iterable[Any]:
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return (choice for argument in typing.get_args(hint) for choice in _choices(argument))
    return _choices(typing.get_args(hint)[0]) if typing.get_origin(hint) is typing.Annotated else (hint,)


def _instance(cls: Any, value: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(cls)
    names = {field.name.removesuffix("_"): field.name for field in attrs.fields(cls)}
    missing = value.keys() - names.keys()
    if missing:
        raise AssertionError(f"{cls.__name__} has no {', '.join(sorted(missing))}")
    return cls(**{names[name].lstrip("_"): _built(item, hints[names[name]]) for name, item in value.items()})
