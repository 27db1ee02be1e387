"""`fields=`: which fields of a record are exported, nested ones dotted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from carecloud_async._base.codec.fields import is_model
from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.schema import Shape, shape_of
from carecloud_async.fixes import UNKNOWN_FIELD

__all__ = ["Selection", "field_names", "read_fields"]

#: Field name → selection within it; an empty one takes everything.
Selection = Mapping[str, Any]


def read_fields(
    fields: Sequence[str] | None, into: Any, *, also: Collection[str] = (), allow_unknown: bool = False
) -> Selection:
    """Read and check `fields`.

    Args:
        fields: the names, such as `customer_id` and `personal_information.email`.
        into: the model that knows the names; without a model every name is accepted.
        also: additional names of a format with fixed columns, which has no column for any other name.
        allow_unknown: accept names that the model does not know, where the format can have them.

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
            _check(name, shape, special=also, allow_unknown=allow_unknown)
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


def _check(name: str, shape: Shape, *, special: Collection[str], allow_unknown: bool) -> None:
    if _is_known(name, shape) or (allow_unknown and not special):
        return
    paths = [".".join(path) for path, _ in shape.leaves()] + list(shape.children)
    last_parts = {path.rpartition(".")[2]: path for path in reversed(paths)}
    known = last_parts | {path: path for path in paths}
    close = nearest(name, known)
    if close is not None:
        raise BadExportError(f"there is no field {name}: did you mean {known[close]}?")
    hint = "".join(f": fields that the SDK does not know are in {one}" for one in special)
    raise BadExportError(f"there is no field {name}{hint}", fix=None if special else UNKNOWN_FIELD)


def _is_known(name: str, shape: Shape) -> bool:
    node: Shape | None = shape
    for part in name.split("."):
        if node is not None and node.kind == "list":
            node = node.element
        if node is None or node.kind == "json":
            return True
        if part not in node.children:
            return False
        node = node.children[part]
    return True


def field_names(fields: Selection) -> list[Any]:
    """Return a selection as lists, in its order: what a checkpoint is bound to."""
    return [[name, field_names(inner)] for name, inner in fields.items()]
