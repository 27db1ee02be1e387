"""JSON text as it comes: broken text is repaired, and values that are sent back are cut out without being read.

msgspec refuses bad UTF-8, lone surrogates, NaN, numbers out of range and a BOM; the standard library reads such JSON
when its text is repaired. What cannot be read is `Malformed`; the reason never quotes the body.

A number that is read into a float and written again may change (`0.12345678901234567890`, `1e400`), and a text that is
not Unicode cannot be written at all. What is sent back to the server is therefore its own JSON, as `RawJson`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from carecloud_async._base.codec.fields import FieldWarning
from carecloud_async._base.runtime.secret_text import SecretBytes
from carecloud_async.fixes import Fix

JsonValue: TypeAlias = Any
"""Any JSON value: an object (`dict`), a list, text, a number, a boolean or `None`."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object, as plain Python values."""

HTML = "the body looks like HTML, not JSON"

#: What a msgspec decoder raises: its own errors and UnicodeDecodeError are ValueErrors.
REFUSED = (ValueError, RecursionError)


class Malformed(ValueError):  # noqa: N818  (read as `codec.Malformed`; users of the SDK get a ResponseError)
    """A body or value does not have the API's form, or not that of the caller's type.

    Args:
        reason: a short reason without content.
        fix: what the caller can do about it, where it is not the server's fault.
    """

    def __init__(self, reason: str, *, fix: Fix | None = None) -> None:
        super().__init__(reason)
        self.fix = fix


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


_NOT_JSON, _TOO_DEEP = "the body is not JSON", "the body is nested too deeply"
_broken_text = FieldWarning("answers", "text")
_untyped = msgspec.json.Decoder()

_BOM = b"\xef\xbb\xbf"

#: Any escape in JSON text; the group holds a surrogate without its other half.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)

#: More digits than this in one integer cost Python quadratic time; no field of the API has so many.
_MAX_DIGITS = 400


def load(body: bytes | msgspec.Raw) -> Any:
    """Read JSON into dicts, lists and scalars, even if it is broken.

    Raises:
        Malformed: it is not JSON at all, or is nested too deeply.
    """
    return _load(body, _untyped, _float)


def read_spelled(digits: str) -> msgspec.Raw:
    """Keep a number with a fraction or an exponent as JSON: `1.10`, and all digits that a float would not have."""
    return msgspec.Raw(digits.encode())


_spelled = msgspec.json.Decoder(float_hook=read_spelled)


def load_spelled(body: bytes | msgspec.Raw) -> Any:
    """Read JSON as `load` does, but keep numbers as `read_spelled` does, for values that are written as JSON again.

    Raises:
        Malformed: as from `load`.
    """
    return _load(body, _spelled, read_spelled)


def _load(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[Any], parse_float: Callable[[str], Any]) -> Any:
    try:
        return decoder.decode(body)
    except REFUSED:
        pass  # raised below, outside this block: the error's context would keep the whole body
    text = sound_text(bytes(body)).decode()
    try:
        return json.loads(text, parse_int=_int, parse_float=parse_float, parse_constant=_nothing, strict=False)
    except RecursionError:
        reason = _TOO_DEEP
    except ValueError:
        reason = _why_not_json(text)
    raise Malformed(reason) if reason in {HTML, _TOO_DEEP} else BrokenJson(reason)


def sound_text(body: bytes) -> bytes:
    """Replace broken text without reading it as JSON, so that everything else keeps its spelling.

    Args:
        body: the bytes of one JSON document.

    Returns:
        valid UTF-8 without a BOM, U+FFFD instead of bad bytes and lone surrogates; the same object if it was valid.
    """
    given = body.removeprefix(_BOM)
    text = given.decode("utf-8", "replace")
    mended = _ESCAPE.sub(lambda escape: r"\ufffd" if escape[1] else escape[0], text).encode()
    if mended != given:
        _broken_text.note("bytes that are not UTF-8, or half a character, are read as U+FFFD")
    return body if mended == body else mended


def body_then_sound(body: bytes) -> Iterator[bytes]:
    """Yield a body, and then, if it has broken text, the body with that text replaced."""
    yield body
    mended = sound_text(body)
    if mended is not body:
        yield mended


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _nothing(_constant: str) -> None:
    return None


def _why_not_json(text: str) -> str:
    start = text.lstrip()
    if not start:
        return "the body is empty"
    return HTML if start.startswith("<") else _NOT_JSON


#: A number with a larger exponent than this stays a number: no field of the API is such a text.
_MOST_DIGITS = 40


class RawJson(SecretBytes):
    """One JSON value as the server wrote it; the encoder copies it. Its `repr` shows stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "RawJson('***')"

    @property
    def is_object(self) -> bool:
        """Whether it is an object."""
        return self.startswith(b"{")

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return self.startswith(b"[")

    @property
    def is_number(self) -> bool:
        """Whether it is a number."""
        return self[0] in b"-0123456789"

    def as_text(self) -> RawJson:
        """Return a number as text with all its digits, as models read it; one with a huge exponent stays a number."""
        if self.removeprefix(b"-").isdigit():
            return RawJson(b'"%b"' % self)
        try:
            number = Decimal(self.decode())
        except ArithmeticError:  # an exponent of twenty digits
            return self
        if abs(number.adjusted()) > _MOST_DIGITS:
            return self
        digits = str(int(number)) if number == int(number) else format(number, "f")
        return RawJson(b'"%b"' % digits.encode())


NULL: Final = RawJson(b"null")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


def members(raw: bytes) -> dict[str, RawJson]:
    """Split an object into its members; if a name occurs twice, the last one counts.

    Raises:
        Malformed: it is no JSON object.
    """
    raws: dict[str, msgspec.Raw] = _cut(raw, _members)
    return {name: RawJson(value) for name, value in raws.items()}


def elements(raw: bytes) -> list[RawJson]:
    """Split a list into its elements.

    Raises:
        Malformed: it is no JSON list.
    """
    return [RawJson(value) for value in _cut(raw, _elements)]


def _cut(raw: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(raw)
    except RecursionError:
        reason = _TOO_DEEP
    except ValueError:
        reason = _NOT_JSON
    raise Malformed(reason)  # raised outside the except block: the error's context would keep the whole text


def exact(raw: bytes) -> Any:
    """Read a value for exact comparison: equal only if both mean the same, to the last digit.

    Args:
        raw: JSON, with numbers of any precision.
    """
    text = raw.decode("utf-8", "surrogateescape")
    return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_number, strict=False)


def _number(digits: str) -> tuple[Any]:
    # A tuple, which no other value becomes: as a plain number, 1 would be equal to true.
    try:
        return (Decimal(digits),)
    except ArithmeticError:
        return (digits,)
