"""Check the columns of a source, and its rows, without the server: with all faults of a row at once."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import attrs

from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async._calls.call.request import quoted_length
from carecloud_async.bulk.columns import Columns, Place
from carecloud_async.bulk.convert import Converter
from carecloud_async.bulk.dates import YEARS_AHEAD, ZERO_DATE
from carecloud_async.bulk.errors import BadSourceError, ConversionError, UnknownColumnError
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.phones import lacks_prefix
from carecloud_async.bulk.rows import CheckedRow, LoadedRow
from carecloud_async.bulk.sources.source import RowSource, SourceRow
from carecloud_async.fixes import COLUMNS, COLUMNS_OF_LIST, DEFAULTS, Fix

__all__ = ["RowChecker", "check_row", "checker_of"]

_log = logging.getLogger("carecloud_async.bulk")

#: The most columns without a field that one error names.
_MOST_NAMED = 10
#: Most bytes of a key in a URL; servers take lines of 8 kB by default.
_LONGEST_KEY: Final = 4000
#: A whole number as tables of numbers write it.
_WITH_DECIMALS: Final = re.compile(r"\d+[.,]0+", re.ASCII)
_TO_THE_MINUTE: Final = re.compile(r"[\d./ -]+[ T]\d{1,2}:\d{2}")


class RowChecker:
    """Checks the rows of one source.

    Args:
        columns: the field of each column.
        key: the key that names a record; `None` if every row is created.
        textual: whether every value is the text of a cell, as in CSV.
        blanks: whether an empty value is a blank cell, as in files of columns; in JSON null is null.

    Attributes:
        unprefixed_phones: phone numbers without an international prefix that were taken as they are.
    """

    def __init__(
        self,
        family: Family,
        columns: Columns,
        *,
        key: Key | None,
        options: BulkWriteOptions,
        textual: bool,
        blanks: bool,
    ) -> None:
        self._columns = columns
        self._key = key
        self._parts = family.facts.parts
        zone = family.caller.context.project.timezone
        this_year = datetime.fromtimestamp(family.clock.time(), zone).year
        self._converter = Converter(
            timezone=zone,
            textual=textual,
            decimal=options.decimal,
            date_format=options.date_format,
            latest_year=this_year + YEARS_AHEAD,
            phone_prefix=options.prefix_digits,
        )
        self._as_written = attrs.evolve(self._converter, as_written=True)
        self._of_birthdates = attrs.evolve(self._converter, latest_year=this_year)
        self.unprefixed_phones: int = 0
        self._blanks = blanks
        self._clear = options.blank == "clear"
        self._if_unchanged = options.if_unchanged
        self._defaults = options.defaults
        self._values = options.values

    def check(self, row: SourceRow) -> LoadedRow:
        """Check one row.

        Raises:
            UnknownColumnError: a column or a default leads to no field.
        """
        checked = CheckedRow(refused=(row.fault,)) if row.fault is not None else self._check(row.values)
        key = None if self._key is None or checked.key is None else self._key.text(checked.key)
        return LoadedRow(key=key, unique=self._unique(checked), checked=checked, in_lines=bool(row.lines))

    def _unique(self, row: CheckedRow) -> dict[str, str]:
        """Return the parts of a row that only one record can have, by their columns."""
        if self._parts is None or row.refused or not (row.create_fields or row.parts):
            return {}
        given = {path: value for path, value in {**row.create_fields, **row.parts}.items() if path not in row.faults}
        unique = {}
        for key in self._parts.unique:
            values = None if self._key is not None and key.name == self._key.name else key.values_in(given)
            if values is not None:
                unique[key.name] = key.text(values)
        return unique

    def _check(self, values: Mapping[str, Any]) -> CheckedRow:
        fields = _Fields()
        self._add(values, "", fields)
        for name, value in self._values.items():
            place = self._columns.place(name, is_default=True)
            fields.row.faults.pop(place.path, None)
            self._set(place, value, fields, replaces=True)
        for name, value in self._defaults.items():
            place = self._columns.place(name, is_default=True)
            if place.path not in fields.given:
                self._set(place, value, fields, is_default=True)
        row, key = fields.row, None if self._key is None else self._key.values_in(fields.given)
        for path in row.faults:  # they are never written, and no other row must wait for them
            row.parts.pop(path, None)
            row.new_parts.pop(path, None)
        self._add_created_part(row)
        reasons = [*self._refuse_key(key, fields.given), *fields.refused]
        if not reasons and (self._key is None or row.faults.keys().isdisjoint(self._key.paths)):
            return attrs.evolve(row, key=key, last_change=fields.last_change)
        return CheckedRow(refused=(*reasons, *(f"{path}: {reason}" for path, reason in row.faults.items())))

    def _add_created_part(self, row: CheckedRow) -> None:
        """Add a part that gives a known record the fields that only a create sends, such as an external id."""
        created = None if self._parts is None else self._parts.created
        if created is None or not row.create_fields or (self._key is not None and created.name == self._key.name):
            return
        given = {path: row.create_fields.get(path) for path in created.paths}
        if all(given.values()) and row.faults.keys().isdisjoint(given):
            row.parts.update(given)

    def _refuse_key(self, key: tuple[str, ...] | None, given: Mapping[str, Any]) -> list[str]:
        """Return why a row cannot be written because of its key."""
        if self._key is None:
            return []
        if key is None:
            missing = [path for path in self._key.paths if not self._key.normal(_text(given.get(path)))]
            return [f"{path}: the row has no key" for path in missing]
        is_too_long = quoted_length("".join(key)) > _LONGEST_KEY
        return [f"{self._key.paths[-1]}: the key is too long to be looked up"] if is_too_long else []

    def _add(self, values: Mapping[str, Any], prefix: str, fields: _Fields) -> None:
        for column, value in values.items():
            name = f"{prefix}{column}"
            if self._columns.is_object(name) and (isinstance(value, Mapping) or not self._converter.textual):
                self._add_object(name, value, fields)
                continue
            place = self._columns.place(name)
            if place.path == "last_change" and self._if_unchanged:
                self._set_last_change(value, fields)
            if place.role != "ignored":
                self._set(place, value, fields)

    def _add_object(self, name: str, value: Any, fields: _Fields) -> None:
        if isinstance(value, Mapping):
            self._add(value, f"{name}.", fields)
        elif value is not None and value != "":  # null and a blank name no field
            fields.row.faults[name] = "not an object"
            fields.add(Place(path=name), _as_json(value))

    def _set_last_change(self, value: Any, fields: _Fields) -> None:
        if value is None or value == "":
            return
        if isinstance(value, str) and ZERO_DATE.fullmatch(value.strip()):
            fields.last_change = value.strip()  # any time of the record is newer
            return
        try:
            moment: str = self._converter.convert(value, datetime)
        except ConversionError as error:
            fields.refused.append(f"last_change: {error}")
            return
        has_no_seconds = isinstance(value, str) and _TO_THE_MINUTE.fullmatch(value.strip())
        fields.last_change = moment[: len("YYYY-MM-DD HH:MM")] if has_no_seconds else moment

    def _set(
        self, place: Place, value: Any, fields: _Fields, *, is_default: bool = False, replaces: bool = False
    ) -> None:
        if place.words and isinstance(value, str):
            value = place.words.get(value.strip().casefold(), value)
        if place.role == "item":
            fields.refused.append(f"{place.path}: it belongs to one of several items: give them in a list")
            return
        if place.role == "unknown":
            if value is not None and value != "":
                fields.row.unknown[place.path] = _as_json(value)
            return
        if value is None or value == "":
            if place.role != "field":  # only fields of the record can be cleared
                return
            if self._blanks:
                if not self._clear:
                    return
                value = None
        given = value
        if value is not None:
            try:
                plain = self._convert(value, place)
                value, given = self._phone(plain, place) if place.is_phone and plain else (plain, plain)
            except ConversionError as error:
                fields.row.faults[place.path] = str(error)
                value = given = _as_json(value)
        fields.add(place, value, given=given, is_default=is_default, replaces=replaces)

    def _phone(self, given: str, place: Place) -> tuple[str, str]:
        """Return a phone number as the API takes it, and as it is looked up: as given, or with the prefix it lacks."""
        number = self._converter_of(place).phone(given)
        if not lacks_prefix(given):
            return number, given
        if self._converter.phone_prefix:
            return number, number
        self.unprefixed_phones += 1
        return number, given

    def _convert(self, value: Any, place: Place) -> Any:
        is_code = place.path == "card_number" and self._converter.textual and not place.as_written
        if is_code and _WITH_DECIMALS.fullmatch(str(value).strip()):
            problem = "a number with decimals, as a table of numbers writes it: export the column again, as text"
            raise ConversionError(problem)
        return self._converter_of(place).convert(value, place.hint, enumeration=place.enumeration)

    def _converter_of(self, place: Place) -> Converter:
        if place.as_written:
            return self._as_written
        return self._of_birthdates if place.path.endswith("birthdate") else self._converter


async def check_row(checker: RowChecker, columns: Columns, row: SourceRow) -> LoadedRow:
    """Check a row; an unknown column may be one that only the server knows."""
    try:
        return checker.check(row)
    except UnknownColumnError:
        await columns.fetch_names()
    return checker.check(row)


class _Fields:
    """The fields of a row that is being checked.

    Attributes:
        row: takes the values.
        given: the values by dotted field, those of keys too.
        last_change: see `CheckedRow`.
        refused: why the row cannot be written at all.
    """

    def __init__(self) -> None:
        self.row = CheckedRow()
        self.given: dict[str, Any] = {}
        self.last_change: str | None = None
        self.refused: list[str] = []

    def add(
        self, place: Place, value: Any, *, given: Any = None, is_default: bool = False, replaces: bool = False
    ) -> None:
        """Add a value.

        Args:
            place: where it goes.
            given: the value as the row spells it, by which a key is looked up; the same if left out.
            is_default: whether only a new record gets it.
            replaces: whether it replaces the value that the row has.
        """
        path, row = place.path, self.row
        if path in self.given and self.given[path] != (value if given is None else given) and not replaces:
            self.refused.append(f"{path}: two columns of the row lead to it")
        self.given[path] = value if given is None else given
        if place.role == "create":
            row.create_fields[path] = value
        elif place.role == "part":
            is_new = is_default and "." in path  # such as a property; a default `card_type_id` makes no card
            (row.new_parts if is_new else row.parts)[path] = value
        elif place.role == "field":
            *objects, name = path.split(".")
            parent = row.defaults if is_default else row.changes
            for part in objects:
                if not isinstance(parent.get(part), dict):
                    parent[part] = {}
                parent = parent[part]
            parent[name] = value


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _as_json(value: Any) -> Any:
    """Return a value that could not be converted as plain JSON, to compare it with the value of the record."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, float) and value.is_integer():
        return int(value)  # the text of such a number in the record has no `.0`
    with suppress(TypeError, ValueError, RecursionError):
        json.dumps(value)
        return value
    with suppress(ValueError, RecursionError):
        return str(value)
    return type(value).__name__


# the columns of a source


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
            more = f"; {left} more ha{'s' if left == 1 else 've'} no field" if left else ""
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
