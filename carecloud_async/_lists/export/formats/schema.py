"""The shape of records as a tree: the model's fields and those found in the data. Columns and types come from it.

Values that no column can hold are counted by `LostValues`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import msgspec

from carecloud_async._base.codec.fields import FieldWarning, api_names, core_type, element_type, field_types, is_model
from carecloud_async._base.codec.json_text import load
from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async.fixes import UNKNOWN_FIELD

#: The last column of a fixed schema: fields that the model does not know, as JSON text.
UNKNOWN_FIELDS = "unknown_fields"

_SCALARS = {str: "str", int: "int", float: "float", bool: "bool", date: "date", datetime: "datetime", time: "str"}
_INT64 = 2**63


class Shape:
    """One node of a schema: a field, an object or the elements of a list.

    Args:
        kind: `object`, `list`, a scalar (`str`, `int`, `float`, `bool`, `date`, `datetime`), `json` for what has no one
            type, or `unknown` where only nulls were seen.
        fixed: whether the kind comes from the model; the data does not change it then.
        children: the fields of an object.
        element: the node of every element of a list.

    Attributes:
        kind, fixed, children, element: see above.
    """

    def __init__(
        self,
        *,
        kind: str = "unknown",
        fixed: bool = False,
        children: dict[str, Shape] | None = None,
        element: Shape | None = None,
    ) -> None:
        self.kind: str = kind
        self.fixed: bool = fixed
        self.children: dict[str, Shape] = {} if children is None else children
        self.element: Shape | None = element

    def learn(self, value: Any) -> None:
        """Take a value into account."""
        if value is None or self.kind == "json":
            return
        if self.kind == "object" and isinstance(value, dict):
            for name, inner in value.items():
                child = self.children.get(name)
                if child is None:
                    child = self.children[name] = Shape()
                child.learn(inner)
        elif self.kind == "list" and isinstance(value, list) and self.element is not None:
            for inner in value:
                self.element.learn(inner)
        elif not self.fixed:
            self._become(value)

    def _become(self, value: Any) -> None:
        kind = _kind_of(value)
        if self.kind == "unknown":
            self.kind = kind
            self.element = Shape() if kind == "list" else None
            if kind in {"object", "list"}:
                self.learn(value)
        elif {self.kind, kind} == {"int", "float"}:
            self.kind = "float"
        elif self.kind != kind:
            self.kind, self.element = "json", None
            self.children.clear()

    def leaves(self, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
        """Yield every node that is not an object, with the path to it: the columns of a table."""
        for name, child in self.children.items():
            if child.kind == "object" and child.children:
                yield from child.leaves((*prefix, name))
            else:
                yield (*prefix, name), child

    def select(self, wanted: Mapping[str, Any]) -> Shape:
        """Return the part that a selection names, in its order.

        Args:
            wanted: see `read_fields`.
        """
        if not wanted:
            return self
        if self.kind == "list" and self.element is not None:
            return Shape(kind="list", fixed=self.fixed, element=self.element.select(wanted))
        children = {name: self.children.get(name, Shape()).select(inner) for name, inner in wanted.items()}
        return Shape(kind="object", fixed=self.fixed, children=children)


def shape_of(hint: Any) -> Shape:
    """Return the shape of a type."""
    kind = core_type(hint)
    if is_model(kind):
        names = api_names(kind)
        children = {names[field]: shape_of(inner) for field, inner in field_types(kind).items()}
        return Shape(kind="object", fixed=True, children=children)
    element = element_type(kind)
    if element is not None:
        return Shape(kind="list", fixed=True, element=shape_of(element))
    return Shape(kind=_SCALARS.get(kind, "json"), fixed=True)


def _kind_of(value: Any) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "list"
    if type(value) is int and not -_INT64 <= value < _INT64:
        return "json"
    return _SCALARS.get(type(value), "json")


def is_slot_name(name: str) -> bool:
    """Return whether a msgspec struct can have a field with this JSON name."""
    return name.isprintable() and not {'"', "\\"} & set(name)


def as_text(value: Any) -> str:
    """Write a JSON value as text: a text unchanged, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def is_blank(value: Any) -> bool:
    """Return whether a value is empty, so that nothing is lost without it."""
    return value is None or (isinstance(value, str) and not value.strip())


class LostValues(FieldWarning):
    """Counts the values of a field that became null, and warns of the first."""

    __slots__ = ("_name", "_nulls")

    def __init__(self, name: str, nulls: Counter[str]) -> None:
        model, _, field = name.rpartition(".")
        super().__init__(model or "record", field)
        self._name = name
        self._nulls = nulls

    def lost(self, problem: str) -> Any:
        """See `FieldWarning.lost`."""
        self._nulls[self._name] += 1
        return super().lost(problem)


class SchemaBuilder:
    """Infers the shape of records: the model's fields, and those found in the data.

    Most records have no field that the model does not know. A decode that builds almost nothing recognizes them; only
    the others are read value by value.

    Args:
        into: the model of a record; a type that is not a model knows no field.

    Attributes:
        shape: the shape inferred so far.
    """

    def __init__(self, into: Any) -> None:
        shape = shape_of(into)
        self.shape: Shape = shape if shape.kind == "object" else Shape(kind="object")
        self._decoder = msgspec.json.Decoder(_known(self.shape))

    def learn(self, lines: Iterable[bytes]) -> None:
        """Take records into account."""
        for line in lines:
            if not self.knows(line):
                self.shape.learn(load(line))

    def knows(self, line: bytes) -> bool:
        """Return whether the model knows every field of a record, at any depth."""
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
    selection: dict[str, Any] = {}
    for name in fields:
        if shape is not None and name not in also:
            _check(name, shape, special=also, allow_unknown=allow_unknown)
        _add(selection, name.split("."))
    return selection


def _add(selection: dict[str, Any], parts: list[str]) -> None:
    inner = selection
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
    hint = "".join(f": fields that the SDK does not know are in {column}" for column in special)
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
