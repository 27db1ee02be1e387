"""LoginSender: the transport of an identity's own requests, which carry no token of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from carecloud_async import codec
from carecloud_async.auth.provider import LoginReply
from carecloud_async.calls.attempt import RawResponse
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.operation import Operation
from carecloud_async.calls.wire import server_date


class LoginSender:
    """Sends the requests of logins; see `auth.provider.SendLogin`.

    Args:
        caller: a caller for the identity's interface, without a token manager.
    """

    def __init__(self, caller: Caller) -> None:
        once = evolve(caller.options, retry=evolve(caller.options.retry, attempts=1))
        self._repeating = caller
        self._once = caller.with_options(once, None)

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None,
        path_params: Mapping[str, str] | None,
        bearer: str | None,
        retry: bool,
    ) -> LoginReply:
        """See `SendLogin`. Logins and new device tokens may be repeated: the last one counts."""
        operation = Operation(
            operation_id="",
            method=method,
            path="/" + path.lstrip("/"),
            call="",
            safe_to_repeat=True,
            authorized=False,
        )
        caller = self._repeating if retry else self._once
        return await caller.finish(operation, _reply, path_params=path_params, json=json, bearer=bearer, login=True)


def _reply(response: RawResponse) -> LoginReply:
    return LoginReply(data=_data(response.body), sent_at=response.sent_at, server_date=server_date(response.headers))


def _data(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    data = codec.data(body)
    if not isinstance(data, dict):
        raise codec.Malformed("data is no object")
    return data
