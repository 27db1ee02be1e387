"""The request of a webhook: its shared secret, and its body, which is bounded while it is read."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from attrs import evolve
from starlette.requests import ClientDisconnect, Request

from carecloud_async.auth.secret import resolve_secret
from carecloud_async.errors import InvalidParam
from carecloud_async.fastapi.disconnect import ClientDisconnectedError
from carecloud_async.fastapi.webhook_problems import (
    INVALID_ID,
    NO_OBJECT,
    TOO_LARGE,
    WRONG_SECRET,
    WebhookRefusedError,
)
from carecloud_async.fastapi.webhook_settings import WebhookSettings

#: An id as the API makes them; anything else must not become part of a path.
_RECORD_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_DIGITS = re.compile(r"[0-9]{1,20}")


async def check_secret(request: Request, settings: WebhookSettings) -> None:
    """Refuse a request that does not hold the secret exactly once.

    Raises:
        WebhookRefusedError: it does not. A missing secret and a wrong one are answered alike.
    """
    expected = await resolve_secret(settings.secret)
    # Digests have one length: not even the length of the secret changes the time of the comparison.
    if not hmac.compare_digest(_digest(_given(request, settings)), _digest(expected.encode())):
        raise WebhookRefusedError(WRONG_SECRET)


def _given(request: Request, settings: WebhookSettings) -> bytes:
    if settings.header is not None:
        # Starlette reads headers as Latin-1, so this gives back the bytes that were sent.
        values = [value.encode("latin-1") for value in request.headers.getlist(settings.header)]
    else:
        values = [value.encode() for value in request.query_params.getlist(settings.query or "")]
    return values[0] if len(values) == 1 else b""


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


async def read_body(request: Request, *, max_bytes: int) -> Mapping[str, Any]:
    """Return the JSON object that was sent.

    Raises:
        WebhookRefusedError: the body is longer than `max_bytes`, or no JSON object.
        ClientDisconnectedError: the sender hung up.
    """
    raw = await _bounded(request, max_bytes)
    try:
        body = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # Without the cause: its text and its frames hold the body.
        raise WebhookRefusedError(NO_OBJECT) from None
    if not isinstance(body, dict):
        raise WebhookRefusedError(NO_OBJECT)
    return body


def record_id(body: Mapping[str, Any], name: str) -> str:
    """Return the id of the record.

    Raises:
        WebhookRefusedError: there is none, or it cannot be an id.
    """
    found = text_field(body, name)
    if _RECORD_ID.fullmatch(found) is None:
        raise _refused(name, "invalid")
    return found


def text_field(body: Mapping[str, Any], name: str) -> str:
    """Return a text or a whole number of the body as text.

    Raises:
        WebhookRefusedError: the field is missing, empty or something else.
    """
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        raise _refused(name, "required")
    if not isinstance(value, str):
        raise _refused(name, "invalid")
    return value


def _refused(name: str, reason: str) -> WebhookRefusedError:
    return WebhookRefusedError(evolve(INVALID_ID, errors=(InvalidParam(name=name, reason=reason),)))


async def _bounded(request: Request, max_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if _DIGITS.fullmatch(announced) and int(announced) > max_bytes:
        raise WebhookRefusedError(TOO_LARGE)
    # A body in chunks announces no length, and a length may be a lie.
    chunks, size = [], 0
    try:
        async with aclosing(request.stream()) as stream:
            async for chunk in stream:
                size += len(chunk)
                if size > max_bytes:
                    raise WebhookRefusedError(TOO_LARGE)
                chunks.append(chunk)
    except ClientDisconnect:
        raise ClientDisconnectedError from None
    return b"".join(chunks)


def _no_number(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are no JSON
