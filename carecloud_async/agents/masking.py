"""Records as an assistant sees them: personal values are stars."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from carecloud_async._base.codec.fields import api_names
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async.models.base import Model

__all__ = ["MASK", "masked"]

MASK = "***"


def masked(record: Model, *, show: Collection[str] = ()) -> JsonObject:
    """Return a record as plain JSON; values of personal fields, and of fields that the model does not know, are stars.

    What is empty stays empty, so that it shows.

    Args:
        record: the record.
        show: names of fields that are not masked.
    """
    return _masked(record, record.to_dict(), show)


def _masked(record: Model, plain: Mapping[str, Any], show: Collection[str]) -> JsonObject:
    kind: Any = type(record)
    names = api_names(kind)
    fields = {names.get(field.name, field.name): field for field in attrs.fields(kind)}
    return {name: _value(record, fields.get(name), name, value, show) for name, value in plain.items()}


def _value(record: Model, field: attrs.Attribute[Any] | None, name: str, plain: Any, show: Collection[str]) -> Any:
    if plain in (None, "", [], {}) or name in show:
        return plain
    if field is None or field.metadata.get("personal"):
        return MASK
    value = getattr(record, field.name)
    if isinstance(value, Model):
        return _masked(value, plain, show)
    if isinstance(value, tuple) and value and isinstance(value[0], Model):
        return [_masked(part, shown, show) for part, shown in zip(value, plain, strict=True)]
    return plain
