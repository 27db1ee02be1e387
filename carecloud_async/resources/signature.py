"""The signature of a declared method: its arguments, where in a request each goes, and what its answer becomes."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import Parameter
from typing import Any, Final, NoReturn, TypeVar

import attrs

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import member, require_no_error
from carecloud_async._base.codec.fields import core_type
from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async._base.runtime.validators import expected
from carecloud_async._calls.call.filters import Kind, kind_of
from carecloud_async._calls.call.operation import PLACEHOLDER
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.base import Input, Model, Updatable

R = TypeVar("R", bound=Updatable)

#: Stands for an argument that has no default and was not given.
MISSING: Final[Any] = Parameter.empty


class Signature:
    """The arguments of a method: their names, defaults and places in the request.

    Args:
        function: the method as it was written; called only to raise Python's `TypeError` for wrong arguments.
        path: the path template.
        rename: arguments that have another name in the API, with that name.

    Attributes:
        unpacked: the query arguments that `**paging: Unpack[Paging]` or the like stands for, with their kinds.
        defaults: argument → its default, or `MISSING`; the names in `unpacked` among them.
        positional: the arguments that may be given by position.
        required: the arguments without a default.
        in_path: argument → the path's placeholder.
        outside_path: argument → the API's name in the query or the body.
    """

    def __init__(self, function: Any, path: str, rename: Mapping[str, str]) -> None:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        named = [parameter for parameter in parameters if parameter.kind is not Parameter.VAR_KEYWORD]
        placeholders = PLACEHOLDER.findall(path)
        places = {parameter.name: rename.get(parameter.name, parameter.name) for parameter in named}
        defaults = {parameter.name: parameter.default for parameter in named}
        self.function: Any = function
        self.unpacked: Mapping[str, Kind] = {} if len(named) == len(parameters) else _unpacked(parameters[-1], function)
        self.defaults: Mapping[str, Any] = defaults | dict.fromkeys(self.unpacked, MISSING)
        self.positional: tuple[str, ...] = tuple(
            parameter.name for parameter in named if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD
        )
        self.required: tuple[str, ...] = tuple(name for name, default in defaults.items() if default is MISSING)
        self.in_path: dict[str, str] = {name: place for name, place in places.items() if place in placeholders}
        self.outside_path: dict[str, str] = {name: place for name, place in places.items() if place not in placeholders}
        self._left_out_if_none = frozenset(name for name in self.outside_path if defaults[name] is None)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds of the arguments that are a query, by the API's names; those of the paging first."""
        hints = self.function.__annotations__
        return {**self.unpacked, **{place: kind_of(hints[name]) for name, place in self.outside_path.items()}}

    @property
    def record_argument(self) -> str:
        """The first argument that is not in the path: the record, or the rows, that a write takes."""
        return next(iter(self.outside_path))

    def bind(self, resource: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Bind arguments as Python would, in a fraction of the time that `inspect.Signature.bind` takes.

        Returns:
            every argument with its value or default; those in `unpacked` only where they were given.

        Raises:
            TypeError: they do not fit; in Python's own words, with the nearest name to an unknown one.
        """
        values = {**self.defaults, **kwargs, **dict(zip(self.positional, args, strict=False))}
        has_unknown = len(values) != len(self.defaults)
        has_too_many = len(args) > len(self.positional)
        has_twice = not kwargs.keys().isdisjoint(self.positional[: len(args)])
        if has_unknown or has_too_many or has_twice or any(values[name] is MISSING for name in self.required):
            self._refuse(resource, args, kwargs)
        for name in self.unpacked:
            if values[name] is MISSING:
                del values[name]
        return values

    def _refuse(self, resource: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NoReturn:
        for name in kwargs:
            if name not in self.defaults:
                close = nearest(name, self.defaults)
                hint = f". Did you mean {close!r}?" if close else ""
                where = self.function.__qualname__
                raise TypeError(f"{where}() got an unexpected keyword argument {name!r}{hint}")
        self.function(resource, *args, **kwargs)
        raise AssertionError("Python takes these arguments")

    def path_params(self, bound: Mapping[str, Any], values: dict[str, Any]) -> Mapping[str, Any]:
        """Take the arguments that belong in the path out of `values`; `bound` are the parents' ids."""
        if not self.in_path:
            return bound
        return {**bound, **{place: values.pop(name) for name, place in self.in_path.items()}}

    def query_or_body(self, values: dict[str, Any]) -> dict[str, Any]:
        """Take the arguments outside the path out of `values`, by the API's names, without those not given."""
        given = {}
        for name, place in self.outside_path.items():
            value = values.pop(name)
            if value is not None or name not in self._left_out_if_none:
                given[place] = value
        return given

    def hint(self, name: str) -> Any:
        """Evaluate one annotation. Resources do not import models: these load when they are needed."""
        return self.model(self.function.__annotations__[name])

    def model(self, annotation: str) -> Any:
        """Evaluate a text as an annotation of the method."""
        return evaluate(self.function, annotation)


def _unpacked(parameter: Parameter, function: Any) -> dict[str, Kind]:
    """Return the arguments in the TypedDict of `**paging: Unpack[Paging]`."""
    options = function.__globals__[parameter.annotation.removeprefix("Unpack[").removesuffix("]")]
    return {name: kind_of(hint.__forward_arg__) for name, hint in options.__annotations__.items()}


class _Models(dict[str, Any]):
    """The models by the names that annotations use."""

    def __missing__(self, name: str) -> Any:
        from carecloud_async import models

        if name not in models.HOMES:
            raise KeyError(name)
        self[name] = getattr(models, name)
        return self[name]


_MODELS = _Models()


@functools.cache
def evaluate(function: Any, annotation: str) -> Any:
    """Evaluate an annotation in the module of a function, with the names of all models."""
    return eval(annotation, function.__globals__, _MODELS)  # noqa: S307  (our own source)


def require_input(value: Any, wanted: type[Input]) -> None:
    """Raise unless a value is an input. A read model is none: sending it would delete what it does not show.

    Raises:
        ConfigurationError: naming what to do instead.
    """
    if isinstance(value, Model):
        raise _read_model(wanted.__name__, value)
    if not isinstance(value, wanted):
        raise ConfigurationError(expected(wanted.__name__, value))


def refuse_read_models(value: Any, where: str) -> None:
    """Refuse read models at any depth of a body.

    Args:
        value: the body or a part of it.
        where: the name of the part.

    Raises:
        ConfigurationError: there is one.
    """
    if isinstance(value, Model):
        raise _read_model(where, value)
    if isinstance(value, Input):
        for name in (field.name for field in attrs.fields(type(value))):  # type: ignore[arg-type]
            refuse_read_models(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            refuse_read_models(item, f"{where}.{name}")
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        for item in value:
            refuse_read_models(item, where)


def _read_model(where: str, value: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: expected an input, got {type(value).__name__}, which was read: to change parts of a record as it "
        "was read, use update(), which keeps the rest"
    )


def decoder_of(result: Any, unwrap: str | None) -> Callable[[bytes], Any]:
    """Return the function that makes the result of a body.

    Args:
        result: the type of the result; `None` for an answer that says nothing.
        unwrap: the name under `data` that alone is returned.
    """
    if result is None:
        return no_content
    if unwrap is None:
        keeps_source = isinstance(result, type) and issubclass(result, Updatable)
        return partial(_updatable if keeps_source else codec.record, into=result)
    core = core_type(result)
    return partial(member, name=unwrap, into=core, required=not _may_be_missing(result))


def no_content(body: bytes) -> None:
    """Read the answer of an operation that returns nothing: it is empty, or the API's envelope without an error.

    Raises:
        Malformed: it is something else, such as an error or a maintenance page that comes with status 200.
    """
    if body:
        require_no_error(body)


def _updatable(body: bytes, into: type[R]) -> R:
    record = codec.record(body, into)
    object.__setattr__(record, "_source", body)  # the class is frozen
    return record


def _may_be_missing(result: Any) -> bool:
    is_union = typing.get_origin(result) in {typing.Union, types.UnionType}
    return is_union and type(None) in typing.get_args(result)
