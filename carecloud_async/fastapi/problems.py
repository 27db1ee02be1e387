"""Errors of the SDK become problem documents, in the answers and in the application's OpenAPI document."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import fastapi.routing
from attrs import evolve
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from carecloud_async._calls.call.request import NotAnIdError
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.errors import (
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ExportError,
    NotFoundError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    SessionExpiredError,
    TokenStoreError,
    WrongEventLoopError,
)
from carecloud_async.fastapi.dependencies import ClientDependency, CustomerDependency, NoSessionError
from carecloud_async.fastapi.webhooks import WEBHOOK_STATUSES, WebhookDependency, WebhookRefusedError
from carecloud_async.outbox import KeyInUseError, OutboxError
from carecloud_async.webhooks.problem import DEFAULT_RETRY_AFTER, MEDIA_TYPE, Problem

NOT_FOUND = Problem(status=404, code="not_found", detail="There is no such record.")
INVALID = Problem(status=422, code="invalid_request", detail="The request was refused; see errors.")
SESSION_EXPIRED = Problem(status=401, code="session_expired", detail="The session is over: log in again.")
LOGIN_REFUSED = Problem(status=401, code="login_refused", detail="The login was refused.")
CONFLICT = Problem(status=409, code="conflict", detail="The record was changed: read it again.")
KEY_IN_USE = Problem(
    status=409,
    code="key_in_use",
    detail="Another request with this key and other content is waiting or has failed: use another key.",
)
NO_SESSION = Problem(status=401, code="not_logged_in", detail="No customer is logged in.")
BUSY = Problem(status=503, code="upstream_busy", detail="Too many requests at the moment: try again later.")
UNAVAILABLE = Problem(status=503, code="unavailable", detail="Not available at the moment: try again later.")
TIMEOUT = Problem(status=504, code="upstream_timeout", detail="The upstream server did not answer in time.")
UNKNOWN = Problem(
    status=504,
    code="outcome_unknown",
    detail="It may have happened: look before you send it again.",
)
FAILED = Problem(status=502, code="upstream_failed", detail="The upstream server failed.")
BROKEN = Problem(status=500, code="internal_error", detail="Something is wrong here.")

#: Every status that a problem may have, with its meaning for the OpenAPI document.
STATUSES = {
    401: "The session is over, or no customer is logged in",
    404: "No such record",
    409: "The record was changed meanwhile, or the key is used by another request",
    422: "Refused input, with the reasons",
    500: "Something is wrong in this application",
    502: "The upstream server failed",
    503: "Busy or not available; see Retry-After",
    504: "The upstream server did not answer in time",
}


def problem_of(error: CareCloudError) -> Problem:
    """Return the problem document for a failed call."""
    problem = _kind(error)
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        problem = evolve(problem, retry_after=_retry_after(error))
    if problem is INVALID and isinstance(error, BadRequestError):
        problem = evolve(problem, errors=error.invalid_params)
    return evolve(problem, correlation_id=error.correlation_id)


def _kind(error: CareCloudError) -> Problem:
    match error:
        case CareCloudError(may_have_happened=True):
            return UNKNOWN
        case NotFoundError() | NotAnIdError():
            return NOT_FOUND
        case BadRequestError():
            return INVALID
        case SessionExpiredError():
            return SESSION_EXPIRED
        case AuthenticationError():
            return LOGIN_REFUSED if error.login_refused else FAILED
        case RateLimitError():
            return BUSY
        case ServerError(status=503):
            return UNAVAILABLE
        case RequestTimeoutError() | ServerError(status=504):
            return TIMEOUT
        case ConflictError():
            return CONFLICT
        case KeyInUseError():
            return KEY_IN_USE
        case TokenStoreError() | ClientClosedError():
            return UNAVAILABLE
        case ConfigurationError() | WrongEventLoopError() | ExportError() | OutboxError() | BulkWriteError():
            return BROKEN  # failures of CareCloud during such work are raised as themselves
    return FAILED


def _retry_after(error: CareCloudError) -> int:
    seconds = getattr(error, "retry_after", None)
    return DEFAULT_RETRY_AFTER if seconds is None else max(1, math.ceil(seconds))


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
    | a mistake in this application; an outbox, a bulk write or an export that cannot start or go on | 500 |
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


SCHEMA_NAME = "CareCloudProblem"
_TEXT: dict[str, Any] = {"type": "string"}
_REFUSED: dict[str, Any] = {
    "type": "object",
    "properties": {"name": _TEXT, "reason": _TEXT},
    "required": ["name", "reason"],
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": SCHEMA_NAME,
    "description": "A problem document (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": _TEXT | {"description": "What happened, for programs."},
        "detail": _TEXT | {"description": "What happened, for people."},
        "errors": {"type": "array", "items": _REFUSED, "description": "Which parameters were refused, and why."},
        "correlation_id": _TEXT,
    },
    "required": ["type", "title", "status", "code", "detail"],
}

_ONLY_READ = frozenset({"GET", "HEAD", "OPTIONS"})
_CONTENT = {"schema": {"$ref": f"#/components/schemas/{SCHEMA_NAME}"}}


def declare_problems(app: FastAPI) -> None:
    """Extend the application's `openapi()`; see FastAPI's "Extending OpenAPI".

    It is done when the document is asked for, so that routes may be added before or after.
    """
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        _extend(document, app)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _extend(document: dict[str, Any], app: FastAPI) -> None:
    for path, method, statuses in _operations(app):
        operation = document.get("paths", {}).get(path, {}).get(method)
        if operation is None:  # not in the document
            continue
        document.setdefault("components", {}).setdefault("schemas", {})[SCHEMA_NAME] = SCHEMA
        responses = operation.setdefault("responses", {})
        for status in statuses:
            response = responses.setdefault(str(status), {"description": (STATUSES | WEBHOOK_STATUSES)[status]})
            response.setdefault("content", {}).setdefault(MEDIA_TYPE, _CONTENT)


def _operations(app: FastAPI) -> Iterator[tuple[str, str, list[int]]]:
    """Yield path, method and possible problems of each operation that uses a client."""
    # Newer versions keep included routers unflattened, and have a function for looking through them.
    flatten: Any = getattr(fastapi.routing, "iter_route_contexts", iter)
    for route in flatten(app.routes):
        dependant = getattr(route, "dependant", None)
        calls = [] if dependant is None else list(_calls(dependant))
        if any(isinstance(call, ClientDependency) for call in calls):
            for method in route.methods or ():
                yield route.path_format, method.lower(), _statuses(method, calls)


def _statuses(method: str, calls: list[Any]) -> list[int]:
    # A login with a password comes as a form or a body: a refused one is 401.
    may_refuse_login = method not in _ONLY_READ or any(isinstance(call, CustomerDependency) for call in calls)
    is_webhook = any(isinstance(call, WebhookDependency) for call in calls)
    absent = {401} if not may_refuse_login else set()
    absent |= {409} if method in _ONLY_READ else set()
    statuses = [status for status in STATUSES if status not in absent]
    return [*statuses, *(WEBHOOK_STATUSES if is_webhook else ())]


def _calls(dependant: Any) -> Iterator[Any]:
    """Yield the dependencies of an operation, at any depth."""
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)
