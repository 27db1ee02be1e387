"""A request as a handler sees it, and an operation: what the API declares, who may call it, and its handler."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

import attrs

from carecloud_async.sandbox.api.parameters import Query
from carecloud_async.sandbox.api.problems import broken_body
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.device_tokens import DeviceRecord
from carecloud_async.sandbox.state.facts import ApiOperation
from carecloud_async.sandbox.state.sandbox_state import SandboxState


class Interface(Enum):
    """The two interfaces of the API; the value is the path segment."""

    ENTERPRISE = "enterprise-interface"
    CUSTOMER = "customer-interface"


class Access(Enum):
    """The token that a caller must show; on the enterprise interface a user's token, except where none is needed."""

    OPEN = "no Authorization header at all"
    DEVICE = "a device token on the customer interface"
    CUSTOMER = "a device token with a logged-in customer on the customer interface"
    OWN_TOKEN = "a device token that is also the one in the path"  # noqa: S105 - no password


@attrs.frozen(kw_only=True)
class Call:
    """A request that found its operation and whose token is good.

    Attributes:
        api: What the API declares of the operation.
        path: Values of the path template.
        query: Its query.
        body: Its body.
        device: The device token it showed, on the customer interface.
    """

    api: ApiOperation
    path: dict[str, str] = attrs.field(repr=False)
    query: Query = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    device: DeviceRecord | None = None

    @property
    def customer_id(self) -> str | None:
        """The customer who is logged in, on the customer interface; `None` for callers who see all customers."""
        return None if self.device is None else self.device.customer_id

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


Handler: TypeAlias = Callable[[SandboxState, Call], Any]
"""Returns the data of the answer, a `Page`, a whole `Answer`, or anything where the API declares no body."""


@attrs.frozen(kw_only=True)
class Operation:
    """One operation of the API.

    Attributes:
        api: What the API declares of it.
        access: The token that it needs.
        handler: Does its work.
    """

    api: ApiOperation
    access: Access
    handler: Handler
