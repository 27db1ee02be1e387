"""A request as a handler sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import attrs

from carecloud_async.sandbox.api.parameters import Query
from carecloud_async.sandbox.api.problems import broken_body
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.device_tokens import DeviceRecord
from carecloud_async.sandbox.state.facts import ApiOperation
from carecloud_async.sandbox.state.sandbox_state import SandboxState

Interface: TypeAlias = Literal["enterprise", "customer"]


@attrs.frozen(kw_only=True)
class Call:
    """A request that found its operation and whose token is good.

    Attributes:
        state: The state of the sandbox.
        api: What the API declares of the operation.
        path: Values of the path template.
        query: Its query.
        body: Its body.
        device: The device token it showed, on the customer interface.
    """

    state: SandboxState = attrs.field(repr=False)
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


Handler: TypeAlias = Callable[[Call], Any]
"""Returns the data of the answer, a `Page`, a whole `Answer`, or anything where the API declares no body."""
