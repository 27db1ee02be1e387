"""Values as cells of CSV, and the escape of text that a spreadsheet would take for a formula."""

from __future__ import annotations

from typing import Any

from carecloud_async.export.formats.schema import as_text

__all__ = ["FORMULA_STARTS", "escape_formula", "to_cell"]

#: What makes a spreadsheet take text for a formula, by the OWASP guide on CSV injection; the wide signs of East Asian
#: keyboards count as well.
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


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
    """Return a cell with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{value}" if type(value) is str and value.startswith(FORMULA_STARTS) else value
