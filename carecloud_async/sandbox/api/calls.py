"""What a handler gets, and what it may return or raise: a request, an answer, a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.facts import ApiOperation
from carecloud_async.sandbox.state.sandbox_state import SandboxState, Token
from carecloud_async.sandbox.state.table import Table

#: Invalid parameters that an answer names at most.
_MOST_INVALID_PARAMS: Final = 1000


@attrs.frozen(kw_only=True)
class InvalidParam:
    """One entry of `error_data.invalid_params`.

    Attributes:
        name: the parameter; dotted if it is within another.
        reason: the API's code, such as `required` or `already_exists`.
        value: the value that was sent, or `None` to leave it out.
        message: a sentence for people, or `None` to leave it out.
    """

    name: str
    reason: str
    value: str | None = None
    message: str | None = None


class RefusalError(Exception):
    """A request is refused with this status and this `error` object.

    Args:
        status: HTTP status.
        error: the object under `error` in the body.
        headers: headers of the answer, lower-case names.
    """

    def __init__(self, status: int, error: JsonObject, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {error.get('type')}")
        self.status = status
        self.error = error
        self.headers = headers


def refusal(status: int, exception: str, title: str, detail: str, data: JsonObject | None = None) -> RefusalError:
    """A refusal in the form that most of the API's have."""
    error: JsonObject = {"type": "about:blank", "exception": exception, "title": title, "detail": detail}
    return RefusalError(status, error if data is None else {**error, "error_data": data})


def bad_request(*params: InvalidParam) -> RefusalError:
    """400 with the invalid parameters, or the first ones if there are many."""
    named = params[:_MOST_INVALID_PARAMS]
    entries = [attrs.asdict(param, filter=lambda _, value: value is not None) for param in named]
    detail, data = "Some parameters are not valid", {"invalid_params": entries}
    return refusal(400, "bad_request_exception", "Bad request", detail, data)


def invalid(name: str, reason: str, *, value: str | None = None, message: str | None = None) -> RefusalError:
    """400 with one invalid parameter; see `InvalidParam`."""
    return bad_request(InvalidParam(name=name, reason=reason, value=value, message=message))


def refuse(params: Iterable[InvalidParam]) -> None:
    """Refuse these parameters, if there are any.

    Raises:
        RefusalError: 400 with the invalid parameters.
    """
    invalid_params = tuple(params)
    if invalid_params:
        raise bad_request(*invalid_params)


def unauthorized(detail: str) -> RefusalError:
    """401: the token is missing, expired or revoked."""
    return refusal(401, "unauthorized_exception", "Unauthorized", detail, {})


def method_not_allowed(method: str, *, allowed: Iterable[str]) -> RefusalError:
    """405: the path has no operation of this method; `Allow` names those that it has (RFC 9110, 15.5.6)."""
    detail, data = f"Method {method} is not allowed for this resource", {"http_method": method}
    error = refusal(405, "method_not_allowed_exception", "Method not allowed", detail, data).error
    return RefusalError(405, error, headers=(("allow", ", ".join(allowed)),))


def forbidden(detail: str) -> RefusalError:
    """403: known, but not allowed; this body has no `exception`."""
    error = {"type": "access_denied_exception", "title": "Access denied", "detail": detail, "error_data": {}}
    return RefusalError(403, error)


def not_found(*, resource: str, resource_id: str) -> RefusalError:
    """404: no such record or path."""
    data = {"resource_name": resource, "resource_id": resource_id}
    return refusal(404, "not_found_exception", "Not found", "The resource was not found", data)


Interface: TypeAlias = Literal["enterprise", "customer"]


@attrs.frozen(kw_only=True)
class Call:
    """A request to an operation of the API, with a valid token where one is needed.

    Attributes:
        state: the state of the sandbox.
        api: what the API declares of the operation.
        path: values of the path template.
        query: its query: name and value as they were sent, brackets included, in order.
        body: its body.
        device: the device token it showed, on the customer interface.
    """

    state: SandboxState = attrs.field(repr=False)
    api: ApiOperation
    path: dict[str, str] = attrs.field(repr=False)
    query: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    device: Token | None = None

    @property
    def customer_id(self) -> str | None:
        """The customer who is logged in, on the customer interface; `None` for callers who see all customers."""
        return None if self.device is None else self.device.customer_id

    def table(self, name: str, parent_id: str | None = None) -> Table:
        """A table of the sandbox; see `Tables.table`."""
        return self.state.tables.table(name, parent_id)

    def json(self) -> JsonObject:
        """The body as a JSON object.

        Raises:
            RefusalError: 400 if it is not one.
        """
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            detail = "The body is not a JSON object"
            raise refusal(400, "invalid_json_exception", "Bad request", detail, {"invalid_params": []})
        return value


#: Returns the data of the answer, a `Page`, a whole `Answer`, or anything where the API declares no body.
Handler: TypeAlias = Callable[[Call], Any]


@attrs.frozen(kw_only=True)
class Answer:
    """Status, body and headers of one answer.

    Attributes:
        status: HTTP status.
        body: the bytes as they go out.
        headers: headers that only this answer has, lower-case names.
        content_type: media type, or `None` for no `Content-Type`.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = None


@attrs.frozen(kw_only=True)
class Page:
    """One page of a list.

    Attributes:
        texts: its records as compact JSON.
        total_items: number of records in the list, as the answer says.
    """

    texts: Sequence[bytes]
    total_items: int


def json_answer(value: Any, *, status: int = 200) -> Answer:
    """An answer whose body is this JSON."""
    return Answer(status=status, body=json_bytes(value), content_type="application/json")


def answer_of(api: ApiOperation, result: object) -> Answer:
    """Write what a handler returned: `{"data": …}` with the declared status, or no body where the API has none."""
    if isinstance(result, Answer):
        return result
    if isinstance(result, Page):
        parts = (json_bytes(api.key), b",".join(result.texts), result.total_items)
        body = b'{"data":{%b:[%b],"total_items":%d}}' % parts
        return Answer(body=body, content_type="application/json")
    return Answer(status=204) if api.status == 204 else json_answer({"data": result}, status=api.status)
