"""The compiled msgspec decoders of `{"data": …}`, one per type and result key."""

from __future__ import annotations

from typing import Any

import msgspec

from carecloud_async._base.codec.fields import has_renamed_fields
from carecloud_async._base.codec.typed_cache import typed_cache

__all__ = [
    "MISSING",
    "key_decoder",
    "page_decoder",
    "raw_page_decoder",
    "record_decoder",
    "untyped_decoder",
    "value_decoder",
]

#: The value for a body without `data`.
MISSING = msgspec.UNSET


@typed_cache
def value_decoder(into: Any) -> msgspec.json.Decoder[Any] | None:
    """Return the decoder of one bare `into`, or `None` if msgspec cannot read that type correctly."""
    if has_renamed_fields(into):
        return None
    try:
        return msgspec.json.Decoder(into)
    except TypeError:
        return None


@typed_cache
def record_decoder(into: Any) -> msgspec.json.Decoder[Any] | None:
    """Return the decoder of `{"data": into}`, or `None` if msgspec does not support that type."""
    if value_decoder(into) is None:
        return None
    return msgspec.json.Decoder(msgspec.defstruct("RecordEnvelope", [("data", into)], gc=False))


@typed_cache
def page_decoder(into: Any, key: str) -> msgspec.json.Decoder[Any] | None:
    """Return the decoder of `{"data": {key: [into, …], "total_items": …}}`, or `None` for a type unknown to msgspec."""
    if value_decoder(into) is None:
        return None
    listing = msgspec.defstruct(
        "PageData",
        [("items", list[into]), ("total_items", Any, None)],
        rename={"items": key},
        gc=False,
    )
    return msgspec.json.Decoder(msgspec.defstruct("PageEnvelope", [("data", listing)], gc=False))


@typed_cache
def raw_page_decoder(key: str) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a page that returns each record as unparsed JSON."""
    decoder = page_decoder(msgspec.Raw, key)
    if decoder is None:  # pragma: no cover  (msgspec knows its own type)
        raise TypeError("msgspec does not know Raw")
    return decoder


@typed_cache
def key_decoder(name: str) -> msgspec.json.Decoder[Any]:
    """Return the decoder of an object's text or number of that name, as `key`; `None` if it is missing."""
    fields: list[Any] = [("key", str | int | None, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Keyed", fields, rename={"key": name}, gc=False))


@typed_cache
def untyped_decoder() -> msgspec.json.Decoder[Any]:
    """Return the decoder of `{"data": anything}`; `MISSING` where there is no `data`."""
    fields: list[Any] = [("data", Any, MISSING)]
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", fields, gc=False))
