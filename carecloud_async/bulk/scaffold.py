"""A first file for `columns=`: the columns of a source, with the fields that they probably are."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from attrs import field, frozen

from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.family import Family
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.spellings import members_of


@frozen(kw_only=True)
class Scaffold:
    """A file for `columns=`, to be corrected.

    Attributes:
        text: the file, TOML.
        columns: how many columns it names.
        unknown: the columns without a field.
    """

    text: str = field(repr=False)
    columns: int
    unknown: tuple[str, ...]


async def make_scaffold(family: Family, source: Any, *, encoding: str | None = None) -> Scaffold:
    """Make a first file for `columns=` from the names of a source's columns; nothing is written anywhere.

    Args:
        family: the family that the rows are for.
        source: a path, or a data frame.
        encoding: as for `bulk_write`.

    Raises:
        BadSourceError: the source cannot be read, or has no columns.
    """
    rows = await run_in_thread(partial(open_source, source, encoding=encoding))
    try:
        if rows.columns is None:
            raise BadSourceError(f"{rows.label}: its rows have names of their own: only a table has columns to list")
        columns = Columns(family, renamed={}, ignored=())
        await columns.fetch_names()
        lines: list[str] = []
        tables: list[str] = []
        unknown: list[str] = []
        taken: set[str] = set()
        for column in rows.columns:
            if columns.is_object(column) and not rows.textual:  # its fields have names of their own
                continue
            name = columns.guess(column)
            place = None if name is None else columns.place(name)
            quoted = _quoted(column)
            if name is None or place is None or place.path in taken:
                unknown.append(column)
                lines.append(f'# {quoted} = ""')
            elif place.enumeration is not None:
                members = ", ".join(members_of(place.enumeration))
                tables.append(f'\n[{quoted}]\nfield = {_quoted(name)}\n# words = {{ "…" = "…" }}  # {members}')
            else:
                lines.append(f"{quoted} = {_quoted(name)}")
            taken |= set() if place is None else {place.path}
        return Scaffold(
            text="\n".join((*_HEAD, *lines, *tables, "")), columns=len(lines) + len(tables), unknown=tuple(unknown)
        )
    finally:
        await run_in_thread_regardless(rows.close)


_HEAD = (
    "# column = field. Check each line: the fields are guessed from the names of the columns.",
    '# A column that is commented out has no field yet: name it, or leave "" to pass the column over.',
    "",
)


def _quoted(text: str) -> str:
    """Return a string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
