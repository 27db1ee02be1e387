# pyright: reportReturnType=false
"""Parts of one customer: addresses, related customers, referrals, events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, deletes, gets, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class CustomerAddresses(Updating["AdditionalAddressChanges", "AdditionalAddress"], call="customers.addresses"):
    """The addresses of one customer."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="additional_address_id", by_id=True),))

    @lists("getSubCustomerAddresses", "/customers/{customer_id}/addresses", id_field="additional_address_id")
    def list(
        self, *, customer_address_type_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[AdditionalAddress]:
        """List the addresses of one `customer_address_type_id` (`GET /customers/{customer_id}/addresses`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postSubCustomerAddress", "/customers/{customer_id}/addresses", unwrap="additional_address_id")
    async def create(self, additional_address: AdditionalAddressInput) -> str:
        """Create an address and return its id (`POST /customers/{customer_id}/addresses`)."""

    @gets(
        "getSubCustomerAddress",
        "/customers/{customer_id}/addresses/{additional_customer_address_id_path}",
        rename={"additional_address_id": "additional_customer_address_id_path"},
    )
    async def get(self, additional_address_id: str) -> AdditionalAddress:
        """Return the address (`GET /customers/{customer_id}/addresses/{additional_customer_address_id_path}`)."""

    @puts(
        "putSubCustomerAddress",
        "/customers/{customer_id}/addresses/{additional_customer_address_id_path}",
        rename={"additional_address_id": "additional_customer_address_id_path"},
    )
    async def replace(self, additional_address_id: str, additional_address: AdditionalAddressInput) -> None:
        """Replace an address.

        `PUT /customers/{customer_id}/addresses/{additional_customer_address_id_path}`: omitted fields are deleted.
        """


class CustomerRelatedCustomers(BulkWriting, call="customers.related_customers"):
    """The related customers of one customer."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="related_customer_id", filter="related_customer_id"),))

    @lists(
        "getSubCustomerRelatedCustomers", "/customers/{customer_id}/related-customers", id_field="customer_relation_id"
    )
    def list(
        self,
        *,
        related_customer_id: str | None = None,
        customer_relation_type_id: str | None = None,
        all_customer_relations: bool | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[RelatedCustomer]:
        """List related customers of the customer (`GET /customers/{customer_id}/related-customers`).

        Args:
            related_customer_id: id of the other customer.
            customer_relation_type_id: id of the customer relation type.
            all_customer_relations: past relations too.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts(
        "postSubCustomerRelatedCustomers", "/customers/{customer_id}/related-customers", unwrap="customer_relation_id"
    )
    async def create(self, related_customer: RelatedCustomerInput) -> str:
        """Create a related customer and return its id (`POST /customers/{customer_id}/related-customers`)."""

    @gets("getSubCustomerRelatedCustomer", "/customers/{customer_id}/related-customers/{customer_relation_id}")
    async def get(self, customer_relation_id: str) -> RelatedCustomer:
        """Return the related customer (`GET /customers/{customer_id}/related-customers/{customer_relation_id}`)."""

    @deletes("deleteSubCustomerRelatedCustomer", "/customers/{customer_id}/related-customers/{customer_relation_id}")
    async def delete(self, customer_relation_id: str) -> None:
        """Delete the related customer (`DELETE /customers/{customer_id}/related-customers/{customer_relation_id}`)."""


class CustomerReferrals(Resource, call="customers.referrals"):
    """The referrals of one customer."""

    @lists("getSubCustomerReferrals", "/customers/{customer_id}/referrals", id_field="referral_id")
    def list(
        self,
        *,
        is_valid: bool | None = None,
        referral_campaign_id: str | None = None,
        referral_code: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Referral]:
        """List referrals of the customer that match all filters (`GET /customers/{customer_id}/referrals`).

        Args:
            is_valid: `True`, the API's default, for valid ones only; `False` for those that are no longer valid.
            referral_campaign_id: id of the referral campaign; by default the project's own.
            referral_code: code of the customer who referred this one.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """


class CustomerEvents(Resource, call="customers.events"):
    """The events of one customer."""

    @lists("getSubCustomerEvents", "/customers/{customer_id}/events", "customer_events", id_field="event_id")
    def list(
        self,
        *,
        event_type_id: str | None = None,
        external_id: str | None = None,
        event_type_ids: Sequence[str] | None = None,
        include_property_records: bool | None = None,
        time_from: datetime | str | None = None,
        time_to: datetime | str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Event]:
        """List events of the customer that match all filters (`GET /customers/{customer_id}/events`).

        Args:
            event_type_id: id of the event type.
            external_id: the id in another system.
            event_type_ids: any of these ids, up to 1,000.
            include_property_records: whether each record comes with its property records.
            time_from: from this time on.
            time_to: until this time.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """
