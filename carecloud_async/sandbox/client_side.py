"""The one place where the sandbox knows the client: identities that fit it, made of the client's own classes."""

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
    from carecloud_async.auth.customer import CustomerSession, SocialNetworkSession
    from carecloud_async.auth.device import DeviceToken
    from carecloud_async.auth.enterprise import EnterpriseCredentials, SsoCredentials


def enterprise_credentials() -> EnterpriseCredentials:
    """The API user's credentials."""
    from carecloud_async.auth.enterprise import EnterpriseCredentials

    return EnterpriseCredentials(external_application_id=USER_APPLICATION_ID, login=USER_LOGIN, password=USER_PASSWORD)


def sso_credentials() -> SsoCredentials:
    """The API user's single sign-on."""
    from carecloud_async.auth.enterprise import SsoCredentials

    return SsoCredentials(external_application_id=USER_APPLICATION_ID, sso_token=SSO_TOKEN)


def device_token(device_id: str | None) -> DeviceToken:
    """A device of the sandbox's application.

    Args:
        device_id: As the application calls it; `None` makes a random one.
    """
    from carecloud_async.auth.device import Device, DeviceSetup, DeviceToken

    return DeviceToken(
        external_application_id=CUSTOMER_APPLICATION_ID,
        device=Device(device_id=device_id, device_system="OSX", device_name="Test device", device_type="iPhone"),
        setup=DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False),
    )


def customer_session(*, device_id: str | None, login_type: str, login_value: str, password: str) -> CustomerSession:
    """A customer on a device of its own.

    Args:
        device_id: As the application calls it; `None` makes a random one.
        login_type: `email`, `phone` or `card`.
        login_value: The e-mail, phone or card number.
        password: The customer's password.
    """
    from carecloud_async.auth.customer import CustomerSession

    device = device_token(device_id)
    return CustomerSession(device, login_type=login_type, login_value=login_value, password=password)


def social_session(*, device_id: str | None, network: str, token: str) -> SocialNetworkSession:
    """A customer on a device of its own, known from a social network.

    Args:
        device_id: As the application calls it; `None` makes a random one.
        network: Id of the social network.
        token: The customer's token there.
    """
    from carecloud_async.auth.customer import SocialNetworkSession

    device = device_token(device_id)
    return SocialNetworkSession(device, social_network_id=network, social_network_token=token)
