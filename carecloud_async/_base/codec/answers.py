"""One answer: its data as plain values or in a type, and the refusals that CareCloud itself wrote.

msgspec decodes the whole body straight into the models. What it refuses is read by `misfits`, with the same result;
broken JSON is repaired first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import msgspec

from carecloud_async._base.codec.fields import element_type, has_renamed_fields, is_model, typed_cache
from carecloud_async._base.codec.json_text import Malformed, json_kind, load

__all__ = [
    "NO_SUCH_INTERFACE",
    "REFUSED",
    "convert",
    "data",
    "data_of",
    "has_data",
    "member",
    "record",
    "refusal",
    "require_no_error",
    "structure",
    "success_refusal",
    "value_decoder",
]

T = TypeVar("T")

#: What a msgspec decoder raises: its own errors and UnicodeDecodeError are ValueErrors.
REFUSED = (ValueError, RecursionError)

#: The code of the refusal of an identity of the other interface, as `type` or `exception`.
NO_SUCH_INTERFACE = "interface_not_allowed_exception"
#: The members of the API's `error`. The other JSON errors of gateways have an `error` too, as text or with members of
#: their own (`code`, `message`, `status`).
_MEMBERS = frozenset({"type", "exception", "title", "detail", "error_data"})
#: The beginning of a body in which `"error"` must stand for a success status to count as a refusal.
_HEAD = 64


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
def _record_decoder(into: Any) -> msgspec.json.Decoder[Any] | None:
    """Return the decoder of `{"data": into}`, or `None` if msgspec does not support that type."""
    if value_decoder(into) is None:
        return None
    return msgspec.json.Decoder(msgspec.defstruct("RecordEnvelope", [("data", into)], gc=False))


@typed_cache
def _untyped_decoder() -> msgspec.json.Decoder[Any]:
    """Return the decoder of `{"data": anything}`; `UNSET` of msgspec where there is no `data`."""
    fields: list[Any] = [("data", Any, msgspec.UNSET)]
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", fields, gc=False))


def data(body: bytes) -> Any:
    """Return the value of `data`, as plain dicts, lists and scalars.

    Args:
        body: the whole body of an answer.

    Raises:
        Malformed: the body is no JSON object, or has no `data`.
    """
    try:
        found = _untyped_decoder().decode(body).data
    except REFUSED:
        found = msgspec.UNSET
    return data_of(load(body)) if found is msgspec.UNSET else found


def data_of(answer: Any) -> Any:
    """Return the value of `data` in an answer as plain values.

    Raises:
        Malformed: there is none.
    """
    if not isinstance(answer, dict):
        raise Malformed(f"the answer is {json_kind(answer)}, not an object")
    if "data" not in answer:
        raise Malformed("the answer has no `data`")
    return answer["data"]


def has_data(body: bytes) -> bool:
    """Return whether an answer has the form of the API's: an object with `data`, whatever it is."""
    try:
        data(body)
    except Malformed:
        return False
    return True


def require_no_error(body: bytes) -> None:
    """Check an answer without data: it is blank, empty JSON, or the API's envelope without an `error`.

    Args:
        body: the whole body of an answer with a success status.

    Raises:
        Malformed: the body is not JSON, holds an error, or is not the API's.
    """
    if not body.removeprefix(b"\xef\xbb\xbf").strip():
        return
    answer = load(body)
    if isinstance(answer, dict):
        if answer.get("error") not in (None, False):
            raise Malformed("the answer holds an error")
        if "data" in answer or answer.keys() <= {"error"}:
            return
    elif answer is None or answer == []:
        return
    raise Malformed("the answer is JSON, but not the API's")


def record(body: bytes, into: type[T]) -> T:
    """Decode the one record under `data`.

    Args:
        body: the whole body of an answer.
        into: the model class.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or `data` is not an object.
    """
    decoder = _record_decoder(into)
    if decoder is not None:
        try:
            found: T = decoder.decode(body).data
        except REFUSED:
            pass
        else:
            return found
    value = data(body)
    if not isinstance(value, list if element_type(into) is not None else dict):
        wanted = "an object" if element_type(into) is None else "a list"
        raise Malformed(f"`data` is {json_kind(value)}, not {wanted}")
    return structure(value, into)


def member(body: bytes, *, name: str, into: Any, required: bool = True) -> Any:
    """Decode the one value with a name in `data`.

    Args:
        body: the whole body of an answer.
        name: the name under `data`.
        into: a model class, a tuple of one, or a scalar type.
        required: whether it must be present; otherwise a missing one is `None`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the value is missing or of another kind.
    """
    found = data(body)
    value = found.get(name) if isinstance(found, dict) else None
    is_missing = value is None or (value == "" and name.endswith("_id"))
    made = None if is_missing else convert(value, into)
    if made is None and required:
        raise Malformed(f"the answer holds no {name}")
    return made


def convert(value: Any, into: type[T]) -> T:
    """Build a model from plain values as `structure` does, by msgspec if they fit exactly.

    Args:
        value: what JSON gave: dicts, lists, scalars.
        into: as for `structure`.

    Raises:
        Malformed: as from `structure`.
    """
    if type(value) is into:
        return value
    if type(value) is dict and is_model(into) and value_decoder(into) is not None:
        try:
            return msgspec.convert(value, into)
        except REFUSED:
            pass
    return structure(value, into)


def structure(value: Any, into: type[T]) -> T:
    """Build a model from plain values by the tolerant rules; an object always succeeds for the SDK's models.

    Args:
        value: what JSON gave: dicts, lists, scalars. Nested instances of the right class are taken as they are.
        into: the model class, or `list[Model]` or `tuple[Model, ...]`.

    Raises:
        Malformed: a field that has no default is missing; the SDK's own read models never raise it.
    """
    return cast("T", _tolerant_structure()(value, into))


@typed_cache
def _tolerant_structure() -> Callable[[Any, Any], Any]:
    from carecloud_async._base.codec import misfits  # a start has nothing to mend: imported on first use

    return misfits.structure


def refusal(body: bytes) -> Mapping[str, Any] | None:
    """Return the API's `error` in the body of an answer; `None` if CareCloud did not write it.

    The API sends `{"error": {"type", "exception", "title", "detail", "error_data"}}`; a 403 lacks `exception`. One of
    these members is enough, and an empty object will do.

    Args:
        body: the whole body.
    """
    try:
        document = load(body)
    except Malformed:
        return None
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or (error and _MEMBERS.isdisjoint(error)):
        return None
    return error


def success_refusal(body: bytes) -> Mapping[str, Any] | None:
    """Return the `error` of an answer with a success status as `refusal` does; a success costs no parsing."""
    return refusal(body) if b'"error"' in body[:_HEAD] else None
