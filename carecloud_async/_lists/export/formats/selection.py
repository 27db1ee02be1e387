"""`fields=`: which fields of a record are exported, nested ones dotted."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from carecloud_async._base.codec.fields import is_model
from carecloud_async._base.runtime.suggestions import did_you_mean, nearest
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.schema import Shape, shape_of

__all__ = ["Selection", "field_names", "read_fields"]

_log = logging.getLogger("carecloud_async.export")

#: A name this close to a known one counts as a typing error.
_SLIP = 0.75

#: Field name → selection within it; an empty one takes everything.
Selection = Mapping[str, Any]


def read_fields(fields: Sequence[str] | None, into: Any, *, also: Collection[str] = ()) -> Selection:
    """Read and check `fields`.

    Args:
        fields: the names, such as `customer_id` and `personal_information.email`.
        into: the model that knows the names.
        also: additional names of a format with fixed columns; it has no others. Without them, a name that the model
            does not know is accepted with a warning, unless it looks like a typing error.

    Raises:
        BadExportError: a name is unknown (the message has the nearest one) or no names were given.
    """
    if fields is None:
        return {}
    if isinstance(fields, str) or not fields or not all(isinstance(name, str) and name for name in fields):
        raise BadExportError("fields must be a list of field names, such as ['customer_id']; leave it out for all")
    shape = shape_of(into) if is_model(into) else None
    found: dict[str, Any] = {}
    for name in fields:
        if shape is not None and name not in also:
            _check(name, shape, special=also)
        _add(found, name.split("."))
    return found


def _add(found: dict[str, Any], parts: list[str]) -> None:
    inner = found
    for index, part in enumerate(parts):
        known = part in inner
        below = inner.setdefault(part, {})
        last = index == len(parts) - 1
        if last:
            below.clear()
        elif known and not below:
            return  # the whole field is wanted already
        inner = below


def _find_unknown(name: str, shape: Shape) -> tuple[str, Shape] | None:
    """Return the first part of a name that the model does not know, and the selection it would belong to."""
    node: Shape | None = shape
    for part in name.split("."):
        if node is not None and node.kind == "list":
            node = node.element
        if node is None or node.kind == "json":
            return None
        if part not in node.children:
            return part, node
        node = node.children[part]
    return None


def _check(name: str, shape: Shape, *, special: Collection[str]) -> None:
    found = _find_unknown(name, shape)
    if found is None:
        return
    part, place = found
    if special or nearest(part, place.children, similarity=_SLIP) is not None:
        names = [".".join(path) for path, _ in shape.leaves()] + list(shape.children)
        hint = did_you_mean(name, names) or "".join(
            f": fields that the SDK does not know are in {one}" for one in special
        )
        raise BadExportError(f"there is no field {name}{hint}")
    _log.warning("fields: the SDK does not know %s; it is written if the server sends it", name)


def field_names(fields: Selection) -> list[Any]:
    """Return a selection as lists, in its order: what a checkpoint is bound to."""
    return [[name, field_names(inner)] for name, inner in fields.items()]
