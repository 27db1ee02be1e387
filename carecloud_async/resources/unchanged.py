"""`if_unchanged`: whether a record is still the one that was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from carecloud_async._base import codec
from carecloud_async._base.codec.fields import api_names
from carecloud_async._base.codec.json_text import load
from carecloud_async._base.codec.raw_json import RawJson
from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._calls.call.operation import Operation
from carecloud_async.errors import ConfigurationError, ConflictError
from carecloud_async.models.base import Model, source_of
from carecloud_async.resources.merge import differences, tree_of

__all__ = ["require_record", "require_unchanged"]


def require_record(value: Any) -> None:
    """Raise unless a value is a record that was read.

    Raises:
        ConfigurationError: naming what to give.
    """
    if not isinstance(value, Model):
        raise ConfigurationError("if_unchanged takes the record as get() or list() returned it")


def require_unchanged(record: RawJson, before: Model, operation: Operation) -> None:
    """Raise unless a record is the same as before.

    A record of `get` is compared with everything that the server wrote, unknown fields and unreadable values included;
    a record of a list is compared by the fields of its model.

    Args:
        record: the current record.
        before: the record as it was read.
        operation: the PUT that would follow, for the message.

    Raises:
        ConflictError: it differs; the error names the fields.
    """
    source = source_of(before)
    if source is None:
        fields = tuple(_model_differences(codec.structure(conceal(load(record)), type(before)), before))
    else:
        model = type(before)
        fields = tuple(differences(tree_of(record, model), tree_of(codec.raw_data(source), model)))
    if fields:
        raise ConflictError(
            f"{operation.title}: the record changed since it was read ({', '.join(fields)}); nothing was sent. "
            "Read it again and decide what to change",
            fields=fields,
        )


def _model_differences(now: Model, before: Model, prefix: str = "") -> Iterator[str]:
    for field, name in api_names(type(now)).items():
        new, old = getattr(now, field), getattr(before, field)
        if new == old:
            continue
        if attrs.has(type(new)) and type(new) is type(old):
            yield from _model_differences(new, old, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
