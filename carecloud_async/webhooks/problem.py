"""Problem: an answer that says what went wrong, as a document for the sender (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from attrs import frozen

from carecloud_async.errors import InvalidParam

MEDIA_TYPE = "application/problem+json"

#: Seconds to wait if CareCloud does not say; the SDK has retried the call by then.
DEFAULT_RETRY_AFTER = 5


@frozen(kw_only=True)
class Problem:
    """A problem document.

    Attributes:
        status: the HTTP status.
        code: the kind of problem, for programs.
        detail: the same, for people.
        retry_after: seconds until it may be worth asking again.
        errors: which parameters were refused, and why.
        correlation_id: the id of the call in the SDK's own log records.
    """

    status: int
    code: str
    detail: str
    retry_after: int | None = None
    errors: tuple[InvalidParam, ...] = ()
    correlation_id: str | None = None

    def body(self) -> dict[str, Any]:
        """Return the document."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"name": param.name, "reason": param.reason} for param in self.errors]
        if self.correlation_id is not None:
            body["correlation_id"] = self.correlation_id
        return body

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to it."""
        # A problem belongs to one moment and one session: no cache may keep it.
        headers = {"Cache-Control": "no-store"}
        return headers if self.retry_after is None else headers | {"Retry-After": str(self.retry_after)}
