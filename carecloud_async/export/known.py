"""Records that hold nothing but what the model knows: told by one decode, which builds next to nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from carecloud_async.export.shape import Shape

__all__ = ["KnownShape"]


class KnownShape:
    """Tells which records can teach a shape nothing.

    Args:
        shape: what the model says; what data has added since makes no difference.
    """

    def __init__(self, shape: Shape) -> None:
        self._decoder = msgspec.json.Decoder(_type(shape))

    def holds(self, line: bytes) -> bool:
        """Tell whether a record has no field, at any depth, that the model does not know."""
        try:
            self._decoder.decode(line)
        except (ValueError, RecursionError):
            return False
        return True


def _type(shape: Shape) -> Any:
    if shape.kind == "object":
        fields = [(name, _type(child), None) for name, child in shape.children.items()]
        return msgspec.defstruct("Known", fields, forbid_unknown_fields=True, gc=False) | None
    if shape.kind == "list" and shape.element is not None and shape.element.kind in {"object", "list"}:
        return list[_type(shape.element)] | None  # type: ignore[misc]
    return msgspec.Raw
