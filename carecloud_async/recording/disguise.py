"""Which values of a record stay: what a model knows and does not call personal, as far as it is no free text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final

import attrs
from attrs import frozen

from carecloud_async import models
from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, is_model
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async.recording.values import Texts, is_date

#: Fields with codes of standards, such as of languages, and what such a code looks like.
_CODES: Final = {"country_code", "country_id", "language_code", "language_id", "currency_code", "data_type", "day_id"}
_CODE: Final = re.compile(r"[A-Za-z]{1,3}([-_][A-Za-z]{2})?|string|integer|boolean|number|float|date|datetime|list")
#: Lists of reference data: their names, codes and text ids stay, unless another value has a word of them.
_REFERENCE: Final = re.compile(r"currencies|countries|languages|\w*statuses|\w*states|\w*types")
_REFERENCE_FIELDS: Final = {"name", "code", "text_id"}
_REFERENCE_TEXT: Final = re.compile(r"[^\W\d](?:[^\W\d]|[ _-]){0,39}")
_TIMES: Final = re.compile(r"\d\d:\d\d(:\d\d)?|P(\d+[YMWD])+")
#: Names of fields that are kept: words, like those of the API.
_KEY: Final = re.compile(r"(?!.*\d{3})[a-z][a-z0-9]{0,30}(_[a-z0-9]{1,30}){0,7}")
_DATED: Final = ("_at", "_from", "_to", "_date", "_time", "last_change", "last_login")


@frozen(kw_only=True)
class Disguise:
    """Replaces values of records.

    Attributes:
        texts: replaces a value.
    """

    texts: Texts

    def record(self, name: str, record: JsonObject, model: Any) -> JsonObject:
        """Return a record with values in place of those that may say something of a person or of the project.

        Args:
            name: name of its list.
            record: the record.
            model: its model.
        """
        return self._object(record, model, is_reference=_REFERENCE.fullmatch(name) is not None)

    def _object(self, record: Mapping[str, Any], model: Any, *, is_reference: bool = False) -> JsonObject:
        hidden, hints = _hidden(model), core_types(model)
        made: JsonObject = {}
        for key, value in record.items():
            if key not in hints:
                made[self._key(key)] = self._unknown(value)
            elif key in hidden:
                made[key] = self._unknown(value)
            else:
                made[key] = self._known(key, value, hints[key], is_reference=is_reference)
        return made

    def _known(self, name: str, value: Any, hint: Any, *, is_reference: bool) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, list):
            inner = core_type(element_type(hint)) or hint
            return [self._known(name, item, inner, is_reference=is_reference) for item in value]
        if isinstance(value, dict):
            return self._object(value, hint) if is_model(hint) else self._unknown(value)
        if isinstance(value, str):
            return self._text(name, value, hint, is_reference=is_reference)
        counts = hint in {int, float} and not name.endswith(("_id", "_ids")) and not name.startswith("gps_")
        if counts:
            return value
        # An id, or a text sent as a number: what it would be as a text.
        return int(self.texts.text(str(value))) if isinstance(value, int) else self.texts.number(value)

    def _text(self, name: str, value: str, hint: Any, *, is_reference: bool) -> str:
        if is_date(value) and (hint is not str or name.endswith(_DATED)):
            return self.texts.moment(value)
        if hint in {int, float} and re.fullmatch(r"-?\d{1,9}(\.\d+)?", value):
            return value
        stays = (
            not value
            or _TIMES.fullmatch(value)
            or value in _enum_values()
            or (name in _CODES and _CODE.fullmatch(value))
            or (is_reference and name in _REFERENCE_FIELDS and _REFERENCE_TEXT.fullmatch(value))
        )
        if stays and not self.texts.has_seen(value):
            return value
        return self.texts.day(value) if is_date(value) else self.texts.text(value)

    def _unknown(self, value: Any) -> Any:
        """Return what stands for a value of which nothing is known: everything but blanks is made up."""
        if isinstance(value, bool):
            return self.texts.flag(value)
        if isinstance(value, int | float):
            return self.texts.number(value)
        if isinstance(value, str):
            return self.texts.day(value) if is_date(value) else self.texts.text(value)
        if isinstance(value, list):
            return [self._unknown(item) for item in value]
        if isinstance(value, dict):  # keys may be data: those that no model has are made up
            return {
                key if key in _field_names() else self.texts.text(key): self._unknown(item)
                for key, item in value.items()
            }
        return value

    def _key(self, key: str) -> str:
        return key if _KEY.fullmatch(key) and not self.texts.has_seen(key) else self.texts.text(key)


@cache
def _hidden(model: Any) -> frozenset[str]:
    """Return the fields of a model that are personal or secret, or of which it knows no type."""
    names, types = api_names(model), core_types(model)
    fields = {names[field.name]: field for field in attrs.fields(model)}
    marked = {name for name, field in fields.items() if field.metadata.get("personal") or field.metadata.get("secret")}
    return frozenset(marked | {name for name, hint in types.items() if hint is Any})


@cache
def _models() -> tuple[Any, ...]:
    return tuple(getattr(models, name) for name in dir(models))


@cache
def _field_names() -> frozenset[str]:
    return frozenset(name for model in _models() if is_model(model) for name in core_types(model))


@cache
def _enum_values() -> frozenset[str]:
    enums = [kind for kind in _models() if isinstance(kind, type) and issubclass(kind, StrEnum)]
    return frozenset(member.value for kind in enums for member in kind)
