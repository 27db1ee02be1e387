"""LoginSender: how an identity's own requests are sent, without a token of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import evolve

from carecloud_async import codec
from carecloud_async.calls.attempt import RawResponse
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.operation import Operation
from carecloud_async.calls.wire import server_date


class LoginSender:
    """Sends what a provider asks for; see `auth.provider.Send`.

    Args:
        caller: a caller for the identity's interface, without a token manager.
        patient: whether what fails is repeated.
    """

    def __init__(self, caller: Caller, *, patient: bool) -> None:
        if not patient:
            once = evolve(caller.options, retry=evolve(caller.options.retry, attempts=1))
            caller = caller.with_options(once, None)
        self._caller = caller
        self.sent_at = caller.context.clock.monotonic()
        self.date: datetime | None = None

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        path_params: Mapping[str, str] | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        """See `auth.provider.Send`. Logins and new device tokens may be repeated: the last one counts."""
        operation = Operation(
            operation_id="",
            method=method,
            path="/" + path.lstrip("/"),
            call="",
            safe_to_repeat=True,
            authorized=False,
        )

        def finish(response: RawResponse) -> dict[str, Any]:
            self.sent_at = response.sent_at
            self.date = server_date(response.headers)
            return _data(response.body)

        return await self._caller.finish(
            operation, finish, path_params=path_params, json=json, bearer=bearer, login=True
        )


def _data(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    data = codec.data(body)
    if not isinstance(data, dict):
        raise codec.Malformed("data is no object")
    return data
