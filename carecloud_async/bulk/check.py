"""Check rows without the server: columns become fields, cells become values, with all faults of a row at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from carecloud_async.bulk.columns import Columns, Place
from carecloud_async.bulk.convert import ConversionError, Converter
from carecloud_async.bulk.family import Key
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.rows import CheckedRow
from carecloud_async.bulk.sources.source import SourceRow

__all__ = ["RowChecker"]

#: Bytes of a key in a URL; servers take lines of 8 kB by default.
_LONGEST_KEY: Final = 4000
_TO_THE_MINUTE: Final = re.compile(r"[\d. -]+[ T]\d{1,2}:\d{2}")


class RowChecker:
    """Checks the rows of one source.

    Args:
        columns: where columns lead.
        key: the key that names a record; `None` if every row is created.
        options: the options.
        converter: converts values.
        blanks: whether an empty value is a blank cell, as in files of columns; in JSON null is null.
    """

    def __init__(
        self, columns: Columns, *, key: Key | None, options: BulkWriteOptions, converter: Converter, blanks: bool
    ) -> None:
        self._columns = columns
        self._key = key
        self._converter = converter
        self._blanks = blanks
        self._clear = options.blank == "clear"
        self._if_unchanged = options.if_unchanged
        self._defaults = {
            name: (columns.place(name, is_default=True), value) for name, value in options.defaults.items()
        }

    def check(self, row: SourceRow) -> CheckedRow:
        """Check one row.

        Raises:
            BadSourceError: it names a column that leads nowhere.
        """
        if row.fault is not None:
            return CheckedRow(refused=(row.fault,))
        found = _Found()
        self._take(row.values, "", found)
        for place, value in self._defaults.values():
            if place.path not in found.given:
                self._set(place, value, found)
        key = self._key_of(found)
        reasons: tuple[str, ...] = ()
        if self._key is not None and key is None:
            normal = self._key.normal
            missing = [path for path in self._key.paths if not normal(_text(found.given.get(path)))]
            reasons = tuple(f"{path}: the row has no key" for path in missing)
        elif key is not None and len(quote("".join(key), errors="replace")) > _LONGEST_KEY:
            key, reasons = None, (f"{self._key_name}: the key is too long to be looked up",)
        for part in self._columns.parts_beside:
            values = {path: found.beside.get(path) for path in part.paths}
            if part.name != self._key_name and all(values.values()):
                found.parts |= values  # of a known record; a create has them beside the record
        refused = (*reasons, *found.refused)
        return CheckedRow(
            key=key,
            changes=found.changes,
            beside=found.beside,
            faults=found.faults,
            opaque=found.opaque,
            parts=found.parts,
            last_change=found.last_change,
            refused=(*refused, *(f"{path}: {reason}" for path, reason in found.faults.items())) if refused else (),
        )

    def _take(self, values: Mapping[str, Any], prefix: str, found: _Found) -> None:
        for column, value in values.items():
            name = f"{prefix}{column}"
            if isinstance(value, Mapping) and self._columns.is_object(name):
                self._take(value, f"{name}.", found)
                continue
            place = self._columns.place(name)
            if place.path == "last_change" and self._if_unchanged:
                self._keep_last_change(value, found)
            if place.role != "ignored":
                self._set(place, value, found)

    def _keep_last_change(self, value: Any, found: _Found) -> None:
        if value is None or value == "":
            return
        try:
            moment = self._converter.moment(value, None)
        except ConversionError as error:
            found.refused.append(f"last_change: {error}")
            return
        has_no_seconds = isinstance(value, str) and _TO_THE_MINUTE.fullmatch(value.strip())
        found.last_change = moment[: len("YYYY-MM-DD HH:MM")] if has_no_seconds else moment

    def _set(self, place: Place, value: Any, found: _Found) -> None:
        if place.role == "opaque":
            if value is not None and value != "":
                found.opaque[place.path] = _as_json(value)
            return
        if (value is None or value == "") and (self._blanks or place.role != "field"):
            if not self._clear or place.role != "field":
                return
            value = None
        if value is None:
            found.put(place, None)
            return
        try:
            made = self._converter.convert(value, place.hint, enumeration=place.enumeration)
        except ConversionError as error:
            found.faults[place.path] = str(error)
            made = _as_json(value)
        found.put(place, made)

    @property
    def _key_name(self) -> str:
        return "" if self._key is None else self._key.paths[-1]

    def _key_of(self, found: _Found) -> tuple[str, ...] | None:
        if self._key is None:
            return None
        values = tuple(_text(found.given.get(path)) for path in self._key.paths)
        return values if all(map(self._key.normal, values)) else None


class _Found:
    """What was found in a row."""

    def __init__(self) -> None:
        self.changes: dict[str, Any] = {}
        self.beside: dict[str, Any] = {}
        self.faults: dict[str, str] = {}
        self.opaque: dict[str, Any] = {}
        self.parts: dict[str, Any] = {}
        self.given: dict[str, Any] = {}
        self.last_change: str | None = None
        self.refused: list[str] = []

    def put(self, place: Place, value: Any) -> None:
        if place.path in self.given and self.given[place.path] != value:
            self.refused.append(f"{place.path}: two columns of the row lead to it")
        self.given[place.path] = value
        if place.role == "beside":
            self.beside[place.path] = value
        elif place.role == "part":
            self.parts[place.path] = value
        elif place.role == "field":
            *objects, name = place.path.split(".")
            within = self.changes
            for part in objects:
                inner = within.setdefault(part, {})
                within = inner if isinstance(inner, dict) else within.setdefault(part, {})
            within[name] = value


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _as_json(value: Any) -> Any:
    """Return what cannot be converted as plain JSON, to be compared with what the record holds."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
    return value
