"""JSON text as it comes, broken JSON too: bad UTF-8, lone surrogates, NaN, numbers out of range, a BOM.

msgspec refuses broken JSON; the standard library reads it when its text is repaired. What cannot be
read is `Malformed`; the reason never quotes the body.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from carecloud_async._base.codec.field_warnings import note_broken_text

__all__ = [
    "HTML",
    "BrokenJson",
    "JsonObject",
    "JsonValue",
    "Malformed",
    "json_kind",
    "load",
    "load_spelled",
    "read_spelled",
    "sound_text",
]

JsonValue: TypeAlias = Any
"""Any JSON value: an object (`dict`), a list, text, a number, a boolean or `None`."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object, as plain Python values."""

HTML = "the body looks like HTML, not JSON"


class Malformed(ValueError):  # noqa: N818  (read as `codec.Malformed`; users of the SDK get a ResponseError)
    """A body or value does not have the API's form; the text is a short reason without content."""


class BrokenJson(Malformed):
    """The body is neither JSON nor HTML: it was truncated or damaged in transit. A retry may help."""


def json_kind(value: object) -> str:
    """Name the JSON kind of a Python value, with its article: `an object`, `a list`, `null`.

    A `msgspec.Raw` is a number, see `load_spelled`.
    """
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    return "a number" if isinstance(value, (int, float, msgspec.Raw)) else "of an unknown kind"


_untyped = msgspec.json.Decoder()

_BOM = b"\xef\xbb\xbf"

#: Any escape in JSON text; the group holds a surrogate without its other half.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)

#: More digits than this in one integer cost Python quadratic time; no field of the API has so many.
_MAX_DIGITS = 400


def load(body: bytes | msgspec.Raw) -> Any:
    """Read JSON into plain Python values, even if it is broken.

    Args:
        body: the bytes of one JSON document.

    Returns:
        dicts, lists and scalars.

    Raises:
        Malformed: it is not JSON at all, or is nested too deeply.
    """
    try:
        return _untyped.decode(body)
    except (ValueError, RecursionError):
        pass  # raised below, outside this block: the error's context would keep the whole body
    return _load_broken(bytes(body))


def read_spelled(digits: str) -> msgspec.Raw:
    """Keep a number with a fraction or an exponent as JSON: `1.10`, and all digits that a float would not have."""
    return msgspec.Raw(digits.encode())


_spelled = msgspec.json.Decoder(float_hook=read_spelled)


def load_spelled(body: bytes | msgspec.Raw) -> Any:
    """Read JSON as `load` does, but keep the spelling of numbers, for values that are written as JSON again.

    Args:
        body: the bytes of one JSON document.

    Returns:
        dicts, lists and scalars; a number with a fraction or an exponent is a `msgspec.Raw`.

    Raises:
        Malformed: it is not JSON at all, or is nested too deeply.
    """
    try:
        return _spelled.decode(body)
    except (ValueError, RecursionError):
        pass  # as in `load`
    return _load_broken(bytes(body), parse_float=read_spelled)


def sound_text(body: bytes) -> bytes:
    """Replace broken text without reading it as JSON, so that everything else keeps its spelling.

    Args:
        body: the bytes of one JSON document.

    Returns:
        valid UTF-8 without a BOM, U+FFFD instead of bad bytes and lone surrogates; the same object if it was valid.
    """
    given = body.removeprefix(_BOM)
    text = given.decode("utf-8", "replace")
    mended = _ESCAPE.sub(lambda found: r"\ufffd" if found[1] else found[0], text).encode()
    if mended != given:
        note_broken_text()
    return body if mended == body else mended


def _load_broken(body: bytes, *, parse_float: Callable[[str], Any] | None = None) -> Any:
    """Read broken JSON with the standard library; invalid parts become U+FFFD or null.

    Args:
        body: the bytes of one JSON document.
        parse_float: reads a number with a fraction or an exponent; as a float if omitted, or null out of its range.

    Returns:
        dicts, lists and scalars that encode to valid JSON again.

    Raises:
        Malformed: it is no JSON at all, or is nested too deeply.
    """
    text = sound_text(body).decode()
    try:
        return json.loads(
            text, parse_int=_int, parse_float=parse_float or _float, parse_constant=_nothing, strict=False
        )
    except RecursionError:
        too_deep = True
    except ValueError:
        too_deep = False
    if too_deep:
        raise Malformed("the body is nested too deeply")
    reason = _why_not_json(body)
    raise Malformed(reason) if reason == HTML else BrokenJson(reason)


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _nothing(_constant: str) -> None:
    return None


def _why_not_json(body: bytes) -> str:
    """Describe a body that is not JSON."""
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return "the body is empty"
    if start.startswith(b"<"):
        return HTML
    return "the body is not JSON"
