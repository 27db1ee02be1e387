"""The parts of a delivery's request: its shared secret, and its body, which is bounded while it is read."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing, nullcontext, suppress
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qsl

from attrs import evolve

from carecloud_async.errors import InvalidParam
from carecloud_async.webhooks.problem import INVALID_ID, NO_OBJECT, TOO_LARGE, DeliveryRefusedError, Problem

#: Headers as frameworks have them: a mapping, whose `items()` may repeat a name, or pairs; as text or bytes (ASGI).
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
_Pair: TypeAlias = tuple[str | bytes, str | bytes]
#: A body that was read, or its chunks.
Body: TypeAlias = bytes | AsyncIterable[bytes]

#: An id as the API makes them; anything else must not become part of a path.
_RECORD_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_DIGITS = re.compile(r"[0-9]{1,20}")


def header_values(headers: Headers, name: str) -> list[str | bytes]:
    """Return the values of a header."""
    pairs = cast("Iterable[_Pair]", headers.items() if isinstance(headers, Mapping) else headers)
    wanted = name.lower()
    return [value for key, value in pairs if _text(key).lower() == wanted]


def query_values(query: str | bytes, name: str) -> list[str | bytes]:
    """Return the values of a parameter of a query string."""
    return [value for key, value in parse_qsl(_text(query), keep_blank_values=True) if key == name]


def is_secret(given: list[str | bytes], expected: str) -> bool:
    """Return whether a secret was given exactly once; a missing one and a wrong one take the same time."""
    only = given[0] if len(given) == 1 else b""
    # Digests have one length: not even the length of the secret changes the time of the comparison.
    wanted = _digest(expected.encode())
    return any(hmac.compare_digest(_digest(form), wanted) for form in _sent_forms(only))


async def read_object(body: Body, headers: Headers, *, max_bytes: int) -> Mapping[str, Any]:
    """Return the JSON object that was sent.

    Raises:
        DeliveryRefusedError: the body is longer than `max_bytes`, or no JSON object.
    """
    raw = await _bounded(body, headers, max_bytes)
    try:
        value = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # Without the cause: its text and its frames hold the body.
        raise DeliveryRefusedError(NO_OBJECT) from None
    if not isinstance(value, dict):
        raise DeliveryRefusedError(NO_OBJECT)
    return value


def record_id(body: Mapping[str, Any], name: str) -> str:
    """Return the id of the record.

    Raises:
        DeliveryRefusedError: there is none, or it cannot be an id.
    """
    text = text_field(body, name)
    if _RECORD_ID.fullmatch(text) is None:
        raise DeliveryRefusedError(_invalid(name, "invalid"))
    return text


def text_field(body: Mapping[str, Any], name: str) -> str:
    """Return a text or a whole number of the body as text.

    Raises:
        DeliveryRefusedError: the field is missing, empty or something else.
    """
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        raise DeliveryRefusedError(_invalid(name, "required"))
    if not isinstance(value, str):
        raise DeliveryRefusedError(_invalid(name, "invalid"))
    return value


def _text(text: str | bytes) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else text


def _sent_forms(text: str | bytes) -> list[bytes]:
    """Return the bytes that may have been sent: some frameworks read headers as Latin-1, others as UTF-8."""
    if isinstance(text, bytes):
        return [text]
    forms = []
    for encoding in ("utf-8", "latin-1"):
        with suppress(UnicodeEncodeError):
            forms.append(text.encode(encoding, "surrogateescape"))
    return forms


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _invalid(name: str, reason: str) -> Problem:
    return evolve(INVALID_ID, errors=(InvalidParam(name=name, reason=reason),))


async def _bounded(body: Body, headers: Headers, max_bytes: int) -> bytes:
    if isinstance(body, bytes):
        _check_size(len(body), max_bytes)
        return body
    for announced in header_values(headers, "content-length"):
        if _DIGITS.fullmatch(_text(announced)):
            _check_size(int(announced), max_bytes)
    # Chunked bodies have no Content-Length, and a given one may be wrong.
    chunks, size = [], 0
    chunk_iterator = aiter(body)
    async with aclosing(chunk_iterator) if isinstance(chunk_iterator, AsyncGenerator) else nullcontext():
        async for chunk in chunk_iterator:
            size += len(chunk)
            _check_size(size, max_bytes)
            chunks.append(chunk)
    return b"".join(chunks)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise DeliveryRefusedError(TOO_LARGE)


def _no_number(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are no JSON
