"""Probes of fields and values that the models do not know; no record is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final

from carecloud_async import models
from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, is_model
from carecloud_async.check.look import Look, NotSeen, Record
from carecloud_async.check.probe import Verdict, warn
from carecloud_async.models.field_docs import documented_fields
from carecloud_async.resources.lookup.by_name import list_model

#: Keys that are shown: words, like the API's field names. An id or a person's name as a key is hidden.
_WORDS: Final = re.compile(r"(?!.*[0-9]{3})[a-z]{1,20}(_[a-z0-9]{1,20}){0,7}")
_NAMES: Final = re.compile(r"`(\w+)`")
#: Fields whose descriptions and examples disagree about the values.
_DISPUTED: Final = {"Status.qualification_type", "Voucher.reward_group"}
_MOST_SHOWN: Final = 20
#: The records of a page that are looked at.
_MOST_RECORDS: Final = 200


@cache
def _fields_of(into: type) -> Mapping[str, tuple[frozenset[str] | None, Any]]:
    """Return the known values of each field of a model, and the model of the objects within, by its name in the API."""
    docs, types = documented_fields(into), core_types(into)
    return {
        api: (None if f"{into.__name__}.{name}" in _DISPUTED else _values(docs.get(name, "")), _inner(types[api]))
        for name, api in api_names(into).items()
    }


def _values(doc: str) -> frozenset[str] | None:
    """Return the known values of a field as text, by the enum that its description names."""
    named = (getattr(models, name, None) for name in _NAMES.findall(doc))
    enum = next((cls for cls in named if isinstance(cls, type) and issubclass(cls, Enum)), None)
    return None if enum is None else frozenset(str(member.value) for member in enum)


def _inner(core: Any) -> Any:
    return core if core is None or is_model(core) else _inner(core_type(element_type(core)))


def _unknown(record: Record, into: type, path: str) -> Iterator[tuple[str, str]]:
    """Yield the places of what a model does not know, each with its kind."""
    fields = _fields_of(into)
    for key, value in record.items():
        values = value if isinstance(value, list) else [value]
        if key not in fields:
            yield "field", f"{path}.{key if _WORDS.fullmatch(key) else '(a name that is not shown)'}"
            continue
        allowed, inner = fields[key]
        scalars = (item for item in values if item not in (None, "") and not isinstance(item, bool | dict | list))
        if allowed is not None and any(str(item) not in allowed for item in scalars):
            yield "value", f"{path}.{key}"
        for item in values:
            if inner is not None and isinstance(item, dict):
                yield from _unknown(item, inner, f"{path}.{key}")


def _unknown_to_models(look: Look, *, kind: str, what: str) -> Verdict:
    """The models know all fields, or the enums all values."""
    pages = [reply for reply in look.replies if reply.items and reply.name in {family.name for family in look.families}]
    if not pages:
        raise NotSeen("no record was seen")
    records = ((record, page) for page in pages for record in page.items[:_MOST_RECORDS])
    unknown = {pair for record, page in records for pair in _unknown(record, list_model(page.operation), page.name)}
    places = sorted(place for sort, place in unknown if sort == kind)
    if not places:
        return f"{what} known in {len({page.name for page in pages})} lists"
    more = f" and {len(places) - _MOST_SHOWN} more" if len(places) > _MOST_SHOWN else ""
    return warn(f"not {what} known: {', '.join(places[:_MOST_SHOWN])}{more}")


async def unknown_fields(look: Look) -> Verdict:
    """The models know all fields."""
    return _unknown_to_models(look, kind="field", what="every field is")


async def unknown_values(look: Look) -> Verdict:
    """The enums know all values."""
    return _unknown_to_models(look, kind="value", what="every value of an enumeration is")
