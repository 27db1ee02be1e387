"""`Signature`: the arguments of a declared method, and where in a request each of them goes."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import Factory, define, field

from carecloud_async.calls.filters import Kind, kind_of
from carecloud_async.runtime.suggestions import nearest

__all__ = ["MISSING", "Signature"]

#: Stands for an argument that has no default and was not given.
MISSING: Final[Any] = object()

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


@define(eq=False)
class Signature:
    """The arguments of a method: their names, defaults and places in the request.

    Attributes:
        function: the method as it was written; it is never run but to raise Python's own `TypeError`.
        positional: the arguments that may be given by position.
        defaults: argument → its default, or `MISSING`; the names in `unpacked` among them.
        required: the arguments without a default.
        in_path: argument → the path's placeholder.
        elsewhere: argument → the API's name in the query or the body.
        unpacked: the query arguments that `**paging: Unpack[Paging]` or the like stands for, with their kinds.
    """

    function: Any
    positional: tuple[str, ...]
    defaults: Mapping[str, Any]
    required: tuple[str, ...]
    in_path: Mapping[str, str]
    elsewhere: Mapping[str, str]
    unpacked: Mapping[str, Kind]
    optional: frozenset[str] = field(init=False, default=Factory(lambda self: self._optional(), takes_self=True))

    @classmethod
    def read(cls, function: Any, path: str, rename: Mapping[str, str]) -> Signature:
        """Read a method.

        Args:
            function: the method.
            path: the path template.
            rename: arguments that have another name in the API, with that name.
        """
        code = function.__code__
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        positional = names[: code.co_argcount - 1]
        own = dict.fromkeys(names, MISSING) | _defaults(function, positional)
        api = {name: rename.get(name, name) for name in names}
        placeholders = _PLACEHOLDER.findall(path)
        unpacked = _unpacked(function)
        return cls(
            function=function,
            positional=positional,
            defaults=own | dict.fromkeys(unpacked, MISSING),
            required=tuple(name for name in names if own[name] is MISSING),
            in_path={name: place for name, place in api.items() if place in placeholders},
            elsewhere={name: place for name, place in api.items() if place not in placeholders},
            unpacked=unpacked,
        )

    def _optional(self) -> frozenset[str]:
        return frozenset(name for name in self.elsewhere if self.defaults[name] is None)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds of the arguments that are a query, by the API's names; those of the paging first."""
        hints = self.function.__annotations__
        return {**self.unpacked, **{place: kind_of(hints[name]) for name, place in self.elsewhere.items()}}

    def bind(self, resource: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Bind arguments as Python would.

        Returns:
            every argument with its value or default; those in `unpacked` only where they were given.

        Raises:
            TypeError: they do not fit; in Python's own words, with the nearest name to an unknown one.
        """
        values = {**self.defaults, **kwargs}
        fits = len(values) == len(self.defaults) and len(args) <= len(self.positional)
        for name, value in zip(self.positional, args, strict=False):
            fits = fits and name not in kwargs
            values[name] = value
        for name in self.required:
            fits = fits and values[name] is not MISSING
        if not fits:
            self._refuse(resource, args, kwargs)
        for name in self.unpacked:
            if values[name] is MISSING:
                del values[name]
        return values

    def _refuse(self, resource: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for name in kwargs:
            if name not in self.defaults:
                close = nearest(name, self.defaults)
                hint = f". Did you mean {close!r}?" if close else ""
                where = self.function.__qualname__
                raise TypeError(f"{where}() got an unexpected keyword argument {name!r}{hint}")
        self.function(resource, *args, **kwargs)

    def path_params(self, bound: Mapping[str, Any], values: dict[str, Any]) -> Mapping[str, Any]:
        """Take the arguments that belong in the path out of `values`; `bound` are the parents' ids."""
        if not self.in_path:
            return bound
        own = {place: values.pop(name) for name, place in self.in_path.items()}
        return {**bound, **own} if bound else own

    def take_rest(self, values: dict[str, Any]) -> dict[str, Any]:
        """Take the arguments of the query or body out of `values`, by the API's names, without those not given."""
        rest = {}
        for name, place in self.elsewhere.items():
            value = values.pop(name)
            if value is not None or name not in self.optional:
                rest[place] = value
        return rest

    def hint(self, name: str) -> Any:
        """Evaluate one annotation. Resources do not import models: these load when they are needed."""
        return self.model(self.function.__annotations__[name])

    def model(self, annotation: str) -> Any:
        """Evaluate a text as an annotation of the method."""
        return evaluate(self.function, annotation)


def _defaults(function: Any, positional: tuple[str, ...]) -> dict[str, Any]:
    late = function.__defaults__ or ()
    found = dict(zip(positional[len(positional) - len(late) :], late, strict=True))
    return found | (function.__kwdefaults__ or {})


def _unpacked(function: Any) -> dict[str, Kind]:
    code = function.__code__
    if not code.co_flags & inspect.CO_VARKEYWORDS:
        return {}
    annotation = function.__annotations__[code.co_varnames[code.co_argcount + code.co_kwonlyargcount]]
    options = function.__globals__[annotation.removeprefix("Unpack[").removesuffix("]")]
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
