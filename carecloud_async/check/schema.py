"""Probes of fields, values and text that the models do not know; nothing of the records themselves is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final

from carecloud_async import models
from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, is_model
from carecloud_async.check.look import Look, NotSeen, Record
from carecloud_async.check.probe import Verdict, bad, probe, warn
from carecloud_async.models.field_docs import documented_fields
from carecloud_async.resources.lookup.by_name import list_model

__all__ = ["text", "unknown_fields", "unknown_values"]

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
    enum = next((one for one in named if isinstance(one, type) and issubclass(one, Enum)), None)
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
        scalars = (one for one in values if one not in (None, "") and not isinstance(one, bool | dict | list))
        if allowed is not None and any(str(one) not in allowed for one in scalars):
            yield "value", f"{path}.{key}"
        for one in values:
            if inner is not None and isinstance(one, dict):
                yield from _unknown(one, inner, f"{path}.{key}")


def _places(look: Look) -> tuple[int, Mapping[str, str]]:
    """Return the number of lists, and the places of unknown fields and values, and of damaged text, by their kind.

    Raises:
        NotSeen: there is no record.
    """
    names = {family.name for family in look.families}
    pages = [one for one in look.replies if one.items and one.name in names]
    if not pages:
        raise NotSeen("no record was seen")
    places: dict[str, set[str]] = {"text": {one.name for one in pages if "\ufffd" in str(one.items)}}
    for page in pages:
        for record in page.items[:_MOST_RECORDS]:
            for kind, place in _unknown(record, list_model(page.operation), page.name):
                places.setdefault(kind, set()).add(place)
    return len({one.name for one in pages}), {kind: _listed(some) for kind, some in places.items()}


def _listed(names: set[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(sorted(names)[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


@probe(
    "text",
    means="characters that cannot be read become U+FFFD, in reads and in exports",
    fix="tell the project's administrator: the API sends UTF-8",
)
async def text(look: Look) -> Verdict:
    """Texts are UTF-8."""
    lists, places = _places(look)
    return bad(f"characters are lost in {places['text']}") if places["text"] else f"the text of {lists} lists is UTF-8"


@probe(
    "unknown_fields",
    means="reads leave unknown fields out; JSON Lines exports keep them, Parquet has them in unknown_fields; update() "
    "sends them back unchanged, a plain replace would delete them",
    fix="update carecloud-async, and report the fields' names; read them with client.request or .raw()",
)
async def unknown_fields(look: Look) -> Verdict:
    """The models know all fields."""
    lists, places = _places(look)
    unknown = places.get("field")
    return warn(f"the models do not know {unknown}") if unknown else f"the models know every field of {lists} lists"


@probe(
    "unknown_values",
    means="reads and exports give an unknown value as it is; code that compares with the enum must not fail",
    fix="handle other values as unknown, update carecloud-async, and report the fields' names",
)
async def unknown_values(look: Look) -> Verdict:
    """The enums know all values."""
    lists, places = _places(look)
    unknown = places.get("value")
    seen = f"some values of {unknown}" if unknown else f"every value of {lists} lists"
    return warn(f"the enums do not know {seen}") if unknown else f"the enums know {seen}"
