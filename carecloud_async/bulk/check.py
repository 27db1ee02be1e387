"""Check the rows of a source, without the server: with all faults of a row at once."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import attrs

from carecloud_async._calls.call.request import quoted_length
from carecloud_async.bulk.columns import Columns, Place
from carecloud_async.bulk.convert import Converter
from carecloud_async.bulk.errors import ConversionError, UnknownColumnError
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.rows import CheckedRow, LoadedRow
from carecloud_async.bulk.sources.source import SourceRow
from carecloud_async.bulk.spellings import YEARS_AHEAD, ZERO_DATE, lacks_prefix
from carecloud_async.fixes import PHONE_PREFIX

_log = logging.getLogger("carecloud_async.bulk")

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
        reason: words the reason of a value that a field cannot take.
    """

    def __init__(
        self,
        family: Family,
        columns: Columns,
        *,
        key: Key | None,
        options: BulkWriteOptions,
        textual: bool = False,
        blanks: bool = False,
        reason: Callable[[ConversionError], str] = str,
    ) -> None:
        self._columns = columns
        self._key = key
        self._options = options
        self._blanks = blanks
        self._reason = reason
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
        self._unprefixed = 0  # phone numbers without an international prefix that were taken as they are

    def warn(self) -> None:
        """Warn of what was noticed in rows and refuses none of them."""
        if self._unprefixed:
            count = f"{self._unprefixed:,} phone number{' has' if self._unprefixed == 1 else 's have'}"
            outcome = "to complete them; without it they are sent as they are"
            _log.warning("%s no international prefix: %s, %s", count, PHONE_PREFIX, outcome)

    async def check_row(self, row: SourceRow, *, number: int = 0, source: bytes = b"") -> LoadedRow:
        """Check a row, as `check` does; an unknown column may be one that only the server knows."""
        try:
            return self.check(row, number=number, source=source)
        except UnknownColumnError:
            await self._columns.fetch_names()
        return self.check(row, number=number, source=source)

    def check(self, row: SourceRow, *, number: int = 0, source: bytes = b"") -> LoadedRow:
        """Check one row.

        Args:
            row: the row.
            number: its number in the source.
            source: the row as JSON.

        Raises:
            UnknownColumnError: a column or a default leads to no field.
        """
        checked = CheckedRow(refused=(row.fault,)) if row.fault is not None else self._check(row.values)
        return LoadedRow(
            number=number,
            line=row.line or number,
            source=source,
            key=None if self._key is None or checked.key is None else self._key.text(checked.key),
            unique=self._unique(checked),
            checked=checked,
            in_lines=bool(row.lines),
        )

    def _unique(self, row: CheckedRow) -> dict[str, str]:
        """Return the parts of a row that only one record can have, by their columns."""
        if self._parts is None or row.refused or not (row.create_fields or row.parts):
            return {}
        given = {**row.create_fields, **row.parts}
        unique = {}
        for key in self._parts.unique:
            if self._is_key(key) or not row.faults.keys().isdisjoint(key.paths):
                continue
            values = key.values_in(given)
            if values is not None:
                unique[key.name] = key.text(values)
        return unique

    def _is_key(self, key: Key) -> bool:
        return self._key is not None and key.name == self._key.name

    def _check(self, values: Mapping[str, Any]) -> CheckedRow:
        fields, options = _Fields(), self._options
        self._add(values, "", fields)
        for name, value in options.values.items():
            place = self._columns.place(name, is_default=True)
            fields.row.faults.pop(place.path, None)
            self._set(place, value, fields, replaces=True)
        for name, value in options.defaults.items():
            place = self._columns.place(name, is_default=True)
            if place.path not in fields.given:
                self._set(place, value, fields, is_default=True)
        row = fields.row
        for path in row.faults:  # they are never written, and no other row must wait for them
            row.parts.pop(path, None)
            row.new_parts.pop(path, None)
        self._add_created_part(row)
        key = None if self._key is None else self._key.values_in(fields.given)
        reasons = [*self._refuse_key(key, fields.given), *fields.refused]
        if reasons or (self._key is not None and not row.faults.keys().isdisjoint(self._key.paths)):
            return CheckedRow(refused=(*reasons, *(f"{path}: {reason}" for path, reason in row.faults.items())))
        return attrs.evolve(row, key=key, last_change=fields.last_change)

    def _add_created_part(self, row: CheckedRow) -> None:
        """Add a part that gives a known record the fields that only a create sends, such as an external id."""
        created = None if self._parts is None else self._parts.created
        if created is None or not row.create_fields or self._is_key(created):
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
            if place.path == "last_change" and self._options.if_unchanged:
                self._set_last_change(value, fields)
            if place.role != "ignored":
                self._set(place, value, fields)

    def _add_object(self, name: str, value: Any, fields: _Fields) -> None:
        if isinstance(value, Mapping):
            self._add(value, f"{name}.", fields)
        elif value is not None and value != "":  # null and a blank name no field
            fields.row.faults[name] = "not an object"
            given = _as_json(value)
            fields.add(Place(path=name), given, given=given)

    def _set_last_change(self, value: Any, fields: _Fields) -> None:
        if value is None or value == "":
            return
        if isinstance(value, str) and ZERO_DATE.fullmatch(value.strip()):
            fields.last_change = value.strip()  # any time of the record is newer
            return
        try:
            moment: str = self._converter.convert(value, datetime)
        except ConversionError as error:
            fields.refused.append(f"last_change: {self._reason(error)}")
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
                if self._options.blank != "clear":
                    return
                value = None
        given = value
        if value is not None:
            try:
                plain = self._convert(value, place)
                value, given = self._phone(plain, place) if place.is_phone and plain else (plain, plain)
            except ConversionError as error:
                fields.row.faults[place.path] = self._reason(error)
                value = given = _as_json(value)
        fields.add(place, value, given=given, is_default=is_default, replaces=replaces)

    def _phone(self, given: str, place: Place) -> tuple[str, str]:
        """Return a phone number as the API takes it, and as it is looked up: as given, or with the prefix it lacks."""
        number = self._converter_of(place).phone(given)
        if not lacks_prefix(given):
            return number, given
        if self._converter.phone_prefix:
            return number, number
        self._unprefixed += 1
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


class _Fields:
    """The fields of a row that is being checked.

    Attributes:
        row: the row so far.
        given: the values by dotted field as the row spells them, those of keys too.
        last_change: see `CheckedRow`.
        refused: why the row cannot be written.
    """

    def __init__(self) -> None:
        self.row = CheckedRow()
        self.given: dict[str, Any] = {}
        self.last_change: str | None = None
        self.refused: list[str] = []

    def add(self, place: Place, value: Any, *, given: Any, is_default: bool = False, replaces: bool = False) -> None:
        """Add a value.

        Args:
            place: where it goes.
            given: the value as the row spells it, by which a key is looked up.
            is_default: whether only a new record gets it.
            replaces: whether it replaces the value that the row has.
        """
        path = place.path
        if path in self.given and self.given[path] != given and not replaces:
            self.refused.append(f"{path}: two columns of the row lead to it")
        self.given[path] = given
        if place.role == "create":
            self.row.create_fields[path] = value
        elif place.role == "part":
            is_new = is_default and "." in path  # such as a property; a default `card_type_id` makes no card
            (self.row.new_parts if is_new else self.row.parts)[path] = value
        elif place.role == "field":
            *objects, name = path.split(".")
            parent = self.row.defaults if is_default else self.row.changes
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
