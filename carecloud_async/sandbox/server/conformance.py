"""The rules that every client must keep; breaking one is noted for the test and answered as a real server would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from carecloud_async.sandbox.server.recording import RecordedRequest
from carecloud_async.sandbox.state.facts import ApiOperation, Field, fields_of


def broken_rules(request: RecordedRequest) -> Iterator[str]:
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
    api = request.operation
    if api is None:
        yield "no such operation"
        return
    if not api.authorized:
        if "authorization" in headers:
            yield "Authorization was sent where no login is needed"
    elif request.token is None:
        yield "Authorization is missing or no bearer token"
    for name in sorted({name for name, _ in request.query} - set(api.query_names)):
        yield f"unknown query parameter {name[:40]!r}"
    yield from _broken_by_body(request, api)


def _broken_by_body(request: RecordedRequest, api: ApiOperation) -> Iterator[str]:
    if request.method == "GET" and request.body:
        yield "a GET came with a body"
    if request.method not in ("POST", "PUT"):
        return
    try:
        body = json.loads(request.body)
    except ValueError:
        return
    if isinstance(body, dict):
        fields = () if api.record_field is None else (api.record_field,)
        for name in dict.fromkeys(_read_only_sent(fields, body)):
            yield f"read-only field {name} was sent"


def _read_only_sent(fields: tuple[Field, ...], value: dict[str, Any]) -> Iterator[str]:
    """Dotted names of fields that only the server sets; a few are also required, and may be sent."""
    for field in fields:
        if field.name not in value:
            continue
        if field.read_only and not field.required:
            yield field.name
        found = value[field.name]
        for inner in found if isinstance(found, list) else (found,):
            if isinstance(inner, dict):
                place = f"{field.name}[]" if field.many else field.name
                yield from (f"{place}.{name}" for name in _read_only_sent(fields_of(field.item), inner))
