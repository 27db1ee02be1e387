"""Identities for the client, made of its own classes; the one place where the sandbox imports the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecloud_async.sandbox.constants import (
    CUSTOMER_APPLICATION_ID,
    SSO_TOKEN,
    USER_APPLICATION_ID,
    USER_LOGIN,
    USER_PASSWORD,
)

# Imported when they are called for: a sandbox that serves other clients does not load this one.
if TYPE_CHECKING:
    from carecloud_async._calls.auth.customer import CustomerSession, DeviceToken, SocialNetworkSession
    from carecloud_async._calls.auth.enterprise import EnterpriseCredentials, SsoCredentials
    from carecloud_async.sandbox.state.customer_store import CustomerStore


class ClientIdentities:
    """Identities for `CareCloud(auth=…)` that the sandbox takes.

    Attributes:
        customers: The customers of the sandbox.
    """

    customers: CustomerStore

    def credentials(self) -> EnterpriseCredentials:
        """The API user's credentials, for `CareCloud(auth=…)`."""
        from carecloud_async._calls.auth.enterprise import EnterpriseCredentials

        return EnterpriseCredentials(
            external_application_id=USER_APPLICATION_ID, login=USER_LOGIN, password=USER_PASSWORD
        )

    def sso_credentials(self) -> SsoCredentials:
        """The API user's single sign-on, for `CareCloud(auth=…)`."""
        from carecloud_async._calls.auth.enterprise import SsoCredentials

        return SsoCredentials(external_application_id=USER_APPLICATION_ID, sso_token=SSO_TOKEN)

    def device(self, device_id: str | None = None) -> DeviceToken:
        """A device of the sandbox's application.

        Args:
            device_id: As the application calls it; `None` makes a random one.
        """
        from carecloud_async._calls.auth.customer import Device, DeviceSetup, DeviceToken

        return DeviceToken(
            external_application_id=CUSTOMER_APPLICATION_ID,
            device=Device(device_id=device_id, device_system="OSX", device_name="Test device", device_type="iPhone"),
            setup=DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False),
        )

    def customer_session(self, index: int = 0, device_id: str | None = None) -> CustomerSession:
        """A seeded customer on a device; logs in by e-mail, or by card if it has no e-mail.

        Args:
            index: Position of the customer, oldest first.
            device_id: As the application calls the device; `None` makes a random one.
        """
        from carecloud_async._calls.auth.customer import CustomerSession

        customer_id = self.customers.id_at(index)
        account = self.customers.account(customer_id)
        email = (self.customers.get(customer_id).get("personal_information") or {}).get("email")
        return CustomerSession(
            self.device(device_id),
            login_type="email" if email else "card",
            login_value=email or account.card or "",
            password=account.password or "",
        )

    def social_session(self, index: int = 0, device_id: str | None = None) -> SocialNetworkSession:
        """A seeded customer who logs in by social network; all seeded customers have one.

        Args:
            index: Position of the customer, oldest first.
            device_id: As the application calls the device; `None` makes a random one.
        """
        from carecloud_async._calls.auth.customer import SocialNetworkSession

        social = self.customers.account(self.customers.id_at(index)).social
        if social is None:
            raise ValueError("this customer has no social network")
        network, token = social
        return SocialNetworkSession(self.device(device_id), social_network_id=network, social_network_token=token)
