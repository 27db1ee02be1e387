"""Errors of the SDK become problem documents, in the answers and in the application's OpenAPI document."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from carecloud_async.errors import CareCloudError
from carecloud_async.fastapi.openapi import declare_problems
from carecloud_async.fastapi.problems import BROKEN, NO_SESSION, problem_of
from carecloud_async.fastapi.sessions import NoSessionError
from carecloud_async.fastapi.webhook_problems import WebhookRefusedError
from carecloud_async.webhooks.problem import MEDIA_TYPE, Problem

_log = logging.getLogger("carecloud_async.fastapi")


class ProblemResponse(JSONResponse):
    """A problem document as an answer."""

    media_type = MEDIA_TYPE


def install_error_handlers(app: FastAPI) -> None:
    """Answer the SDK's errors with problem documents (`application/problem+json`), and declare them in the OpenAPI.

    | what happened | answer |
    | --- | --- |
    | no such record | 404 |
    | the record was changed meanwhile; an outbox holds another call with the same key | 409 |
    | refused input | 422, with names and reasons |
    | a customer's session is over, a customer's login was refused, no customer is logged in | 401 |
    | the project's rate limit, 503, the token store cannot be reached | 503 with `Retry-After` |
    | no answer in time; a write that may have happened | 504 |
    | any other failure of CareCloud, including refused credentials of the application | 502 |
    | a mistake in this application; an outbox that cannot be used, such as on a full disk | 500 |
    | a webhook that was refused | 401, 400, 413, 422; 503 while the same delivery is handled |

    A handler of the application's own for one of these exceptions wins. WebSockets have no such answers and are left
    alone.

    Args:
        app: the application; its routes may come before or after.
    """
    app.add_exception_handler(CareCloudError, _answer)
    app.add_exception_handler(NoSessionError, _answer_no_session)
    app.add_exception_handler(WebhookRefusedError, _answer_webhook)
    declare_problems(app)


async def _answer(request: Request, error: Exception) -> ProblemResponse:
    if not isinstance(error, CareCloudError) or not isinstance(request, Request):
        raise error  # a WebSocket may be past the point where it could be answered
    problem = problem_of(error)
    _note(request, error, problem)
    return _response(problem)


async def _answer_no_session(request: Request, error: Exception) -> ProblemResponse:
    del request, error
    return _response(NO_SESSION)


async def _answer_webhook(request: Request, error: Exception) -> ProblemResponse:
    if not isinstance(error, WebhookRefusedError):
        raise error
    _log.warning("%s answers %d: %s", _where(request), error.problem.status, error.problem.code)
    return _response(error.problem)


def _response(problem: Problem) -> ProblemResponse:
    return ProblemResponse(problem.body(), status_code=problem.status, headers=problem.headers())


def _note(request: Request, error: CareCloudError, problem: Problem) -> None:
    # Handled exceptions appear in no other log.
    if problem.status < BROKEN.status:
        return
    traceback = error if problem.status == BROKEN.status else None
    _log.error(
        "%s answers %d: %s: %s", _where(request), problem.status, type(error).__name__, error, exc_info=traceback
    )


def _where(request: Request) -> str:
    # The route's template, since a path may hold personal data.
    route: Any = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', '?')}"
