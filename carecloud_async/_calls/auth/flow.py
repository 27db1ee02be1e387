"""The token of a request: which one is sent, and whether another one may be sent after the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import TypeVar

from carecloud_async._base.codec.answers import refusal
from carecloud_async._calls.auth.manager import TokenManager
from carecloud_async._calls.auth.token import Token
from carecloud_async.errors import AuthenticationError

T = TypeVar("T")

UNAUTHORIZED = 401


class TokenVerdict(Enum):
    """What an answer says about the token that the request was sent with."""

    ACCEPTED = auto()  #: CareCloud took it, even if it refused the request for another reason
    REFUSED = auto()  #: CareCloud answered 401
    UNREADABLE_401 = auto()  #: a 401 that is no page and lacks CareCloud's error: a read may be sent with a new token
    NONE = auto()  #: something in front of CareCloud answered


def token_verdict(status: int, body: bytes) -> TokenVerdict:
    """Return what an answer says about the token.

    Args:
        status: its status.
        body: its body.
    """
    if 200 <= status <= 299:
        return TokenVerdict.ACCEPTED
    if refusal(body) is None:
        is_page = body.lstrip()[:1] == b"<"
        return TokenVerdict.UNREADABLE_401 if status == UNAUTHORIZED and not is_page else TokenVerdict.NONE
    return TokenVerdict.REFUSED if status == UNAUTHORIZED else TokenVerdict.ACCEPTED


class TokenUse:
    """The tokens of one attempt: the identity's current one and, after a 401 that a renewal may cure, a new one.

    The refusal of a new token is final. One that another process left in the store may have died with the first one: it
    is replaced by one login.

    An operation that needs no token is sent without one first, so that it may be sent three times.

    Args:
        manager: the identity's tokens.
        operation: the method and path template of the call.
        repeatable: whether the call may be sent twice although the first request may have had an effect.
        on_wait: see `TokenManager.get`.

    Attributes:
        renewals: how often another token was taken after a 401.
    """

    __slots__ = ("_from_store", "_manager", "_on_wait", "_operation", "_repeatable", "_token", "renewals")

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
        is_read_again = self._repeatable and self._manager.renewal_is_harmless
        if verdict is TokenVerdict.REFUSED or (verdict is TokenVerdict.UNREADABLE_401 and is_read_again):
            return await self.renew() if self.may_replay() else None
        if verdict is TokenVerdict.ACCEPTED and self._token is not None:
            self._manager.on_token_accepted(self._operation)
        return None

    def may_replay(self) -> bool:
        """Return whether another token may cure a 401; see `TokenManager.may_renew`."""
        if self._token is None:
            return True
        if self.renewals and not (
            self.renewals == 1 and self._from_store and self._manager.may_have_died(self._operation)
        ):
            self._manager.on_fresh_token_refused(self._token, self._operation)
            return False
        return self._manager.may_renew(self._token, self._operation)

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
            if error.status != UNAUTHORIZED or not use.may_replay():
                raise
        else:
            manager.on_token_accepted(operation)
            return result
        token = await use.renew()
