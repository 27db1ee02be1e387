"""Tokens that are valid now: of enterprise users, and of devices with the customers who are logged in on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from carecloud_async.sandbox.json_text import JsonObject


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
        return sum(self.find(value) is not None for value in list(self._tokens))

    def issue(
        self, user_id: str, *, lifetime: float, reuse_margin: float | None = None, value: str | None = None
    ) -> UserToken:
        """Log a user in.

        Args:
            user_id: The user.
            lifetime: Seconds that a new token is valid.
            reuse_margin: Seconds that an older token must still be valid to be returned again; `None`: it never is.
            value: The token's text; `None` makes one.
        """
        if reuse_margin is not None:
            for token in self._tokens.values():
                if token.user_id == user_id and token.ends - self._now() > reuse_margin:
                    return token
        token = UserToken(value=value or self._new_value(), user_id=user_id, ends=self._now() + lifetime)
        self._tokens[token.value] = token
        return token

    def find(self, value: str) -> UserToken | None:
        """The token with this value if it is valid now."""
        token = self._tokens.get(value)
        return token if token is not None and token.ends > self._now() else None

    def revoke(self, value: str) -> bool:
        """End a token now, and return whether it was valid."""
        return self._tokens.pop(value, None) is not None

    def revoke_all(self) -> None:
        """End all tokens now."""
        self._tokens.clear()


@attrs.frozen(kw_only=True)
class DeviceRecord:
    """A valid device token.

    Attributes:
        token_id: The token, which is the bearer token of every later call.
        device_id: The device, as the application calls it.
        external_application_id: The application.
        device: The device as it was sent.
        setup: The setup as it was sent last.
        push_token: As it was sent last, or `None`.
        customer_id: The customer who is logged in on it, or `None`.
    """

    token_id: str = attrs.field(repr=False)
    device_id: str
    external_application_id: str
    device: JsonObject = attrs.field(repr=False)
    setup: JsonObject = attrs.field(repr=False)
    push_token: str | None = attrs.field(default=None, repr=False)
    customer_id: str | None = None


@attrs.frozen(kw_only=True)
class AuthenticationToken:
    """An authentication token that takes a logged-in customer to another application.

    Attributes:
        value: The token's text.
        request_id: Second half of the proof.
        application_id: Where it may be used.
        customer_id: The customer that it logs in.
        ends: When it ends, in seconds since 1970.
    """

    value: str = attrs.field(repr=False)
    request_id: str = attrs.field(repr=False)
    application_id: str
    customer_id: str
    ends: float


class DeviceTokens:
    """The device tokens that are valid now.

    Args:
        new_value: Makes a token's text.
    """

    def __init__(self, *, new_value: Callable[[], str]) -> None:
        self._new_value = new_value
        self._tokens: dict[str, DeviceRecord] = {}
        self._by_device: dict[tuple[str, str], str] = {}
        self._authentication_tokens: dict[tuple[str, str], AuthenticationToken] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[DeviceRecord]:
        return iter(list(self._tokens.values()))

    def create(self, *, application_id: str, device: JsonObject, setup: JsonObject, push_token: str | None) -> str:
        """Make a token for a device; it ends an older one of the same device and application.

        Returns:
            The token.
        """
        key = (application_id, str(device["device_id"]))
        older = self._by_device.get(key)
        if older is not None:
            self._tokens.pop(older, None)
        record = DeviceRecord(
            token_id=self._new_value(),
            device_id=key[1],
            external_application_id=application_id,
            device=device,
            setup=setup,
            push_token=push_token,
        )
        self._tokens[record.token_id] = record
        self._by_device[key] = record.token_id
        return record.token_id

    def find(self, token_id: str) -> DeviceRecord | None:
        """The token with this value if it is valid now."""
        return self._tokens.get(token_id)

    def change_setup(self, token_id: str, *, setup: JsonObject, push_token: str | None) -> None:
        """Replace the setup and the push token of a device."""
        self._tokens[token_id] = attrs.evolve(self._tokens[token_id], setup=setup, push_token=push_token)

    def bind(self, token_id: str, *, customer_id: str | None) -> None:
        """Log a customer in on a token, or with `None` out; the token itself stays valid."""
        self._tokens[token_id] = attrs.evolve(self._tokens[token_id], customer_id=customer_id)

    def add_authentication_token(self, token: AuthenticationToken) -> None:
        """Remember an authentication token."""
        self._authentication_tokens[token.value, token.request_id] = token

    def redeem(self, value: str, *, request_id: str, application_id: str, now: float) -> str | None:
        """End an authentication token and return its customer, or `None` if the token is not valid."""
        token = self._authentication_tokens.get((value, request_id))
        if token is None or token.application_id != application_id or token.ends <= now:
            return None
        del self._authentication_tokens[value, request_id]
        return token.customer_id

    def revoke(self, token_id: str) -> bool:
        """End a token now, and return whether it was valid."""
        return self._tokens.pop(token_id, None) is not None

    def revoke_all(self) -> None:
        """End all tokens now."""
        self._tokens.clear()
