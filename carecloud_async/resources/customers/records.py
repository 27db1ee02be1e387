# pyright: reportReturnType=false
"""Parts of one customer: records of segments, statuses, sources and properties, addresses, relations, events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.batches import batches
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, deletes, gets, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class CustomerSegmentRecords(Resource, call="customers.segment_records"):
    """The segment records of one customer."""

    @lists("getSubCustomerSegments", "/customers/{customer_id}/segment-records", id_field=None, paged=False)
    def list(self, *, segment_group_ids: Sequence[str] | None = None) -> Listing[SegmentRecord]:
        """List those of any `segment_group_ids`, up to 1,000 (`GET /customers/{customer_id}/segment-records`)."""


class CustomerStatusRecords(Resource, call="customers.status_records"):
    """The status records of one customer."""

    @lists("getSubCustomerStatus", "/customers/{customer_id}/status-records", id_field="status_record_id")
    def list(self, *, valid_now: bool | None = None, **paging: Unpack[Paging]) -> Listing[StatusRecord]:
        """List status records, with `valid_now` the present one (`GET /customers/{customer_id}/status-records`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class CustomerRecommendationRecords(Resource, call="customers.recommendation_records"):
    """The recommendation records of one customer."""

    @lists(
        "getSubCustomerHintRecords",
        "/customers/{customer_id}/recommendation-records",
        "recommendations",
        id_field="recommendation_id",
    )
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Recommendation]:
        """List those whose name contains `name` (`GET /customers/{customer_id}/recommendation-records`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class CustomerSourceRecords(BulkWriting, call="customers.customer_source_records"):
    """The customer source records of one customer."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(
            Key(
                name="external_id",
                fields=("customer_source_id", "external_id"),
                ids=1,
                filter="external_ids",
                many=True,
                of="customers",  # whose rows may bring it too
            ),
        )
    )

    @lists(
        "getSubCustomerSource", "/customers/{customer_id}/customer-source-records", id_field="customer_source_record_id"
    )
    def list(
        self,
        *,
        external_id: str | None = None,
        customer_source_id: str | None = None,
        external_ids: Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[CustomerSourceRecord]:
        """List customer source records of the customer (`GET /customers/{customer_id}/customer-source-records`).

        Args:
            external_id: the id in another system.
            customer_source_id: id of the customer source.
            external_ids: any of these ids in other systems, up to 1,000.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts(
        "postSubCustomerSource", "/customers/{customer_id}/customer-source-records", unwrap="customer_source_record_id"
    )
    async def create(self, customer_source_record: CustomerSourceInput) -> str:
        """Create one and return its id (`POST /customers/{customer_id}/customer-source-records`)."""


class CustomerPropertyRecords(
    Updating["PropertyRecordChanges", "PropertyRecord"],
    call="customers.property_records",
    id_field="property_record_id",
):
    """The property records of one customer."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="property_record_id", by_id=True), Key(name="property_id")))

    @lists("getSubCustomerProperties", "/customers/{customer_id}/property-records", id_field="property_record_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[PropertyRecord]:
        """List property records of the customer (`GET /customers/{customer_id}/property-records`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postSubCustomerProperties", "/customers/{customer_id}/property-records", unwrap="property_record_id")
    async def create(self, property_record: PropertyRecordInput) -> str:
        """Create a property record and return its id (`POST /customers/{customer_id}/property-records`)."""

    @puts("putSubCustomerProperty", "/customers/{customer_id}/property-records/{property_record_id}")
    async def replace(self, property_record_id: str, property_record: PropertyRecordInput) -> None:
        """Replace a property record.

        `PUT /customers/{customer_id}/property-records/{property_record_id}`: omitted fields are deleted.
        """

    @deletes("deleteSubCustomerProperty", "/customers/{customer_id}/property-records/{property_record_id}")
    async def delete(self, property_record_id: str) -> None:
        """Delete the property record (`DELETE /customers/{customer_id}/property-records/{property_record_id}`)."""

    @batches("postSubCustomerPropertiesBatch", "/customers/{customer_id}/property-records/batch")
    async def batch(
        self, property_records: Sequence[PropertyRecordInput], *, error_processing: int | None = None
    ) -> None:
        """Write up to 1,000 property records (`POST /customers/{customer_id}/property-records/batch`).

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """


class CustomerInterestRecords(
    Updating["InterestRecordChanges", "InterestRecord"],
    call="customers.interest_records",
    ids_in_record=("customer_id",),
    id_field="interest_record_id",
):
    """The interest records of one customer."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="interest_record_id", by_id=True), Key(name="interest_id")))

    @lists(
        "getSubCustomerInterests",
        "/customers/{customer_id}/interest-records",
        id_field="interest_record_id",
        paged=False,
    )
    def list(self) -> Listing[InterestRecord]:
        """List interest records of the customer (`GET /customers/{customer_id}/interest-records`)."""

    @posts("postSubCustomerInterest", "/customers/{customer_id}/interest-records", unwrap="interest_record_id")
    async def create(self, interest_record: InterestRecordInput) -> str:
        """Create an interest record and return its id (`POST /customers/{customer_id}/interest-records`)."""

    @puts("putSubCustomerInterest", "/customers/{customer_id}/interest-records/{interest_record_id}")
    async def replace(self, interest_record_id: str, interest_record: InterestRecordInput) -> None:
        """Replace an interest record.

        `PUT /customers/{customer_id}/interest-records/{interest_record_id}`: omitted fields are deleted.
        """

    @deletes("deleteSubCustomerInterest", "/customers/{customer_id}/interest-records/{interest_record_id}")
    async def delete(self, interest_record_id: str) -> None:
        """Delete the interest record (`DELETE /customers/{customer_id}/interest-records/{interest_record_id}`)."""


class CustomerPartnerRecords(BulkWriting, call="customers.partner_records"):
    """The partner records of one customer."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="partner_id"),))

    @lists(
        "getSubCustomerPartners",
        "/customers/{customer_id}/partner-records",
        id_field="partner_record_id",
        interfaces=ENTERPRISE_ONLY,
    )
    def list(self, **paging: Unpack[Paging]) -> Listing[PartnerRecord]:
        """List the customer's partner records (`GET /customers/{customer_id}/partner-records`). Enterprise API only.

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postSubCustomerPartnerRecord", "/customers/{customer_id}/partner-records", unwrap="partner_record_id")
    async def create(self, partner_record: PartnerRecordInput) -> str:
        """Create a partner record and return its id (`POST /customers/{customer_id}/partner-records`)."""

    @deletes(
        "deleteSubCustomerPartner",
        "/customers/{customer_id}/partner-records/{partner_record_id}",
        interfaces=ENTERPRISE_ONLY,
    )
    async def delete(self, partner_record_id: str) -> None:
        """Delete one (`DELETE /customers/{customer_id}/partner-records/{partner_record_id}`). Enterprise API only."""


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
