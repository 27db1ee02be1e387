"""The problem documents in the application's OpenAPI document, on each operation that can give them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastapi.routing
from fastapi import FastAPI

from carecloud_async.fastapi.dependencies import ClientDependency
from carecloud_async.fastapi.problems import STATUSES
from carecloud_async.fastapi.sessions import CustomerDependency
from carecloud_async.fastapi.webhook_problems import WEBHOOK_STATUSES
from carecloud_async.fastapi.webhooks import WebhookDependency
from carecloud_async.webhooks.problem import MEDIA_TYPE

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
