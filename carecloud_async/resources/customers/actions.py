# pyright: reportReturnType=false
"""Actions of `client.customers`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async.resources.declare import Resource, gets, posts
from carecloud_async.resources.uploads import encode_photo

if TYPE_CHECKING:
    from carecloud_async._calls.auth.customer import Device
    from carecloud_async.models import *
    from carecloud_async.models.input_fields import Upload


class CustomerActions(Resource, call="customers"):
    """What can be done with customers; `Customers` inherits it."""

    @posts(
        "postCustomerVerifyCredentials",
        "/customers/actions/verify-credentials",
        unwrap="customer_id",
        interfaces=ENTERPRISE_ONLY,
        safe_to_repeat=True,
    )
    async def verify_credentials(self, *, login_type: str, login_value: str, password: str) -> str:
        """Return the id of the customer with these credentials (`POST /customers/actions/verify-credentials`).

        It does not log the customer in. Enterprise API only.

        Args:
            login_type: see `LoginType`.
            login_value: what the customer logs in with.
            password: the customer's password.
        """

    @posts(
        "postCustomerVerifySocialNetworkCredentials",
        "/customers/actions/verify-social-network-credentials",
        unwrap="customer_id",
        interfaces=ENTERPRISE_ONLY,
        safe_to_repeat=True,
    )
    async def verify_social_network_credentials(self, social_network_credentials: SocialNetworkCredentialsInput) -> str:
        """Return the id of the customer with this login (`POST /customers/actions/verify-social-network-credentials`).

        Enterprise API only.
        """

    @posts("postCustomersAuthToken", "/customers/actions/auth-token", interfaces=ENTERPRISE_ONLY)
    async def auth_token(
        self, *, customer_id: str, external_application_id: str, token_type: int
    ) -> AuthenticationToken:
        """Return a token that hands a customer over to an application (`POST /customers/actions/auth-token`).

        Enterprise API only.

        Args:
            customer_id: id of the customer.
            external_application_id: id of the application.
            token_type: see `CodeType`.
        """

    @posts(
        "postCustomersVerifyAuthToken",
        "/customers/actions/verify-auth-token",
        unwrap="customer_id",
        interfaces=ENTERPRISE_ONLY,
    )
    async def verify_auth_token(self, *, application_id: str, token: str, token_request_id: str) -> str:
        """Return an authentication token's customer (`POST /customers/actions/verify-auth-token`). Enterprise API only.

        Never repeated after a lost answer: a token that may be used once would be refused the second time.

        Args:
            application_id: id of the application that the token is for.
            token_request_id: id of the request that issued the token.
        """

    @posts(
        "postCustomersValidateCustomerData",
        "/customers/actions/validate-customer-data",
        unwrap="is_valid",
        safe_to_repeat=True,
        authorized=False,
    )
    async def validate_customer_data(self, *, type: str, value: str) -> bool:  # noqa: A002
        """Return whether CareCloud takes a password or a referral code.

        `POST /customers/actions/validate-customer-data`.

        Needs no token.

        Args:
            type: see `CustomerDataType`.
            value: the password or referral code.
        """

    @gets("getCustomerSearch", "/customers/actions/search-customers", interfaces=ENTERPRISE_ONLY)
    async def search_customers(
        self,
        *,
        first_name: str | None = None,
        last_name: str | None = None,
        birthdate: date | str | None = None,
        card_number: str | None = None,
        mode: str | None = None,
    ) -> CustomerSearchResult:
        """Search customers by name, birthdate or card (`GET /customers/actions/search-customers`). Enterprise API only.

        Args:
            first_name: the given name.
            last_name: the family name.
            birthdate: a date, `YYYY-MM-DD` or `DD.MM.YYYY`.
            card_number: number of the card.
            mode: see `SearchMode`.
        """

    @posts("postCustomersUploadPhoto", "/customers/actions/upload-customer-photo", prepare=encode_photo)
    async def upload_customer_photo(self, *, customer_id: str, data: Upload) -> None:
        """Replace the customer's photo (`POST /customers/actions/upload-customer-photo`).

        Args:
            customer_id: id of the customer.
            data: a JPEG or PNG of at most 2 MB as bytes, a path (`pathlib.Path`), a file open in binary mode, or text
                that is base64 already.

        Raises:
            ConfigurationError: it is empty, too large or cannot be read; nothing was sent.
        """

    @posts("postSubCustomerSetPartners", "/customers/actions/set-partners", interfaces=ENTERPRISE_ONLY)
    async def set_partners(self, *, customer_id: str, partner_records: Sequence[PartnerRecordInput]) -> None:
        """Replace the customer's partners (`POST /customers/actions/set-partners`). Enterprise API only."""

    @posts(
        "postCustomersSetStatusRecord",
        "/customers/actions/set-status-record",
        unwrap="status_record_id",
        interfaces=ENTERPRISE_ONLY,
    )
    async def set_status_record(
        self,
        *,
        status_id: str,
        customer_id: str,
        valid_from: datetime | str | None = None,
        valid_to: datetime | str | None = None,
    ) -> str:
        """Replace the loyalty status and return the record's id (`POST /customers/actions/set-status-record`).

        Enterprise API only.

        Args:
            status_id: id of the status.
            customer_id: id of the customer.
            valid_from: when the status begins to be valid.
            valid_to: when the status stops being valid.
        """

    @posts("postCustomerNewslettersSignUp", "/customers/actions/newsletters-sign-up")
    async def newsletters_sign_up(
        self,
        *,
        contact: str,
        customer_source_id: str,
        agreements: AgreementInput | None = None,
        language_id: str | None = None,
        partner_records: Sequence[PartnerRecordInput] | None = None,
    ) -> None:
        """Sign a contact up for the newsletter (`POST /customers/actions/newsletters-sign-up`).

        Args:
            contact: e-mail address or phone number.
            customer_source_id: id of the customer source.
            agreements: the contact's consents.
            language_id: ISO 639-1 code of the language.
            partner_records: the partners the customer belongs to.
        """

    @posts("postCustomerSetPushNotifications", "/customers/actions/set-push-notifications", interfaces=ENTERPRISE_ONLY)
    async def set_push_notifications(
        self, *, customer_id: str, device: Device, external_application_id: str, push_token: str
    ) -> None:
        """Register a device of the customer for push notifications (`POST /customers/actions/set-push-notifications`).

        Enterprise API only.

        Args:
            customer_id: id of the customer.
            external_application_id: id of the application.
            push_token: token for push notifications, of Apple or Google.
        """

    @posts(
        "postCustomerCancelPushNotifications",
        "/customers/actions/cancel-push-notifications",
        interfaces=ENTERPRISE_ONLY,
    )
    async def cancel_push_notifications(
        self, *, customer_id: str, external_application_id: str, push_token: str | None = None
    ) -> None:
        """End push notifications of one device or all (`POST /customers/actions/cancel-push-notifications`).

        Enterprise API only.

        Args:
            customer_id: id of the customer.
            external_application_id: id of the application.
            push_token: token for push notifications, of Apple or Google.
        """

    @posts(
        "postCustomersCheckRegistrationAbility",
        "/customers/actions/check-registration-ability",
        unwrap="registration_ability",
        safe_to_repeat=True,
    )
    async def check_registration_ability(self, *, type: str, value: str) -> bool:  # noqa: A002
        """Return whether such a customer could register (`POST /customers/actions/check-registration-ability`).

        On the Customer API it is off until an administrator turns it on.

        Args:
            type: see `RegistrationIdentifier`.
            value: the e-mail address or phone number.
        """
