"""The rules of the API that a client must keep, checked in the requests that a sandbox has received."""

from collections.abc import Iterator
from typing import Any

from carecloud_async.sandbox import RecordedRequest, Sandbox
from carecloud_async.sandbox.state.facts import ApiOperation, Field, fields_of


def broken_rules(sandbox: Sandbox) -> list[str]:
    """The rules that the recorded requests of a sandbox broke, as texts without secrets."""
    return [f"{request.name}: {text}" for request in tuple(sandbox.requests) for text in rules_broken_by(request)]


def rules_broken_by(request: RecordedRequest) -> Iterator[str]:
    """Yield the rules that one request broke."""
    headers, api = request.headers, request.operation
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    rules = [
        ("Content-Type is not application/json", content_type != "application/json"),
        ("Accept-Language is missing", not headers.get("accept-language")),
        ("User-Agent is missing", not headers.get("user-agent")),
        ("a cookie was sent", "cookie" in headers),
        ("no such operation", api is None),
    ]
    if api is not None:
        needless = not api.authorized and "authorization" in headers
        rules += [
            ("Authorization was sent where no login is needed", needless),
            ("Authorization is missing or no bearer token", api.authorized and request.token is None),
            ("a GET came with a body", request.method == "GET" and bool(request.body)),
        ]
        unknown = {name for name, _ in request.query} - set(_query_names(api))
        rules += [(f"unknown query parameter {name[:40]!r}", True) for name in sorted(unknown)]
        rules += [(f"read-only field {name} was sent", True) for name in dict.fromkeys(_read_only(request, api))]
    return (text for text, is_broken in rules if is_broken)


def _query_names(api: ApiOperation) -> Iterator[str]:
    """Names that a query may hold, with brackets where they are lists."""
    for field in api.query:
        if not field.many:
            yield field.name
        if "[]" in field.type:
            yield f"{field.name}[]"


def _read_only(request: RecordedRequest, api: ApiOperation) -> Iterator[str]:
    try:
        body = request.json()
    except ValueError:
        body = None
    fields = () if api.record_field is None else (api.record_field,)
    return _read_only_sent(fields, body if isinstance(body, dict) else {})


def _read_only_sent(fields: tuple[Field, ...], value: dict[str, Any]) -> Iterator[str]:
    """Dotted names of fields that only the server sets; a few are also required, and may be sent."""
    for field in fields:
        if field.name not in value:
            continue
        if field.read_only and not field.required:
            yield field.name
        inside = value[field.name]
        for inner in inside if isinstance(inside, list) else (inside,):
            if isinstance(inner, dict):
                place = f"{field.name}[]" if field.many else field.name
                yield from (f"{place}.{name}" for name in _read_only_sent(fields_of(field.item), inner))
