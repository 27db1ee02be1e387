"""Why a delivery does not reach the handler."""

from __future__ import annotations

from carecloud_async.webhooks.problem import DEFAULT_RETRY_AFTER, Problem

__all__ = ["DeliveryRefusedError", "DeliveryRepeatedError"]

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
