"""The shared secret of a webhook, compared in a time that says nothing about it."""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request

from carecloud_async.auth.secret import resolve_secret
from carecloud_async.fastapi.webhook_problems import WRONG_SECRET, WebhookRefusedError
from carecloud_async.fastapi.webhook_settings import WebhookSettings


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
