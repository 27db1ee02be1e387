"""One answer: its data as plain values, a record, a list or any type, and the refusals that CareCloud itself wrote.

msgspec decodes the whole body straight into the models. What it refuses is mended by `misfits` and read again, with the
same result; broken JSON is repaired first.

The SDK's models are read by these tolerant rules everywhere. The other types of `request(into=…)` (attrs classes,
dataclasses, msgspec structs, TypedDicts, pydantic models, lists of all these) are checked before the call and read
exactly: a misfit is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast, get_args, get_origin

import msgspec

from carecloud_async._base.codec.fields import has_renamed_fields, is_model, is_read_model, typed_cache
from carecloud_async._base.codec.json_text import REFUSED, Malformed, RawJson, json_kind, load, members
from carecloud_async.errors import ConfigurationError
from carecloud_async.fixes import INTO, LIST_KEY

T = TypeVar("T")

#: The code of the refusal of an identity of the other interface, as `type` or `exception`.
NO_SUCH_INTERFACE = "interface_not_allowed_exception"
#: The members of the API's `error`. The other JSON errors of gateways have an `error` too, as text or with members of
#: their own (`code`, `message`, `status`).
_MEMBERS = frozenset({"type", "exception", "title", "detail", "error_data"})


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


def data(body: bytes) -> Any:
    """Return the value of `data` in a body, as plain dicts, lists and scalars.

    Raises:
        Malformed: the body is no JSON object, or has no `data`.
    """
    return data_of(load(body))


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


def raw_data(body: bytes) -> RawJson:
    """Return the object under `data` as the server wrote it.

    Raises:
        Malformed: the body is no JSON object, or has no object under `data`.
    """
    if not isinstance(data(body), dict):  # which also distinguishes the kinds of broken bodies
        raise Malformed("data is not an object")
    return members(body.removeprefix(b"\xef\xbb\xbf"))["data"]


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
            made: T = decoder.decode(body).data
        except REFUSED:
            pass
        else:
            return made
    value = data(body)
    if not isinstance(value, dict):
        raise Malformed(f"`data` is {json_kind(value)}, not an object")
    return mend(value, into)


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
    answer = data(body)
    value = answer.get(name) if isinstance(answer, dict) else None
    is_missing = value is None or (value == "" and name.endswith("_id"))
    made = None if is_missing else structure(value, into)
    if made is None and required:
        raise Malformed(f"the answer holds no {name}")
    return made


def structure(value: Any, into: type[T]) -> T:
    """Build a model from plain values: by msgspec if they fit exactly, else by the tolerant rules, as `misfits` does.

    Args:
        value: what JSON gave: dicts, lists, scalars. Nested instances of the right class are taken as they are.
        into: a model class, `list[Model]`, `tuple[Model, ...]` or a scalar type.

    Raises:
        Malformed: a value does not fit; the SDK's own read models never raise it.
    """
    if type(value) is into:
        return value
    if type(value) is dict and is_model(into) and value_decoder(into) is not None:
        try:
            return msgspec.convert(value, into)
        except REFUSED:
            pass
    return mend(value, into)


def mend(value: Any, into: type[T], *, problem: str = "") -> T:
    """Build a model from plain values by the tolerant rules; see `structure`, and `misfits` for the problem."""
    from carecloud_async._base.codec import misfits  # a start has nothing to mend: imported on first use

    return cast("T", misfits.structure(value, into, problem=problem))


def list_of(value: Any, key: str, *, offset: int = 0) -> list[Any]:
    """Return the entries of the list in `data`.

    A page may leave its list out if it is empty. `"data": []` says so itself: it is how PHP writes an empty object.
    Elsewhere `total_items` must say that no record comes at this offset; without a readable total nothing distinguishes
    an empty list from an answer to another question.

    Args:
        value: the value of `data`.
        key: the name of the list; empty for the one list of an answer that has none.
        offset: where the page begins.

    Raises:
        Malformed: there is no list, or it is of another kind.
    """
    if isinstance(value, list) and not value:
        return []
    if not isinstance(value, dict):
        raise Malformed(f"`data` is {json_kind(value)}, not an object")
    if key in value:
        return _entries(value[key], key)
    total = parse_total(value.get("total_items"))
    holds_more = any(isinstance(member, dict | list) and member for member in value.values())
    if holds_more or total is None or total > offset:
        missing = f"no `{key}`" if key else "no list"
        raise Malformed(f"`data` has {missing}" + ("" if total is None else f", though total_items is {total}"))
    return []


def only_list(value: Any) -> str:
    """Return the name of the one list under `data`; empty if there is none, which `list_of` judges.

    Raises:
        Malformed: there are several, which the message names, or `data` can hold none.
    """
    if isinstance(value, list) and not value:
        return ""
    if not isinstance(value, dict):
        raise Malformed(f"`data` is {json_kind(value)}, not an object")
    names: list[str] = [name for name, member in value.items() if isinstance(member, list)]
    if len(names) == 1:
        return names[0]
    if names:
        raise Malformed(f"`data` has several lists ({', '.join(sorted(names)[:10])})", fix=LIST_KEY)
    return ""


def parse_total(value: Any) -> int | None:
    """Read `total_items`: a whole number, also as text; anything else is `None`."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(2**63)) else None
    elif isinstance(value, (float, msgspec.Raw)):
        number = float(bytes(value)) if isinstance(value, msgspec.Raw) else value
        value = int(number) if number.is_integer() else None
    return value if type(value) is int and value >= 0 else None


def _entries(value: Any, key: str) -> list[Any]:
    if value is None or value == "":
        return []
    if isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
        return list(value.values())
    if isinstance(value, list):
        return value
    raise Malformed(f"`{key}` is {json_kind(value)}, not a list")


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


#: Messages of msgspec that name fields and kinds, and never quote a value.
_QUOTES_NOTHING = ("Expected `", "Object missing required field `")


@typed_cache
def target_reader(into: Any) -> Callable[[bytes], Any]:
    """Return the function that reads a body's `data` into a type; it raises `Malformed` for data that does not fit.

    A `list[…]` is read from `data` itself, or from the one list under it.

    Raises:
        ConfigurationError: nothing can be read into the type.
    """
    if is_read_model(into):
        return lambda body: record(body, into)
    read = value_reader(into)
    if get_origin(into) is list or into is list:
        return lambda body: read(_list_in(data(body)))

    def read_data(body: bytes) -> Any:
        value = data(body)
        if value is None:  # a type such as `Card | None` would take it, and `into=` never gives `None`
            raise Malformed("`data` is null")
        return read(value)

    return read_data


@typed_cache
def value_reader(into: Any) -> Callable[[Any], Any]:
    """Return the function that reads plain JSON values into a type; see `target_reader`."""
    read = _exact_reader(into)
    if is_read_model(into) or is_read_model(_element(into)):
        return read
    return lambda value: read(_without_zero_dates(value))


@typed_cache
def _exact_reader(into: Any) -> Callable[[Any], Any]:
    """Return the function that reads values without zero dates; only the SDK's models may hold some."""
    element = _element(into)
    if is_read_model(into):
        return lambda value: _model(value, into)
    if is_read_model(element):
        return lambda values: [_model(value, element) for value in values if value is not None]
    if _is_pydantic(into) or _is_pydantic(element):
        return _pydantic_reader(into)
    _check(into)

    def read(value: Any) -> Any:
        try:
            return msgspec.convert(value, into, strict=False)
        except REFUSED as error:
            text = str(error)
        known = text.startswith(_QUOTES_NOTHING)
        where = text.rpartition(" - at ")[2] if " - at " in text else "$"
        raise Malformed(f"`data` does not fit {_type_name(into)}: {text if known else f'at {where}'}", fix=INTO)

    return read


def read_raws(raws: Sequence[bytes | msgspec.Raw], into: Any) -> list[Any]:
    """Read records, none of them null, exactly into a type of the user's.

    Raises:
        Malformed: one does not fit.
    """
    exact, without_zero_dates = _exact_reader(into), value_reader(into)
    items = []
    for raw in raws:
        # A search for zero dates in the text costs a fiftieth of checking each value. An escape may hide one.
        text = bytes(raw)
        read = without_zero_dates if b"0000-00-00" in text or b"\\u00" in text else exact
        items.append(read(load(raw)))
    return items


def _element(into: Any) -> Any:
    """Return the type of the elements of a `list[…]`; `None` for another type."""
    return get_args(into)[0] if get_origin(into) is list else None


def _list_in(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list_of(value, only_list(value))


def _model(value: Any, into: Any) -> Any:
    if not isinstance(value, dict):
        raise Malformed(f"a record is {json_kind(value)}, not an object")
    return structure(value, into)


def _is_pydantic(into: Any) -> bool:
    return isinstance(into, type) and any(
        cls.__name__ == "BaseModel" and cls.__module__.startswith("pydantic.") for cls in into.__mro__
    )


def _pydantic_reader(into: Any) -> Callable[[Any], Any]:
    import pydantic  # the type is one of its models, so pydantic is loaded

    adapter = pydantic.TypeAdapter(into)

    def read(value: Any) -> Any:
        try:
            return adapter.validate_json(msgspec.json.encode(value))
        except pydantic.ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "$"
        raise Malformed(f"`data` does not fit {_type_name(into)}: {first['type']} at {where}", fix=INTO)

    return read


def _without_zero_dates(value: Any) -> Any:
    """Return JSON values with null for the zero dates of MySQL, which mean that there is none."""
    if isinstance(value, str):
        return None if value.startswith("0000-00-00") else value
    if isinstance(value, dict):
        return {name: _without_zero_dates(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_zero_dates(member) for member in value]
    return value


def _check(into: Any) -> None:
    try:
        msgspec.json.schema(into)  # a decoder alone takes types for which it would need a hook
        msgspec.json.Decoder(into)
    except (TypeError, NameError, AttributeError) as error:
        raise _unusable(into) from error


def _unusable(into: Any) -> ConfigurationError:
    """Return the error of a type that nothing can be read into."""
    return ConfigurationError(
        f"into cannot be {_type_name(into)}: give an attrs class, a dataclass, a msgspec struct, a TypedDict, a "
        "pydantic model or a list[…] of one, whose fields are all such types too"
    )


def _type_name(into: Any) -> str:
    """Name a type for an error."""
    if isinstance(into, type) and get_origin(into) is None:
        return into.__name__
    return str(into) if get_origin(into) is not None else f"an object of type {type(into).__name__}"
