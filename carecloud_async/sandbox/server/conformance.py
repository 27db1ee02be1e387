"""The rules that every client must keep; breaking one is noted for the test and answered as a real server would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from carecloud_async.sandbox.api.calls import Access, Operation
from carecloud_async.sandbox.api.customer_input import read_only_fields
from carecloud_async.sandbox.api.parameters import Query, unknown_names
from carecloud_async.sandbox.server.recording import RecordedRequest

_CUSTOMERS: Final = ("/customers", "/customers/{customer_id}")


def broken_rules(request: RecordedRequest, operation: Operation | None) -> Iterator[str]:
    """Yield the rules that a request broke, as texts without secrets."""
    headers = request.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        yield "Content-Type is not application/json"
    if not headers.get("accept-language"):
        yield "Accept-Language is missing"
    if not headers.get("user-agent"):
        yield "User-Agent is missing"
    if "cookie" in headers:
        yield "a cookie was sent"
    if operation is None:
        yield "no such operation"
        return
    if operation.access is Access.OPEN:
        if "authorization" in headers:
            yield "Authorization was sent where no login is needed"
    elif request.token is None:
        yield "Authorization is missing or no bearer token"
    for name in unknown_names(Query(request.query), operation.query_names):
        yield f"unknown query parameter {name[:40]!r}"
    yield from _broken_by_body(request, operation)


def _broken_by_body(request: RecordedRequest, operation: Operation) -> Iterator[str]:
    if request.method == "GET" and request.body:
        yield "a GET came with a body"
    if request.method not in ("POST", "PUT"):
        return
    try:
        body = json.loads(request.body)
    except ValueError:
        return
    if isinstance(body, dict):
        for name in read_only_fields(body) if request.template in _CUSTOMERS else _sent_read_only(body, operation):
            yield f"read-only field {name} was sent"


def _sent_read_only(body: dict[str, Any], operation: Operation) -> list[str]:
    parts = [(name, *name.split(".", 1)) for name in operation.read_only]
    return [name for name, wrapper, field in parts if isinstance(body.get(wrapper), dict) and field in body[wrapper]]
