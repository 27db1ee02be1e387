"""CareCloud's own refusals: what distinguishes them from the answers of a proxy, a firewall or another server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carecloud_async._base.codec.malformed import Malformed
from carecloud_async._base.codec.tolerant.broken_json import load

__all__ = ["NO_SUCH_INTERFACE", "refusal", "success_refusal"]

#: The code of the refusal of an identity of the other interface, as `type` or `exception`.
NO_SUCH_INTERFACE = "interface_not_allowed_exception"
#: The members of the API's `error`. The other JSON errors of gateways have an `error` too, as text or with members of
#: their own (`code`, `message`, `status`).
_MEMBERS = frozenset({"type", "exception", "title", "detail", "error_data"})
#: The beginning of a body in which `"error"` must stand for a success status to count as a refusal.
_HEAD = 64


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
