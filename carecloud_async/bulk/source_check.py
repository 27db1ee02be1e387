"""Check the columns of a source before its rows: each leads to a field, no two to one, and the key is among them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async.bulk.check import RowChecker
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.errors import BadSourceError, UnknownColumnError
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.sources.source import RowSource
from carecloud_async.fixes import COLUMNS, COLUMNS_OF_LIST, DEFAULTS, Fix

__all__ = ["checker_of"]

_log = logging.getLogger("carecloud_async.bulk")

#: The most columns without a field that one error names.
_MOST_NAMED = 10


async def checker_of(
    family: Family, rows: RowSource, columns: Columns, *, key: Key | None, options: BulkWriteOptions
) -> RowChecker:
    """Check the columns of a source, and return what checks its rows.

    Args:
        rows: the source.
        columns: the field of each column.
        key: the key that names a record; `None` if every row is created.

    Raises:
        BadSourceError: a column leads to no field, two lead to one, or the key has none.
    """
    objects = _object_columns(rows, columns)
    names = [name for name in rows.columns or () if name not in objects]
    _require_columns(rows, options.as_written, columns)
    _warn_of_missing(rows, options.columns)
    fix = COLUMNS_OF_LIST if family.facts.can_list else COLUMNS
    await _require_known(columns, names, defaults=(*options.defaults, *options.values), label=rows.label, fix=fix)
    first: dict[str, str] = {}
    for name in names:
        place = columns.place(name)
        other = first.setdefault(place.path, name)
        if other != name and place.role != "ignored":
            raise BadSourceError(
                f"{rows.label}: the columns {other!r} and {name!r} both lead to {place.path}",
                fix=Fix("name one of them in {ignore_columns}"),
            )
    if key is not None and rows.columns is not None:
        given = {*first, *(columns.place(name).path for name in (*options.defaults, *options.values))}
        missing = [path for path in key.paths if path not in given and not columns.is_in_objects(path, objects)]
        if missing:
            raise BadSourceError(
                f"{rows.label}: the key {key.name} needs the column {missing[0]}, which is missing",
                fix=Fix(f"name the column in {{columns}}, or give all rows one value, {{default}}{missing[0]}=…"),
            )
    return RowChecker(family, columns, key=key, options=options, textual=rows.textual, blanks=rows.blanks)


def _require_columns(rows: RowSource, names: Collection[str], columns: Columns) -> None:
    """Raise if `as_written=` names anything but a column of the source, or its field."""
    if rows.columns is None:
        return
    for name in names:
        if name not in rows.columns and not any(name in columns.names_of(column) for column in rows.columns):
            close = nearest(name, rows.columns)
            hint = f" (did you mean {close}?)" if close else ""
            raise BadSourceError(
                f"{rows.label} has no column {name!r}{hint}", fix=Fix("name columns of it in {as_written}")
            )


def _warn_of_missing(rows: RowSource, renamed: Mapping[str, object]) -> None:
    """Warn of names in `columns=` that are probably misspelt; others may be columns of other files."""
    for name in renamed:
        close = None if rows.columns is None or name in rows.columns else nearest(name, rows.columns)
        if close is not None and close not in renamed:
            _log.warning("%s has no column %r, which columns= names (did you mean %s?)", rows.label, name, close)


def _object_columns(rows: RowSource, columns: Columns) -> tuple[str, ...]:
    """Return the columns that hold objects with fields of their own, such as `personal_information` in Parquet."""
    return () if rows.textual else tuple(name for name in rows.columns or () if columns.is_object(name))


async def _require_known(
    columns: Columns, names: Sequence[str], *, defaults: Sequence[str], label: str, fix: Fix
) -> None:
    """Raise one error that names all columns, or all defaults, that lead to no field: those with a near name first.

    If no column is known, the first line may be a row of data, and the error does not show it.
    """
    for group, is_default in ((names, False), (defaults, True)):
        if _unknown(columns, group, is_default=is_default):
            await columns.fetch_names()
        unknown = _unknown(columns, group, is_default=is_default)
        near = [problem for problem in unknown if "did you mean" in problem]
        named = [*near, *(problem for problem in unknown if problem not in near)]
        if not is_default and len(unknown) == len(group) > 1:
            if not near:
                raise BadSourceError(f"{label}: no column has the name of a field: the file needs a line of names")
            named = named if _are_names(group) else near
        if unknown:
            named = named[:_MOST_NAMED]
            left = len(unknown) - len(named)
            more = f"; {left} more lead{'s' if left == 1 else ''} nowhere" if left else ""
            raise UnknownColumnError("; ".join(named) + more, fix=DEFAULTS if is_default else fix)


def _are_names(columns: Sequence[str]) -> bool:
    """Return whether columns may be names: rows of data have a key, which is an address or mostly digits."""
    return not any("@" in one or sum(map(str.isdigit, one)) >= sum(map(str.isalpha, one)) for one in columns)


def _unknown(columns: Columns, names: Sequence[str], *, is_default: bool) -> list[str]:
    """Return a message for each name that leads to no field."""
    found = []
    for name in names:
        try:
            columns.place(name, is_default=is_default)
        except UnknownColumnError as error:
            found.append(error.problem)
    return found
