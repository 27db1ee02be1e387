"""Which parts of a record the server alone writes, read off the models' field metadata."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs

from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, is_model, typed_cache


@typed_cache
def read_only_names(model: type[Any]) -> frozenset[str]:
    """Name the read-only fields of a model itself, not of the objects in it."""
    fields: Any = attrs.fields(model)
    names = api_names(model)
    return frozenset(names[field.name] for field in fields if field.metadata.get("read_only"))


@typed_cache
def read_only_paths(model: type[Any]) -> frozenset[str]:
    """Name the read-only fields at any depth.

    Args:
        model: a read model.

    Returns:
        dotted paths; `[]` stands for each element of a list: `personal_information.consents[].last_change`.
    """
    paths = set(read_only_names(model))
    for name, (inner, is_list) in _inner_models(model).items():
        prefix = f"{name}[]" if is_list else name
        paths |= {f"{prefix}.{path}" for path in read_only_paths(inner)}
    return frozenset(paths)


def without_read_only(record: Any, model: type[Any], *, keep: Collection[str] = ()) -> Any:
    """Copy a record without its read-only fields, at any depth; unknown fields are kept.

    Args:
        record: plain JSON values; anything but an object is returned unchanged.
        model: the read model of the record.
        keep: read-only fields of the record itself that are kept.
    """
    if not isinstance(record, dict):
        return record
    dropped, inner = read_only_names(model), _inner_models(model)
    return {
        name: _without(value, *inner[name]) if name in inner else value
        for name, value in record.items()
        if name not in dropped or name in keep
    }


def _without(value: Any, model: type[Any], is_list: bool) -> Any:
    if is_list and isinstance(value, list):
        return [without_read_only(item, model) for item in value]
    return without_read_only(value, model)


@typed_cache
def _inner_models(model: type[Any]) -> dict[str, tuple[type[Any], bool]]:
    """Return the objects and lists of objects in a record: their models, and whether it is a list."""
    models = {}
    for name, hint in core_types(model).items():
        element = element_type(hint)
        inner = hint if element is None else core_type(element)
        if is_model(inner):
            models[name] = (inner, element is not None)
    return models
