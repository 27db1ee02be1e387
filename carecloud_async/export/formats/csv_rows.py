"""Records straight into rows of cells, without a dict on the way: those that are what the model says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from carecloud_async.export.formats.schema import Shape, as_text, is_slot_name

__all__ = ["Path", "RowDecoder", "escape_formula", "to_cell"]

#: The names that lead to a field.
Path: TypeAlias = tuple[str, ...]

#: Kinds of values that are cells as they are decoded.
_CELLS = frozenset({"str", "int", "date", "datetime"})

#: What makes a spreadsheet take text for a formula, by the OWASP guide on CSV injection; the wide signs of East Asian
#: keyboards count as well.
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")

_encode_lines = msgspec.json.Encoder().encode_lines


class RowDecoder:
    """Decodes records into rows, a batch at a time.

    Args:
        shape: the fields of a record, selected or not: all of them are expected.
        columns: the wanted ones.
        quote: returns a cell as it stands in a line of the file.
        escape: whether formulas are escaped.

    Attributes:
        quoted: the indexes of the columns that `quote` is asked about.
    """

    def __init__(self, shape: Shape, columns: Sequence[Path], *, quote: Callable[[str], str], escape: bool) -> None:
        slots: dict[Path, str] = {}
        self._decoder = msgspec.json.Decoder(list[_slotted(shape, (), "", slots)])  # type: ignore[misc]
        # A selection may name what no record has: then nothing is what the model says.
        self._knows = bool(columns) and all(path in slots for path in columns)
        kinds = dict(shape.leaves()) if self._knows else {}
        self._columns = [(slots[path], kinds[path].kind) for path in columns] if self._knows else []
        self._read: Callable[[Any], Any] = attrgetter(*(slot for slot, _ in self._columns)) if self._knows else tuple
        self._quote = quote
        self._escape = escape
        self.quoted: set[int] = {index for index, (_, kind) in enumerate(self._columns) if kind not in _CELLS}
        if len(columns) == 1:  # where it is empty it needs quotes
            self.quoted.add(0)

    def decode(self, data: bytes) -> list[Any]:
        """Return records.

        Args:
            data: a JSON array of them.

        Raises:
            ValueError: there is anything unexpected in one of them.
            RecursionError: likewise.
        """
        if not self._knows:
            raise ValueError
        found: list[Any] = self._decoder.decode(data)
        return found

    def rows(self, records: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of records."""
        rows = list(map(self._read, records))
        if len(self._columns) == 1:
            rows = list(zip(rows, strict=True))
        return [tuple(map(escape_formula, row)) for row in rows] if self._escape else rows

    def quote(self, records: Sequence[Any], columns: Collection[int]) -> str:
        """Change the records so that the cells of some columns stand as in the file; once for each column.

        Returns:
            all their text.
        """
        return "".join([text for index in columns for text in self._quote_column(records, *self._columns[index])])

    def _quote_column(self, records: Sequence[Any], slot: str, kind: str) -> list[str]:
        place, _, name = slot.rpartition(".")
        owners = list(map(attrgetter(place), records)) if place else records
        values = list(map(attrgetter(name), owners))
        texts = self._lists_as_text(values) if kind == "list" else list(map(self._as_text, values))
        for owner, text in zip(owners, texts, strict=True):
            setattr(owner, name, text)
        return texts

    def _lists_as_text(self, values: Sequence[list[Any] | None]) -> list[str]:
        texts = _encode_lines(values).decode().split("\n")
        return [self._quote("" if value is None else text) for value, text in zip(values, texts, strict=False)]

    def _as_text(self, value: Any) -> str:
        cell = to_cell(value)
        if type(cell) is int:
            cell = _Number(cell)
        return self._quote("" if cell is None else escape_formula(cell) if self._escape else cell)


def to_cell(value: Any) -> Any:
    """Return a value as a cell; whole numbers keep their type, so that they are not formulas."""
    if value is None or type(value) is str or type(value) is int:
        return value
    text = as_text(value)
    return _Number(text) if type(value) is float else text


class _Number(str):
    """The text of a number as the server sent it: never a formula, whatever sign it begins with."""

    __slots__ = ()


def escape_formula(value: Any) -> Any:
    """Return a cell behind an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{value}" if type(value) is str and value.startswith(_FORMULA_STARTS) else value


def _slotted(shape: Shape, path: Path, prefix: str, slots: dict[Path, str]) -> Any:
    """Return a msgspec struct of a shape's fields, nested ones never null; note the slot of each leaf."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    for index, (name, child) in enumerate(shape.children.items()):
        if not is_slot_name(name):
            continue  # records with such a field are read value by value
        slot = f"f{index}"
        names[slot] = name
        if child.kind == "object" and child.children:
            inner = _slotted(child, (*path, name), f"{prefix}{slot}.", slots)
            fields.append((slot, inner, msgspec.field(default_factory=inner)))
        else:
            slots[*path, name] = f"{prefix}{slot}"
            fields.append((slot, *_slot_type(child)))
    return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)


def _slot_type(shape: Shape) -> tuple[Any, Any]:
    """Return the type of a leaf, and what it is where it is absent: no `None`, which has to be looked for."""
    if shape.kind in {"str", "date", "datetime"}:
        return str | None, ""
    if shape.kind == "int":
        return int | None, ""
    return (list[Any] | None if shape.kind == "list" else Any), None
