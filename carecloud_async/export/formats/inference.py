"""What columns records have: the model's, and what the data adds.

Most records hold nothing that the model does not know. One decode, which builds next to nothing, tells them apart;
only the others are looked at value by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from carecloud_async.codec.repair import load
from carecloud_async.export.formats.schema import Shape, shape_of

__all__ = ["Survey"]


class Survey:
    """Learns the shape of records.

    Args:
        into: the model of a record; what is no model knows no field.

    Attributes:
        shape: what is known so far.
    """

    def __init__(self, into: Any) -> None:
        shape = shape_of(into)
        self.shape = shape if shape.kind == "object" else Shape(kind="object")
        self._decoder = msgspec.json.Decoder(_known(self.shape))

    def learn(self, lines: Sequence[bytes]) -> None:
        """Take records into account."""
        for line in lines:
            if not self.knows(line):
                self.shape.learn(load(line))

    def knows(self, line: bytes) -> bool:
        """Tell whether a record has no field, at any depth, that the model does not know: it can teach nothing."""
        try:
            self._decoder.decode(line)
        except (ValueError, RecursionError):
            return False
        return True


def _known(shape: Shape) -> Any:
    """Return the type of values that hold nothing new."""
    if shape.kind == "object":
        fields = [(name, _known(child), None) for name, child in shape.children.items()]
        return msgspec.defstruct("Known", fields, forbid_unknown_fields=True, gc=False) | None
    if shape.kind == "list" and shape.element is not None and shape.element.kind in {"object", "list"}:
        return list[_known(shape.element)] | None  # type: ignore[misc]
    return msgspec.Raw
