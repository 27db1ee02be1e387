"""The token of a request: which one is sent, and whether another one may be sent after the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from typing import Any, TypeVar

from carecloud_async._base.codec.answers import NO_SUCH_INTERFACE, refusal, success_refusal
from carecloud_async._calls.auth.manager import TokenManager
from carecloud_async._calls.auth.token import Token
from carecloud_async.errors import AuthenticationError

T = TypeVar("T")

UNAUTHORIZED = 401
_BAD_REQUEST, _FORBIDDEN = 400, 403
#: How often one attempt takes another token after a 401, though each one had served other calls.
MOST_RENEWALS = 5
#: How a refused parameter is named if it is the token of the header.
_TOKEN_NAMES = ("authorization", "bearer", "token")


class TokenVerdict(Enum):
    """What an answer says about the token that the request was sent with."""

    ALLOWED = auto()  #: CareCloud carried the request out
    ACCEPTED = auto()  #: CareCloud took it, and refused the request for another reason
    REFUSED = auto()  #: CareCloud answered 401
    DOUBTED = auto()  #: CareCloud refused the request with 403 or 400, and named nothing in it: the token may be dead
    DOUBTED_SUCCESS = auto()  #: the same with a success status, so that a write may have been carried out
    PERHAPS_REFUSED = auto()  #: a 401 without CareCloud's body that is no page: some server software writes such ones
    NONE = auto()  #: something in front of CareCloud answered


def token_verdict(status: int, body: bytes) -> TokenVerdict:
    """Return what an answer says about the token.

    Args:
        status: its status.
        body: its body.
    """
    if 200 <= status <= 299:
        return TokenVerdict.ALLOWED if success_refusal(body) is None else TokenVerdict.DOUBTED_SUCCESS
    error = refusal(body)
    if error is None:
        is_page = body.lstrip()[:1] == b"<"
        return TokenVerdict.PERHAPS_REFUSED if status == UNAUTHORIZED and not is_page else TokenVerdict.NONE
    if status == UNAUTHORIZED:
        return TokenVerdict.REFUSED
    return TokenVerdict.DOUBTED if _may_mean_token(status, error) else TokenVerdict.ACCEPTED


def _may_mean_token(status: int, error: Mapping[str, Any]) -> bool:
    if status == _FORBIDDEN:
        # No token lets an identity call the other interface.
        return NO_SUCH_INTERFACE not in (error.get("type"), error.get("exception"))
    if status != _BAD_REQUEST:
        return False
    data = error.get("error_data")
    params = data.get("invalid_params") if isinstance(data, dict) else None
    if not isinstance(params, list) or not params:
        return True
    names = [str(one.get("name")).lower() for one in params if isinstance(one, dict)]
    return any(word in name for name in names for word in _TOKEN_NAMES)


class TokenUse:
    """The tokens of one attempt: the identity's current one and, after a 401 that a renewal may cure, a new one.

    A fresh token that is refused too is replaced again, after a pause, if CareCloud has served the operation before:
    the tokens were revoked in a row. Otherwise its refusal is final; see `TokenManager.may_renew`. A token that another
    process left in the store is not fresh: it may have died with the first one.

    Another refusal may mean a dead token too: see `TokenDoubts`. It is answered in the same way.

    An operation that needs no token is sent without one first, so that it may be sent three times.

    Args:
        manager: the identity's tokens.
        operation: the method and path template of the call.
        repeatable: whether the call may be sent twice although the first request may have had an effect.
        on_wait: see `TokenManager.get`.

    Attributes:
        renewals: how often another token was taken after a 401.
    """

    __slots__ = ("_doubted", "_from_store", "_manager", "_on_wait", "_operation", "_repeatable", "_token", "renewals")

    def __init__(
        self,
        manager: TokenManager,
        operation: str,
        *,
        repeatable: bool = False,
        on_wait: Callable[[object], None] | None = None,
    ) -> None:
        self._manager = manager
        self._operation = operation
        self._repeatable = repeatable
        self._token: Token | None = None
        self._on_wait = on_wait
        self._doubted: Token | None = None
        self._from_store = False  # whether the token that was taken after a 401 is of the store
        self.renewals: int = 0

    @property
    def token(self) -> Token | None:
        """The token of the last request; `None` if it carried none."""
        return self._token

    async def first(self) -> Token:
        """Return the token of the first request."""
        self._token = self._manager.current() or await self._manager.get(on_wait=self._on_wait)
        return self._token

    async def after(self, verdict: TokenVerdict) -> Token | None:
        """Return the token for sending the request again, or `None` if the answer is final.

        Args:
            verdict: what the last answer says about the token.
        """
        refused = verdict is TokenVerdict.REFUSED
        if verdict is TokenVerdict.PERHAPS_REFUSED:
            refused = self._repeatable and self._manager.renewal_is_harmless
        if refused:
            return await self.renew() if await self.may_replay() else None
        if self._token is None:
            return None
        if verdict is TokenVerdict.DOUBTED or (verdict is TokenVerdict.DOUBTED_SUCCESS and self._repeatable):
            return await self._replace_doubted(self._token)
        if verdict is TokenVerdict.ACCEPTED or verdict is TokenVerdict.ALLOWED:
            self._manager.on_token_accepted(self._operation)
        if verdict is TokenVerdict.ALLOWED:
            self._manager.on_operation_allowed(self._operation, self._token, cured=self._doubted is not None)
        return None

    async def _replace_doubted(self, token: Token) -> Token | None:
        """Return another token to send the request with, once; `None` if the refusal stands."""
        if self._doubted is None and not self.renewals and self._manager.may_be_dead(token, self._operation):
            self._doubted = token
            another = await self._manager.replace(token)
            if another is not None:
                self._token = another
                return another
        if self._doubted is not None:
            self._manager.on_replaced_in_vain(self._operation, self._token or token)
        return None

    async def may_replay(self) -> bool:
        """Return whether another token may cure a 401, after a pause if need be; see `TokenManager.may_renew`."""
        if self._token is None:
            return True
        again = self.renewals > 0 and not (
            self._from_store and await self._manager.may_have_died(self._token, self._operation)
        )
        if again:
            self._manager.on_fresh_token_refused(self._token, self._operation)
        if self.renewals == MOST_RENEWALS:
            return False
        return await self._manager.may_renew(self._token, self._operation, again=again)

    async def renew(self) -> Token:
        """Return the token of the next request."""
        self.renewals += self._token is not None
        self._token = await self._manager.get(rejected=self._token, on_wait=self._on_wait)
        self._from_store = self._manager.is_from_store(self._token)
        return self._token


async def call_with_token(manager: TokenManager, operation: str, call: Callable[[Token], Awaitable[T]]) -> T:
    """Make a call with the token in its path or body; after a 401 the whole call is made again. See `TokenUse`.

    Args:
        manager: the identity's tokens.
        operation: the method and path template of the call.
        call: makes the call with a token.

    Raises:
        AuthenticationError: the server refused the token, and a new one did not help.
    """
    use = TokenUse(manager, operation)
    token = await use.first()
    while True:
        try:
            result = await call(token)
        except AuthenticationError as error:
            if error.status != UNAUTHORIZED or not await use.may_replay():
                raise
        else:
            manager.on_token_accepted(operation)
            manager.on_operation_allowed(operation, token, cured=False)
            return result
        token = await use.renew()
