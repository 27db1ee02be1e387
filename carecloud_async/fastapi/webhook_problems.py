"""How a webhook is refused, and how a repeat is answered."""

from __future__ import annotations

from fastapi import HTTPException

from carecloud_async.fastapi.problems import DEFAULT_RETRY_AFTER, Problem

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

#: The statuses that only a webhook may have, with their meaning for the OpenAPI document.
WEBHOOK_STATUSES = {400: "The body is no JSON object", 413: "The body is too large"}


class WebhookRefusedError(HTTPException):
    """A delivery was refused before the handler: wrong secret, unusable body, or the same delivery is being handled.

    `install_error_handlers` answers it with the problem document; without it the answer is FastAPI's own.

    Attributes:
        problem: what is answered.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, detail=problem.detail, headers=problem.headers())
        self.problem = problem


class WebhookRepeatedError(HTTPException):
    """The delivery was handled before: 204, so that the sender stops, and the handler is not called."""

    def __init__(self) -> None:
        super().__init__(204)
