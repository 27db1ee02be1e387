"""Records as an assistant sees them: personal values are stars."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import attrs

from carecloud_async._base.codec.fields import api_names
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async.models.base import Model

__all__ = ["MASK", "masked"]

MASK = "***"
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def masked(record: Model, *, show: Collection[str] = ()) -> JsonObject:
    """Return a record as plain JSON; values of personal fields, and of fields that the model does not know, are stars.

    Empty fields are left out: they would be half of an answer.

    Args:
        record: the record.
        show: names of fields that are not masked.
    """
    return _masked(record, record.to_dict(), show)


def _masked(record: Model, plain: Mapping[str, Any], show: Collection[str]) -> JsonObject:
    kind: Any = type(record)
    names = api_names(kind)
    fields = {names.get(field.name, field.name): field for field in attrs.fields(kind)}
    values = {name: _value(record, fields.get(name), name, value, show) for name, value in plain.items()}
    return {name: value for name, value in values.items() if value not in _EMPTY}


def _value(record: Model, field: attrs.Attribute[Any] | None, name: str, plain: Any, show: Collection[str]) -> Any:
    if plain in _EMPTY or name in show:
        return plain
    if field is None or field.metadata.get("personal"):
        return MASK
    value = getattr(record, field.name)
    if isinstance(value, Model):
        return _masked(value, plain, show)
    if isinstance(value, tuple) and value and isinstance(value[0], Model):
        return [_masked(part, shown, show) for part, shown in zip(value, plain, strict=True)]
    return plain
