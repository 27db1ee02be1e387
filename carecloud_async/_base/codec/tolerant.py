"""Builds with cattrs what msgspec does not: classes with types that it does not know, or with values that it refuses.

Importing cattrs takes 14 ms. The first value that needs this module imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from carecloud_async._base.codec.fields import (
    FieldWarning,
    core_type,
    element_type,
    field_types,
    is_model,
    typed_cache,
)
from carecloud_async._base.codec.json_text import Malformed
from carecloud_async._base.codec.misfits import SCALARS, Reader

__all__ = ["build"]

_converter = Converter(detailed_validation=False)


def build(value: Any, into: Any) -> Any:
    """Build `into` from values that `misfits` has mended.

    Args:
        value: the values: lists, scalars, and dicts by the names of fields.
        into: an attrs class, or a list or tuple of one.

    Raises:
        Malformed: a field without a default is missing.
    """
    return _builder(into)(value, FieldWarning(getattr(into, "__name__", str(into)), "value"))


@typed_cache
def _builder(hint: Any) -> Reader:
    core = core_type(hint)
    if core in SCALARS:
        return SCALARS[core]
    if is_model(core):
        return lambda value, _warning: _compiled(core)(value) if isinstance(value, dict) else value
    element = element_type(core)
    return _foreign_builder(core) if element is None else _list_builder(core, element)


@typed_cache
def _compiled(into: Any) -> Callable[[Any], Any]:
    cls: Any = getattr(into, "__origin__", into)
    attributes = attrs.fields_dict(cls)
    hooks: dict[str, Any] = {
        name: override(struct_hook=_hook(cls, attributes[name], hint)) for name, hint in field_types(into).items()
    }
    build: Callable[[Any, Any], Any] = make_dict_structure_fn(
        into,
        _converter,
        _cattrs_use_linecache=False,
        _cattrs_detailed_validation=False,
        _cattrs_forbid_extra_keys=False,
        **hooks,
    )

    def structured(value: Any) -> Any:
        missing = ""
        try:
            return build(value, cls)
        except KeyError as error:
            missing = str(error.args[0])
        raise Malformed(f"{cls.__name__}.{missing} is missing")

    return structured


def _hook(cls: type[Any], attribute: attrs.Attribute[Any], hint: Any) -> Callable[[Any, Any], Any]:
    warning, default, read = FieldWarning(cls.__name__, attribute.name), attribute.default, _builder(hint)
    if default is attrs.NOTHING or isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return lambda value, _hint: read(value, warning)

    def hook(value: Any, _hint: Any) -> Any:
        built = read(value, warning)
        return default if built is None else built

    return hook


def _list_builder(container: Any, element: Any) -> Reader:
    cls = container.__origin__ if container.__origin__ in {tuple, list} else tuple
    build_element = _builder(element)
    return lambda value, warning: cls(build_element(item, warning) for item in value)


def _foreign_builder(hint: Any) -> Reader:
    """Leave other types (a user's dataclass, a dict) to cattrs; a value that it refuses is lost."""

    def read(value: Any, warning: FieldWarning) -> Any:
        if value is None:
            return None
        try:
            return _converter.structure(value, hint)
        except Exception:  # noqa: BLE001  (a foreign type may raise anything, and must not lose the record)
            return warning.lost("not of the expected type")

    return read
