"""Problem: an answer that says what went wrong (RFC 9457); and why a delivery does not reach the handler."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from attrs import frozen

from carecloud_async.errors import InvalidParam

__all__ = ["DeliveryRefusedError", "DeliveryRepeatedError", "Problem"]

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


WRONG_SECRET = Problem(status=401, code="wrong_secret", detail="The secret is missing or wrong.")
NO_OBJECT = Problem(status=400, code="no_json_object", detail="The body is no JSON object.")
TOO_LARGE = Problem(status=413, code="body_too_large", detail="The body is too large.")
INVALID_ID = Problem(status=422, code="invalid_body", detail="An id is missing or cannot be one; see errors.")
UNDER_WAY = Problem(
    status=503,
    code="under_way",
    detail="The same delivery is being handled: send it again later.",
    retry_after=DEFAULT_RETRY_AFTER,
)
NO_STORE = Problem(
    status=503,
    code="unavailable",
    detail="Not available at the moment: try again later.",
    retry_after=DEFAULT_RETRY_AFTER,
)


class DeliveryRefusedError(Exception):
    """A delivery was refused before the handler: wrong secret, unusable body, or the same delivery is being handled.

    Attributes:
        problem: what the sender is answered: status, headers and body.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}")
        self.problem: Problem = problem


class DeliveryRepeatedError(Exception):
    """The delivery was handled before: answer with a 2xx status, so that the sender stops."""

    def __init__(self) -> None:
        super().__init__("the delivery was handled before")
