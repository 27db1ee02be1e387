"""How a webhook is refused, and how a repeat is answered."""

from __future__ import annotations

from fastapi import HTTPException

from carecloud_async.webhooks.problem import Problem

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
