"""A request as a handler sees it, and the row of the operations' table: access, interfaces, parameters."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, TypeAlias

import attrs

from carecloud_async.sandbox.api.answer import Answer
from carecloud_async.sandbox.api.parameters import Query
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, broken_body
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.device_tokens import DeviceRecord
from carecloud_async.sandbox.state.sandbox_state import SandboxState


class Interface(Enum):
    """The two interfaces of the API; the value is the path segment."""

    ENTERPRISE = "enterprise-interface"
    CUSTOMER = "customer-interface"


class Access(Enum):
    """The token that a caller must show; on the enterprise interface, a user's token wherever anything is asked for."""

    OPEN = "no Authorization header at all"
    USER = "a user's token; the operation exists on the enterprise interface only"
    DEVICE = "a device token on the customer interface"
    CUSTOMER = "a device token with a logged-in customer on the customer interface"
    OWN_TOKEN = "a device token that is also the one in the path"  # noqa: S105 - no password


@attrs.frozen(kw_only=True)
class Call:
    """A request that found its operation and whose token is good.

    Attributes:
        interface: The interface through which it came.
        path: Values of the path template.
        query: Its query.
        body: Its body.
        device: The device token it showed, on the customer interface.
    """

    interface: Interface
    path: dict[str, str] = attrs.field(repr=False)
    query: Query = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    device: DeviceRecord | None = None

    def json(self) -> JsonObject:
        """The body as a JSON object.

        Raises:
            RefusalError: 400 if it is not one.
        """
        try:
            value = json.loads(self.body)
        except ValueError:
            raise broken_body("The body is not valid JSON") from None
        if not isinstance(value, dict):
            raise broken_body("The body is not a JSON object")
        return value

    def own_device(self) -> DeviceRecord:
        """The device token of an operation that always has one."""
        if self.device is None:
            raise AssertionError("the operation's access asks for a device token")
        return self.device


Handler: TypeAlias = Callable[[SandboxState, Call], Awaitable[Answer]]


@attrs.frozen(kw_only=True)
class Operation:
    """One operation of the API.

    Attributes:
        method: HTTP verb.
        template: Path below the version, such as `/customers/{customer_id}`.
        handler: Answers it.
        access: The token that it asks for.
        interfaces: The interfaces that have it.
        query_names: Query parameters, with brackets where they are lists.
        read_only: Dotted names in the body that only the server sets.
    """

    method: str
    template: str
    handler: Handler
    access: Access
    interfaces: frozenset[Interface] = frozenset(Interface)
    query_names: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Verb and template, as faults and counters name it."""
        return f"{self.method} {self.template}"


def required_text(body: JsonObject, *names: str) -> list[str]:
    """Non-empty strings out of a body.

    Raises:
        RefusalError: 400 that names each one that is missing, empty or not a string.
    """
    params = [InvalidParam(name=name, reason=reason) for name in names if (reason := _fault_of_text(body, name))]
    if params:
        raise bad_request(*params)
    return [body[name] for name in names]


def required_object(body: JsonObject, name: str) -> JsonObject:
    """An object out of a body.

    Raises:
        RefusalError: 400 if it is missing or something else.
    """
    value = body.get(name)
    if value is None:
        raise bad_request(InvalidParam(name=name, reason="required"))
    if not isinstance(value, dict):
        raise bad_request(InvalidParam(name=name, reason="invalid_value_format"))
    return value


def _fault_of_text(body: JsonObject, name: str) -> str | None:
    value: Any = body.get(name)
    if value is None:
        return "required"
    if not isinstance(value, str):
        return "invalid_value_format"
    return None if value else "empty"
