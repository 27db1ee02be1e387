"""Records as the columns of a CSV file: decoded without dicts, and joined to lines a batch at a time.

`csv.writer` handles one character after another. Here a column's texts are searched for quotes and delimiters as one
text: most columns have none, and their cells are joined as they are. A batch takes half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec

from carecloud_async._base.codec.json_text import read_spelled
from carecloud_async._lists.export.formats.schema import Shape, as_text, is_slot_name
from carecloud_async._lists.export.formats.sinks import CsvOptions

__all__ = ["FORMULA_STARTS", "Path", "RecordDecoder", "join_columns"]

#: The names that lead to a field.
Path: TypeAlias = tuple[str, ...]

#: What makes a spreadsheet take text for a formula, by the OWASP guide on CSV injection; the wide signs of East Asian
#: keyboards count as well.
FORMULA_STARTS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")

_LINE_END = "\r\n"

#: The kinds of fields that are text, and the types of fields by their kind, see `Shape`; others may hold anything.
#: `float` is one of them: the decoder keeps the spelling of a number only where it expects no type.
_TEXTS = ("str", "date", "datetime")
_TYPES: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, str | None),
    "int": int | None,
    "bool": bool | None,
    "list": list[Any] | None,
}


class RecordDecoder:
    """Decodes records that match a shape into msgspec structs, and reads the values of their columns.

    Args:
        shape: the fields of a record: no others are expected.
        columns: the paths of the columns.
    """

    def __init__(self, shape: Shape, columns: Sequence[Path]) -> None:
        slots: dict[Path, str] = {}
        self._decoder = msgspec.json.Decoder(list[_struct(shape, slots)], float_hook=read_spelled)  # type: ignore[misc]
        self._is_possible = all(path in slots for path in columns)
        self._readers: list[Callable[[Any], Any]] = [attrgetter(slots[path]) for path in columns if path in slots]

    def decode(self, lines: Sequence[bytes]) -> list[Any]:
        """Return records for `columns`.

        Args:
            lines: the records, JSON.

        Raises:
            ValueError: one of them does not match the shape, or a column is not in it.
            RecursionError: one of them is nested too deeply.
        """
        if not self._is_possible:
            raise ValueError("a column is not in the shape")
        found: list[Any] = self._decoder.decode(b"[" + b",".join(lines) + b"]")
        return found

    def columns(self, records: Sequence[Any]) -> list[list[Any]]:
        """Return the values of decoded records, column by column."""
        return [list(map(read, records)) for read in self._readers]


def _struct(shape: Shape, slots: dict[Path, str], path: Path = (), owner: str = "") -> Any:
    """Return a msgspec struct of a shape's fields, and enter each field's dotted attribute in `slots`.

    A record with a field that a struct cannot have does not match. Nested objects are never null.
    """
    fields: list[Any] = []
    names: dict[str, str] = {}
    for index, (name, child) in enumerate(shape.children.items()):
        if not is_slot_name(name):
            continue
        slot = f"f{index}"
        names[slot] = name
        slots[*path, name] = owner + slot
        if child.kind == "object" and child.children:
            inner = _struct(child, slots, (*path, name), f"{owner}{slot}.")
            fields.append((slot, inner, msgspec.field(default_factory=inner)))
        else:
            # An absent text is empty text, which needs no conversion.
            fields.append((slot, _TYPES.get(child.kind, Any), "" if child.kind in _TEXTS else None))
    return msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False)


def join_columns(columns: Sequence[list[Any]], dialect: CsvOptions, *, rows: int) -> bytes:
    """Return the lines of some records, each with its end.

    Args:
        columns: JSON values, column by column. Text stays as it is, null is empty, other values are written as
            JSON.
        dialect: the delimiter, and whether text that is a formula to a spreadsheet gets an apostrophe before it.
        rows: how many records they are; without a column, each is an empty line.
    """
    cells = [_cells(values, dialect) for values in columns]
    if len(cells) == 1:  # an empty cell alone would be an empty line
        cells = [[cell or '""' for cell in cells[0]]]
    lines = list(map(dialect.delimiter.join, zip(*cells, strict=True))) if cells else [""] * rows
    return _LINE_END.join([*lines, ""]).encode()


def _cells(values: list[Any], dialect: CsvOptions) -> list[str]:
    """Return the cells of a column, quoted where necessary (RFC 4180)."""
    cells = values
    if dialect.escape_formulas:
        cells = [_escape(value) for value in values]
    try:
        together = "".join(cells)
    except TypeError:  # not all are text
        cells = ["" if value is None else as_text(value) for value in cells]
        together = "".join(cells)
    if not _needs_quotes(together, dialect.delimiter):
        return cells
    return [_quote(cell) if _needs_quotes(cell, dialect.delimiter) else cell for cell in cells]


def _escape(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _needs_quotes(text: str, delimiter: str) -> bool:
    return '"' in text or delimiter in text or "\r" in text or "\n" in text


def _quote(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'
