# pyright: reportReturnType=false
"""`Customers`: read, create, change and replace customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack

import attrs

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._calls.call.operation import CUSTOMER_ONLY
from carecloud_async._lists.listings.listing import Listing, listing
from carecloud_async.bulk.family import BulkWrites, Key, normal_email, normal_phone
from carecloud_async.errors import ConfigurationError, ResponseError
from carecloud_async.models.customer import Customer
from carecloud_async.resources.customers.actions import CustomerActions
from carecloud_async.resources.customers.bulk_lookups import EXTERNAL_ID, find_by_card_numbers, find_by_phone
from carecloud_async.resources.customers.loyalty import (
    CustomerCards,
    CustomerPoints,
    CustomerPurchases,
    CustomerRewardRecommendations,
    CustomerRewards,
    CustomerVouchers,
)
from carecloud_async.resources.customers.records import (
    CustomerAddresses,
    CustomerEvents,
    CustomerInterestRecords,
    CustomerPartnerRecords,
    CustomerPropertyRecords,
    CustomerRecommendationRecords,
    CustomerReferrals,
    CustomerRelatedCustomers,
    CustomerSegmentRecords,
    CustomerSourceRecords,
    CustomerStatusRecords,
)
from carecloud_async.resources.declare import Paging, SubResource, declared, gets, lists, posts, puts
from carecloud_async.resources.hints import changes_in_a_dict
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.bulk.parts import Parts
    from carecloud_async.models.customer_input import CustomerChanges, CustomerInput
    from carecloud_async.models.customer_source import CustomerSourceInput, SocialNetworkCredentialsInput
    from carecloud_async.models.property_record import PropertyRecordInput


def _check_autologin(customers: Customers, values: Mapping[str, Any]) -> None:
    if not values["autologin"]:
        return
    if not customers._acting:
        raise ConfigurationError(
            "autologin binds the calling token to the new customer: use it on client.acting_as(another device), "
            "all callers share the client's own"
        )
    if not values["password"]:
        raise ConfigurationError("autologin needs the new customer's password")


def _parts() -> Parts:
    from carecloud_async.resources.customers.bulk_parts import customer_parts  # few programs write in bulk

    return customer_parts()


class Customers(
    CustomerActions,
    Updating["CustomerChanges", "Customer"],
    call="customers",
    model="CustomerUpdateInput",
    extra_fields=("password", "social_network_credentials", "property_records"),
    required_objects=("personal_information",),
    superseded={"personal_information": ("agreement", "consents")},
):
    """The customers of the project, or on the customer interface the one who is logged in."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(
            Key(name="customer_id", filter="customer_ids", many=True, by_id=True),
            Key(
                name="email",
                fields=("personal_information.email",),
                filter="email_list",
                many=True,
                normal=normal_email,
            ),
            Key(
                name="phone",
                fields=("personal_information.phone",),
                filter="phone",
                normal=normal_phone,
                find=find_by_phone,
            ),
            EXTERNAL_ID,
            Key(
                name="card_number",
                filter="card_number_list",
                many=True,
                in_record=False,
                of="cards",
                find=find_by_card_numbers,
            ),
        ),
        create_fields={
            "customer_source_id": ("customer_source", "customer_source_id"),
            "external_id": ("customer_source", "external_id"),
            "password": ("password",),
            "referral_code": ("referral_code",),
        },
        required_create_fields=("customer_source_id",),
        parts=_parts,
    )

    purchases: SubResource[CustomerPurchases] = SubResource(CustomerPurchases)
    points: SubResource[CustomerPoints] = SubResource(CustomerPoints)
    vouchers: SubResource[CustomerVouchers] = SubResource(CustomerVouchers)
    rewards: SubResource[CustomerRewards] = SubResource(CustomerRewards)
    reward_recommendations: SubResource[CustomerRewardRecommendations] = SubResource(CustomerRewardRecommendations)
    cards: SubResource[CustomerCards] = SubResource(CustomerCards)
    segment_records: SubResource[CustomerSegmentRecords] = SubResource(CustomerSegmentRecords)
    status_records: SubResource[CustomerStatusRecords] = SubResource(CustomerStatusRecords)
    recommendation_records: SubResource[CustomerRecommendationRecords] = SubResource(CustomerRecommendationRecords)
    customer_source_records: SubResource[CustomerSourceRecords] = SubResource(CustomerSourceRecords)
    property_records: SubResource[CustomerPropertyRecords] = SubResource(CustomerPropertyRecords)
    interest_records: SubResource[CustomerInterestRecords] = SubResource(CustomerInterestRecords)
    addresses: SubResource[CustomerAddresses] = SubResource(CustomerAddresses)
    events: SubResource[CustomerEvents] = SubResource(CustomerEvents)
    related_customers: SubResource[CustomerRelatedCustomers] = SubResource(CustomerRelatedCustomers)
    referrals: SubResource[CustomerReferrals] = SubResource(CustomerReferrals)
    partner_records: SubResource[CustomerPartnerRecords] = SubResource(CustomerPartnerRecords)

    @lists("getCustomers", "/customers", id_field="customer_id")
    def list(
        self,
        *,
        email: str | None = None,
        phone: str | None = None,
        customer_source_id: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        birthdate: date | str | None = None,
        email_list: Sequence[str] | None = None,
        customer_ids: Sequence[str] | None = None,
        customer_short_salutation: bool | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Customer]:
        """List customers that match all filters (`GET /customers`).

        Args:
            email: the exact e-mail.
            phone: the phone number with its international prefix.
            customer_source_id: id of the customer source.
            birthdate: a date, `YYYY-MM-DD` or `DD.MM.YYYY`.
            email_list: any of these e-mails, up to 1,000.
            customer_ids: any of these ids, up to 1,000.
            customer_short_salutation: whether the salutation comes in its short form.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.

        Raises:
            ConfigurationError: a number is out of range, or a filter is of the wrong kind, empty or too long.
        """

    @gets("getCustomer", "/customers/{customer_id}")
    async def get(self, customer_id: str, *, customer_short_salutation: bool | None = None) -> Customer:
        """Return one customer (`GET /customers/{customer_id}`).

        Args:
            customer_id: the customer.
            customer_short_salutation: whether the salutation comes in its short form.

        Raises:
            NotFoundError: there is no such customer.
        """

    async def me(self) -> Customer:
        """Return the customer who is logged in (`GET /customers` on the customer interface).

        Raises:
            InterfaceError: this identity is not a customer.
            SessionExpiredError: the login is over and cannot be renewed.
            ResponseError: no customer is logged in on this device token.
        """
        customer = await listing(self._caller, _ME, Customer).first()
        if customer is None:
            raise ResponseError(f"{_ME.title}: no customer is logged in on this token")
        return customer

    @posts("postCustomer", "/customers", unwrap="customer_id", check=_check_autologin)
    async def create(
        self,
        customer: CustomerInput,
        *,
        customer_source: CustomerSourceInput,
        password: str | None = None,
        property_records: Sequence[PropertyRecordInput] | None = None,
        social_network_credentials: SocialNetworkCredentialsInput | None = None,
        referral_code: str | None = None,
        autologin: bool = False,
    ) -> str:
        """Create a customer (`POST /customers`) and return the new customer's id.

        Args:
            customer: the record.
            customer_source: where the customer comes from.
            password: the customer's password; required with `autologin`.
            property_records: values of the project's own properties.
            social_network_credentials: a login through a social network.
            referral_code: the code of the customer who referred this one.
            autologin: log the calling device token in as the new customer. Only on a view made by `acting_as` for
                another device than the client's own, which would turn everyone's token into this customer's.

        Raises:
            BadRequestError: for example `has_reason("already_exists")`.
            OutcomeUnknownError: the answer was lost; look for the customer before trying again.
            ConfigurationError: `autologin` on the client's own device or without a password, or a read model as
                input.
        """

    @changes_in_a_dict
    async def update(
        self,
        customer_id: str,
        changes: CustomerChanges,
        *,
        if_unchanged: Customer | None = None,
        allow_unknown: bool = False,
    ) -> None:
        """Change the fields that you name, and keep all others (`GET`, then `PUT /customers/{customer_id}`).

        `password`, `social_network_credentials` and `property_records` are sent only if they are named. If they are
        omitted, the API keeps the first two; it promises nothing for the third. The API ignores the older `agreement`
        of a customer who has `consents`: changing it raises, name `consents`. All errors: `Updating.update`.

        Args:
            customer_id: id of the customer.
            changes: the new values. Dicts are merged, lists are replaced, `None` sends null.
            if_unchanged: the customer as it was read; if it has changed, `ConflictError` and nothing is sent.
            allow_unknown: send names that the SDK does not know.
        """
        changes = conceal(changes)
        await super().update(customer_id, changes, if_unchanged=if_unchanged, allow_unknown=allow_unknown)

    @puts("putCustomer", "/customers/{customer_id}")
    async def replace(
        self,
        customer_id: str,
        customer: CustomerInput,
        *,
        password: str | Unset | None = UNSET,
        property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET,
        social_network_credentials: SocialNetworkCredentialsInput | Unset | None = UNSET,
    ) -> None:
        """Replace the whole record (`PUT /customers/{customer_id}`): omitted fields are deleted.

        Args:
            customer_id: the customer.
            customer: the new record.
            password: a new password; left out, the old one stays.
            property_records: values of the project's own properties.
            social_network_credentials: a login through a social network; left out, the old one stays.

        Raises:
            ConfigurationError: a read model as input; `update` is what changes parts of a record.
            NotFoundError: there is no such customer.
        """


#: `me` is the list as the customer interface answers it: the customer who is logged in, alone.
_ME: Final = attrs.evolve(declared(Customers.list).operation, call="customers.me", interfaces=CUSTOMER_ONLY)
