"""Bearer tokens of enterprise users: any number at once, each valid until its end or its logout."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.frozen(kw_only=True)
class UserToken:
    """A login of an enterprise user.

    Attributes:
        value: The bearer token.
        user_id: The user.
        ends: When it ends, in seconds since 1970.
    """

    value: str = attrs.field(repr=False)
    user_id: str
    ends: float


class UserTokens:
    """The enterprise tokens that are valid now.

    Args:
        now: The server's clock.
        new_value: Makes a token's text.
    """

    def __init__(self, *, now: Callable[[], float], new_value: Callable[[], str]) -> None:
        self._now = now
        self._new_value = new_value
        self._tokens: dict[str, UserToken] = {}

    def __len__(self) -> int:
        return sum(1 for token in list(self._tokens.values()) if self._is_valid(token))

    def issue(self, user_id: str, *, lifetime: float, reuse_margin: float | None) -> UserToken:
        """Log a user in.

        Args:
            user_id: The user.
            lifetime: Seconds that a new token is valid.
            reuse_margin: Seconds that an older token must still be valid to be returned again; `None`: it never is.
        """
        if reuse_margin is not None:
            for token in self._tokens.values():
                if token.user_id == user_id and token.ends - self._now() > reuse_margin:
                    return token
        token = UserToken(value=self._new_value(), user_id=user_id, ends=self._now() + lifetime)
        self._tokens[token.value] = token
        return token

    def find(self, value: str) -> UserToken | None:
        """The token with this value if it is valid now."""
        token = self._tokens.get(value)
        return token if token is not None and self._is_valid(token) else None

    def revoke(self, value: str) -> bool:
        """End a token now; says whether there was one."""
        return self._tokens.pop(value, None) is not None

    def revoke_all(self) -> None:
        """End all tokens now."""
        self._tokens.clear()

    def _is_valid(self, token: UserToken) -> bool:
        return token.ends > self._now()
