"""A provider of a user's own as type checkers see it, as the docstring of `AuthProvider` prints it; never run."""

from __future__ import annotations

from typing import ClassVar, Protocol, assert_type

from attrs import frozen

from carecloud_async import AuthProvider, CareCloud, Send, Token
from carecloud_async._calls.auth.provider import digest


class Vault(Protocol):
    """The vault of the example."""

    async def read(self, path: str) -> dict[str, str]:
        """Return the secrets under a path."""
        ...


@frozen
class VaultUser(AuthProvider):
    """The example of the docstring, line by line."""

    vault: Vault  # anything with `async def read(path: str) -> dict[str, str]`
    path: str

    @property
    def interface(self) -> str:
        return "enterprise"

    @property
    def identity_key(self) -> str:
        return digest("vault", self.path)

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        secret = await self.vault.read(self.path)
        data = await send(
            "POST",
            "/users/actions/login",
            json={
                "user_external_application_id": secret["application"],
                "login": secret["login"],
                "password": secret["password"],
            },
        )
        return Token(data["bearer_token"], valid_to=data["valid_to"])

    async def credentials_fingerprint(self) -> str:
        return digest((await self.vault.read(self.path))["password"])


class ConstantUser(AuthProvider):
    """Fixed tokens, as a test would use them."""

    #: The number of logins, to have a variable of the class beside the properties.
    logins: ClassVar[int] = 0

    @property
    def interface(self) -> str:
        """The interface."""
        return "customer"

    @property
    def identity_key(self) -> str:
        """The key."""
        return "constant"

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Return the token."""
        return previous or Token("token")


def clients(vault: Vault) -> None:
    """Both are identities of a client."""
    assert_type(CareCloud("acme.crmcarecloud.com", auth=VaultUser(vault, "crm")), CareCloud)
    assert_type(CareCloud("acme.crmcarecloud.com", auth=ConstantUser()), CareCloud)
