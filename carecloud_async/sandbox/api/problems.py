"""Refusals: the error bodies that the API documents, as exceptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from carecloud_async.sandbox.json_text import JsonObject


@attrs.frozen(kw_only=True)
class InvalidParam:
    """One entry of `error_data.invalid_params`.

    Attributes:
        name: The parameter; dotted if it is within another.
        reason: The API's code, such as `required` or `already_exists`.
        value: The value that was sent, or `None` to leave it out.
        message: A sentence for people, or `None` to leave it out.
    """

    name: str
    reason: str
    value: str | None = None
    message: str | None = None


class RefusalError(Exception):
    """A request is refused with this status and this `error` object.

    Args:
        status: HTTP status.
        error: The object under `error` in the body.
    """

    def __init__(self, status: int, error: JsonObject) -> None:
        super().__init__(f"{status} {error.get('type')}")
        self.status = status
        self.error = error


def _error(exception: str, title: str, detail: str, data: Any = None) -> JsonObject:
    error: JsonObject = {"type": "about:blank", "exception": exception, "title": title, "detail": detail}
    if data is not None:
        error["error_data"] = data
    return error


def bad_request(*params: InvalidParam, detail: str = "Some parameters are not valid") -> RefusalError:
    """400 with the invalid parameters."""
    entries = [attrs.asdict(param, filter=lambda _, value: value is not None) for param in params]
    return RefusalError(400, _error("bad_request_exception", "Bad request", detail, {"invalid_params": entries}))


def invalid(name: str, reason: str, *, value: str | None = None, message: str | None = None) -> RefusalError:
    """400 with one invalid parameter; see `InvalidParam`."""
    return bad_request(InvalidParam(name=name, reason=reason, value=value, message=message))


def refuse(params: Iterable[InvalidParam]) -> None:
    """Refuse these parameters, if there are any.

    Raises:
        RefusalError: 400 with the invalid parameters.
    """
    found = tuple(params)
    if found:
        raise bad_request(*found)


def broken_body(detail: str) -> RefusalError:
    """400 for a body that is not a JSON object."""
    return RefusalError(400, _error("invalid_json_exception", "Bad request", detail, {"invalid_params": []}))


def unauthorized(detail: str) -> RefusalError:
    """401: the token is missing, expired or revoked."""
    return RefusalError(401, _error("unauthorized_exception", "Unauthorized", detail, {}))


def refused_login(status: int) -> RefusalError:
    """The refusal of a wrong login or password; servers differ in its status."""
    detail = "Login or password is not valid"
    if status == 400:
        return bad_request(InvalidParam(name="password", reason="not_found", message=detail), detail=detail)
    if status == 403:
        return forbidden(detail)
    return RefusalError(status, _error("invalid_credentials_exception", "Unauthorized", detail, {}))


def forbidden(detail: str) -> RefusalError:
    """403: known, but not allowed; this body has no `exception`."""
    return RefusalError(
        403, {"type": "access_denied_exception", "title": "Access denied", "detail": detail, "error_data": {}}
    )


def wrong_interface(*, resource: str, interface: str) -> RefusalError:
    """403: this interface does not have the resource; this body has no `exception`."""
    error: JsonObject = {
        "type": "interface_not_allowed_exception",
        "title": f"{interface} API is not allowed for this resource",
        "detail": f'Resource name "{resource}" is not allowed in {interface} API',
        "error_data": {"invalid_resource_name": resource, "interface": interface},
    }
    return RefusalError(403, error)


def not_found(*, resource: str, resource_id: str) -> RefusalError:
    """404: no such record or path."""
    data = {"resource_name": resource, "resource_id": resource_id}
    return RefusalError(404, _error("not_found_exception", "Not found", "The resource was not found", data))


def method_not_allowed(method: str) -> RefusalError:
    """405: the path is right, the verb is not."""
    detail = f"Method {method} is not allowed for this resource"
    data = {"http_method": method}
    return RefusalError(405, _error("method_not_allowed_exception", "Method not allowed", detail, data))


def server_error(status: int) -> RefusalError:
    """500 and its like, as the API documents it."""
    return RefusalError(status, _error("error_exception", "Internal error", "The request could not be processed"))
