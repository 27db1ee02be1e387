"""The structure of types: the fields of attrs classes, with `Annotated`, `None` and `Unset` removed from types.

`UNSET` is the value of an input field that was not given, as opposed to one that was set to null. `FieldWarning` is the
one warning about a field whose values could not be read exactly.
"""

from __future__ import annotations

import enum
import functools
import logging
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Literal, ParamSpec, TypeVar, cast

import attrs

from carecloud_async._base.runtime.suggestions import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger("carecloud_async.codec")
_reported: set[tuple[str, str]] = set()

#: The metadata of a field with another name in the API, such as `from` for `from_`.
API_NAME = "api_name"
#: Objects within objects in which a misplaced field is searched.
_DEPTH = 3
#: The attribute that marks the SDK's own read models: a missing required text is read as an empty one.
TOLERANT_IDS = "__tolerant_ids__"


class Unset(enum.Enum):
    """The type of `UNSET`. An enum, so that it stays a singleton after pickling and type checkers narrow `is UNSET`."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    __str__ = __repr__


UNSET: Final = Unset.UNSET
"""Not given: the field is left out of the request. `None` sends null, `""` sends an empty string."""


class FieldWarning:
    """The field of a value: it warns once per process.

    Args:
        model: the name of the model class.
        field: the name of the field.
    """

    __slots__ = ("_key",)

    def __init__(self, model: str, field: str) -> None:
        self._key = (model, field)

    def note(self, problem: str) -> None:
        """Log the kind of problem, once per field and process; never the value.

        Args:
            problem: the misfit and how it was read, in a few words.
        """
        if self._key not in _reported:
            _reported.add(self._key)
            _logger.warning("%s.%s: %s (reported once)", *self._key, problem)

    def lost(self, problem: str) -> Any:
        """Note that the value could not be read; return `None`, which replaces it."""
        if self._key not in _reported:
            self.note(f"{problem}, read as None")
        return None


def typed_cache(function: Callable[P, R]) -> Callable[P, R]:
    """Cache every result, as `functools.cache` does, and keep the function's signature for type checkers."""
    return cast("Callable[P, R]", functools.cache(function))


def is_model(into: Any) -> bool:
    """Return whether `into` is an attrs class, or a generic one with its arguments such as `Page[Customer]`."""
    origin = typing.get_origin(into) or into
    return isinstance(origin, type) and attrs.has(origin)


def is_read_model(into: Any) -> bool:
    """Return whether a type is a read model of the SDK, which is read by the tolerant rules."""
    return isinstance(into, type) and getattr(into, TOLERANT_IDS, False) is True


@typed_cache
def field_types(into: Any) -> types.MappingProxyType[str, Any]:
    """Resolve the types of an attrs class's fields.

    Args:
        into: an attrs class or a parametrised generic one.

    Returns:
        field name → type, in the order of the class, without `Annotated` and with type variables filled in.
    """
    origin: Any = typing.get_origin(into) or into
    hints = typing.get_type_hints(origin)
    variables = dict(zip(getattr(origin, "__parameters__", ()), typing.get_args(into), strict=False))
    hints_of_fields = {field.name: _fill(hints.get(field.name, Any), variables) for field in attrs.fields(origin)}
    return types.MappingProxyType(hints_of_fields)


@typed_cache
def api_names(into: Any) -> types.MappingProxyType[str, str]:
    """Map the fields of an attrs class, in its order, to their names in the API."""
    origin: Any = typing.get_origin(into) or into
    return types.MappingProxyType(
        {field.name: field.metadata.get(API_NAME, field.name) for field in attrs.fields(origin)}
    )


@typed_cache
def core_types(into: Any) -> types.MappingProxyType[str, Any]:
    """Map the fields of an attrs class, by their names in the API, to their types without `None` and `Unset`."""
    hints = field_types(into)
    return types.MappingProxyType({name: core_type(hints[field]) for field, name in api_names(into).items()})


@typed_cache
def has_renamed_fields(hint: Any) -> bool:
    """Return whether a type holds, at any depth, a field with another name in the API.

    msgspec reads attrs classes by their own field names only, so such types are read by `misfits`.
    """
    return _renames(hint, set())


def _renames(hint: Any, seen: set[Any]) -> bool:
    if is_model(hint):
        if hint in seen:
            return False
        seen.add(hint)
        if any(name != field for field, name in api_names(hint).items()):
            return True
        return any(_renames(inner, seen) for inner in field_types(hint).values())
    return any(_renames(part, seen) for part in typing.get_args(hint))


def _fill(hint: Any, variables: dict[Any, Any]) -> Any:
    if isinstance(hint, typing.TypeVar):
        return variables.get(hint, Any)
    open_ones = getattr(hint, "__parameters__", ())
    if open_ones and not isinstance(hint, type):
        return hint[tuple(variables.get(variable, Any) for variable in open_ones)]
    return hint


def core_type(hint: Any) -> Any:
    """Remove `None`, `Unset` and `Decimal`, another way to give a number, from a union; other types remain a union."""
    if typing.get_origin(hint) not in {typing.Union, types.UnionType}:
        return hint
    rest = tuple(part for part in typing.get_args(hint) if part not in {type(None), Unset, Decimal})
    return rest[0] if len(rest) == 1 else typing.Union[rest]  # noqa: UP007  (built at run time)


def element_type(hint: Any) -> Any:
    """Return the type of the elements of `tuple[T, ...]`, `list[T]` or `Sequence[T]`, or `None` for another type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if not isinstance(origin, type) or not arguments or issubclass(origin, (str, bytes, dict)):
        return None
    if origin is tuple:
        return arguments[0] if arguments[-1] is Ellipsis else None
    return arguments[0] if issubclass(origin, cast("Any", typing.Sequence)) else None


def paths_to(name: str, model: Any, *, depth: int = _DEPTH) -> list[str]:
    """Return the dotted paths of the objects within a record that have a field of this name, such as `address`."""
    if not depth:
        return []
    objects = {field: inner for field, inner in core_types(model).items() if is_model(inner)}
    own = [field for field, inner in objects.items() if name in core_types(inner)]
    deeper = [(field, paths_to(name, inner, depth=depth - 1)) for field, inner in objects.items()]
    return own + [f"{field}.{path}" for field, paths in deeper for path in paths]


def meant_field(name: str, model: Any, *, within: str = "") -> str:
    """Return the end of an error's sentence: the path of the field that was probably meant, if there is one.

    Args:
        name: the name that is no field of the model.
        model: the class of the record, or of an object within it.
        within: the path of that object, with a dot at its end.
    """
    paths = paths_to(name, model)
    return f": did you mean {within}{paths[0]}.{name}?" if paths else did_you_mean(name, core_types(model))
