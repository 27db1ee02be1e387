"""Reads any record by the tolerant rules: plain Python values into attrs classes, with cattrs.

The rules are here and in `scalars`, never on the models, so that the exact readers do not pay for them. cattrs takes
14 ms to import; this module is therefore imported when the first record needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from carecloud_async._base.codec.field_warnings import FieldWarning
from carecloud_async._base.codec.fields import (
    TOLERANT_IDS,
    api_names,
    core_type,
    element_type,
    field_types,
    is_model,
    typed_cache,
)
from carecloud_async._base.codec.json_text import Malformed
from carecloud_async._base.codec.scalars import SCALARS, Reader

__all__ = ["structure"]

_converter = Converter(detailed_validation=False)

#: Types whose values no rule changes.
_EXACT = frozenset({str, int, float, bool})


def structure(value: Any, into: Any) -> Any:
    """Build `into` from plain values by the tolerant rules.

    Args:
        value: what JSON gave: dicts, lists, scalars.
        into: an attrs class, a list or tuple of one, or a scalar type.

    Returns:
        an instance of `into`.

    Raises:
        Malformed: a field without a default is missing.
    """
    if is_model(into) and type(value) is dict:
        return _compiled(into)(value)
    return _reader(into)(value, FieldWarning(getattr(into, "__name__", str(into)), "value"))


@typed_cache
def _reader(hint: Any) -> Reader:
    core = core_type(hint)
    if core in SCALARS:
        return SCALARS[core]
    if is_model(core):
        return _model_reader(core)
    element = element_type(core)
    return _foreign_reader(core) if element is None else _list_reader(core, element)


def _model_reader(into: Any) -> Reader:
    cls: Any = getattr(into, "__origin__", into)

    def read(value: Any, warning: FieldWarning) -> Any:
        if isinstance(value, Mapping):
            return _compiled(into)(value)
        if isinstance(value, cls):
            return value
        if value is not None and value not in ("", [], ()):
            warning.note("not an object, read as an empty one")
        return _compiled(into)({})

    return read


@typed_cache
def _compiled(into: Any) -> Callable[[Any], Any]:
    cls: Any = getattr(into, "__origin__", into)
    attributes, names = attrs.fields_dict(cls), api_names(into)
    hooks: dict[str, Any] = {
        name: override(struct_hook=_hook(cls, attributes[name], hint), rename=names[name])
        for name, hint in field_types(into).items()
    }
    build: Callable[[Any, Any], Any] = make_dict_structure_fn(
        into,
        _converter,
        _cattrs_use_linecache=False,
        _cattrs_detailed_validation=False,
        _cattrs_forbid_extra_keys=False,
        **hooks,
    )

    required = _required_texts(into)

    def structured(value: Any) -> Any:
        missing = ""
        for name in required:
            if name not in value:
                value = {**value, name: None}
        try:
            return build(value, cls)
        except KeyError as error:
            missing = str(error.args[0])
        raise Malformed(f"{cls.__name__}.{missing} is missing")

    return structured


def _required_texts(into: Any) -> tuple[str, ...]:
    """Return the required texts of a read model of the SDK: its id."""
    cls: Any = getattr(into, "__origin__", into)
    if not getattr(cls, TOLERANT_IDS, False):
        return ()
    names, hints = api_names(into), field_types(into)
    required = (field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING)
    return tuple(names[name] for name in required if hints[name] is str)


def _hook(cls: type[Any], attribute: attrs.Attribute[Any], hint: Any) -> Callable[[Any, Any], Any]:
    warning, default = FieldWarning(cls.__name__, attribute.name), attribute.default
    read, core = _reader(hint), core_type(hint)
    if default is attrs.NOTHING and hint is str and getattr(cls, TOLERANT_IDS, False):
        return _id_hook(warning)
    if default is None and core in _EXACT:
        # Saves a call for correct values, which are most of a record.
        return lambda value, _hint: value if value is None or type(value) is core else read(value, warning)
    if default is None:
        return lambda value, _hint: None if value is None else read(value, warning)
    if default is attrs.NOTHING or isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return lambda value, _hint: read(value, warning)

    def hook(value: Any, _hint: Any) -> Any:
        if value is None or (value == "" and core is not str):
            return default
        found = read(value, warning)
        return default if found is None else found

    return hook


def _id_hook(warning: FieldWarning) -> Callable[[Any, Any], str]:
    """Read an id: a record without one gets an empty id and a warning, so that its page is not lost."""

    def hook(value: Any, _hint: Any) -> str:
        if type(value) is str:
            return value
        found = None if value is None else SCALARS[str](value, warning)
        if found is None:
            warning.note("missing from a record, read as an empty text")
            return ""
        return str(found)

    return hook


def _list_reader(container: Any, element: Any) -> Reader:
    cls = container.__origin__ if container.__origin__ in {tuple, list} else tuple
    read_element = _element_reader(element)
    keeps_null = element in {Any, object} or core_type(element) is not element

    def read(value: Any, warning: FieldWarning) -> Any:
        if not isinstance(value, (list, tuple)):
            value = _values(value, warning, objects=is_model(element))
        found = (read_element(item, warning) for item in value)
        return cls(found if keeps_null else (item for item in found if item is not None))

    return read


def _element_reader(element: Any) -> Reader:
    read = _reader(element)
    if not is_model(core_type(element)):
        return read

    def read_object(value: Any, warning: FieldWarning) -> Any:
        if value is None or isinstance(value, (str, int, float)):
            return None if value is None or value == "" else warning.lost("an element that is not an object")
        return read(value, warning)

    return read_object


def _values(value: Any, warning: FieldWarning, *, objects: bool) -> list[Any]:
    """Read a value that is not a list: PHP sends an object for a list with gaps."""
    if isinstance(value, Mapping) and all(isinstance(item, Mapping) == objects for item in value.values()):
        return list(value.values())
    if value is not None and value != "":
        warning.note("not a list, read as an empty one")
    return []


def _foreign_reader(hint: Any) -> Reader:
    """Leave other types (a user's dataclass, a dict) to cattrs; a value that it refuses is lost."""

    def read(value: Any, warning: FieldWarning) -> Any:
        if value is None:
            return None
        try:
            return _converter.structure(value, hint)
        except Exception:  # noqa: BLE001  (a foreign type may raise anything, and must not lose the record)
            return warning.lost("not of the expected type")

    return read
