"""Logins: calls without a token. Makes the tokens of each identity of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from attrs import evolve

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import data
from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.secret_text import SecretDict, conceal, conceal_body
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.secret import digest
from carecloud_async._calls.auth.stores import TokenStore
from carecloud_async._calls.auth.token_source import StoredTokenIndex, TokenSource
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.context import ClientContext, ViewOptions
from carecloud_async._calls.call.failure import server_date
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async.errors import CareCloudError, ConnectionFailedError, OutcomeUnknownError

#: The ends of the paths of logins by a token that may be valid only once.
_BY_TOKEN = ("/actions/sso-login", "/actions/authentication-token-login")


class LoginSender:
    """Sends the requests of one login or logout; see `auth.provider.Login`.

    Args:
        caller: a caller for the identity's interface, without tokens.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.sent_at: float | None = None
        self.server_date: datetime | None = None

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        path_params: Mapping[str, str] | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        """See `Send`. Logins and new device tokens may be repeated, except by a token that may be used once.

        The server would refuse the used token, and the user's or customer's login would fail.
        """
        json, path_params, bearer = conceal_body(json), conceal(path_params), conceal(bearer)
        operation = Operation(
            operation_id="",
            method=method,
            path="/" + path.lstrip("/"),
            call="",
            safe_to_repeat=not path.endswith(_BY_TOKEN),
            authorized=False,
        )
        request = CallRequest(
            operation,
            decode=_data if method == "GET" else _data_if_any,
            path_params=path_params,
            json=json,
            bearer=bearer,
            login=True,
        )
        try:
            answer = await self._caller.execute(request)
        except OutcomeUnknownError as error:
            raise _failed_login(error) from None
        self.sent_at, self.server_date = answer.response.sent_at, server_date(answer.response.headers)
        return answer.data


def _failed_login(error: OutcomeUnknownError) -> CareCloudError:
    """Return the error of a login whose outcome is unknown: the call that waits for it has not been sent."""
    if isinstance(error.__cause__, CareCloudError):
        return error.__cause__
    failed = ConnectionFailedError(error.problem, method=error.method, path=error.path)
    failed.correlation_id = error.correlation_id
    return failed


def _data_if_any(body: bytes) -> dict[str, Any]:
    return _data(body) if body else {}  # as after a logout


def _data(body: bytes) -> dict[str, Any]:
    answer = data(body) or {}  # `[]` is how PHP writes an empty object
    if not isinstance(answer, dict):
        raise codec.Malformed("data is not an object")
    return SecretDict(answer)


def tokens_maker(
    context: ClientContext, *, options: ViewOptions, store: TokenStore
) -> Callable[[AuthProvider], Tokens]:
    """Return a function that makes the tokens of an identity.

    Args:
        context: sends the logins.
        options: how they are sent.
        store: keeps the tokens.
    """
    index, project = StoredTokenIndex(), context.project
    once = evolve(options, retry=evolve(options.retry, attempts=1))

    @cache
    def caller(interface: Interface, retry: bool) -> Caller:
        return Caller(context, interface=interface, options=options if retry else once)

    def make(provider: AuthProvider) -> Tokens:
        interface = Interface(provider.interface)
        # Hashed once more: the key of a user's own provider may contain a person's name.
        names = [digest(name) for name in (project.origin, provider.application_id, provider.identity_key)]
        source = TokenSource(
            provider,
            key=f"{names[0]}:{interface}:{names[1]}:{names[2]}",
            store=store,
            index=index,
            begin_login=lambda retry: LoginSender(caller(interface, retry)),
            clock=context.clock,
            zone=project.timezone,
        )
        return Tokens(source, clock=context.clock)

    return make
