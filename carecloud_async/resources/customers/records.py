"""Parts of one customer: segment records, status records, recommendation records, customer source records and more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from carecloud_async.calls.operation import ENTERPRISE_ONLY
from carecloud_async.paging.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, deletes, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models.customer_records import (
        InterestRecord,
        InterestRecordChanges,
        InterestRecordInput,
        PartnerRecord,
        PartnerRecordInput,
    )
    from carecloud_async.models.customer_source import CustomerSourceInput, CustomerSourceRecord
    from carecloud_async.models.loyalty import StatusRecord
    from carecloud_async.models.products import Recommendation
    from carecloud_async.models.property_record import PropertyRecord, PropertyRecordChanges, PropertyRecordInput
    from carecloud_async.models.segments import SegmentRecord


class CustomerSegmentRecords(Resource, call="customers.segment_records"):
    """The segment records of one customer."""

    @lists(
        "getSubCustomerSegments", "/customers/{customer_id}/segment-records", "segment_records", key=None, paged=False
    )
    def list(self, *, segment_group_ids: Sequence[str] | None = None) -> Listing[SegmentRecord]:
        """List segment records of the customer that match all filters.

        `GET /customers/{customer_id}/segment-records`.

        Args:
            segment_group_ids: any of these ids, up to 1,000.
        """
        ...


class CustomerStatusRecords(Resource, call="customers.status_records"):
    """The status records of one customer."""

    @lists("getSubCustomerStatus", "/customers/{customer_id}/status-records", "status_records", key="status_record_id")
    def list(self, *, valid_now: bool | None = None, **paging: Unpack[Paging]) -> Listing[StatusRecord]:
        """List status records of the customer that match all filters.

        `GET /customers/{customer_id}/status-records`.

        Args:
            valid_now: only the one valid now.
        """
        ...


class CustomerRecommendationRecords(Resource, call="customers.recommendation_records"):
    """The recommendation records of one customer."""

    @lists(
        "getSubCustomerHintRecords",
        "/customers/{customer_id}/recommendation-records",
        "recommendations",
        key="recommendation_id",
    )
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Recommendation]:
        """List recommendation records of the customer that match all filters.

        `GET /customers/{customer_id}/recommendation-records`.

        Args:
            name: part of the name.
        """
        ...


class CustomerSourceRecords(Resource, call="customers.customer_source_records"):
    """The customer source records of one customer."""

    @lists(
        "getSubCustomerSource",
        "/customers/{customer_id}/customer-source-records",
        "customer_source_records",
        key="customer_source_record_id",
    )
    def list(
        self,
        *,
        external_id: str | None = None,
        customer_source_id: str | None = None,
        external_ids: Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[CustomerSourceRecord]:
        """List customer source records of the customer that match all filters.

        `GET /customers/{customer_id}/customer-source-records`.

        Args:
            external_id: the id in another system.
            customer_source_id: id of the customer source.
            external_ids: any of these ids in other systems, up to 1,000.
        """
        ...

    @posts(
        "postSubCustomerSource", "/customers/{customer_id}/customer-source-records", answer="customer_source_record_id"
    )
    async def create(self, customer_source_record: CustomerSourceInput) -> str:
        """Create a customer source record and return its id.

        `POST /customers/{customer_id}/customer-source-records`.
        """
        ...


class CustomerPropertyRecords(Updating, call="customers.property_records"):
    """The property records of one customer."""

    @lists(
        "getSubCustomerProperties",
        "/customers/{customer_id}/property-records",
        "property_records",
        key="property_record_id",
    )
    def list(self, **paging: Unpack[Paging]) -> Listing[PropertyRecord]:
        """List property records of the customer (`GET /customers/{customer_id}/property-records`)."""
        ...

    @posts("postSubCustomerProperties", "/customers/{customer_id}/property-records", answer="property_record_id")
    async def create(self, property_record: PropertyRecordInput) -> str:
        """Create a property record and return its id (`POST /customers/{customer_id}/property-records`)."""
        ...

    @puts("putSubCustomerProperty", "/customers/{customer_id}/property-records/{property_record_id}")
    async def replace(self, property_record_id: str, property_record: PropertyRecordInput) -> None:
        """Replace a property record.

        `PUT /customers/{customer_id}/property-records/{property_record_id}`: what is left out is deleted.
        """
        ...

    async def update(
        self,
        property_record_id: str,
        changes: PropertyRecordChanges,
        *,
        if_unchanged: PropertyRecord | None = None,
        allow_unknown: bool = False,
    ) -> None:
        """Change what is named of a property record and nothing else.

        `PUT /customers/{customer_id}/property-records/{property_record_id}`.

        The record is found in the list, since there is no GET of it.

        The arguments and errors are those of `Customers.update`.
        """
        await self._update(
            property_record_id,
            changes,
            key="property_record_id",
            if_unchanged=if_unchanged,
            allow_unknown=allow_unknown,
        )

    @deletes("deleteSubCustomerProperty", "/customers/{customer_id}/property-records/{property_record_id}")
    async def delete(self, property_record_id: str) -> None:
        """Delete the property record with this id.

        `DELETE /customers/{customer_id}/property-records/{property_record_id}`.
        """
        ...

    @posts("postSubCustomerPropertiesBatch", "/customers/{customer_id}/property-records/batch")
    async def batch(
        self, property_records: Sequence[PropertyRecordInput], *, error_processing: int | None = None
    ) -> None:
        """Write up to 1,000 property records (`POST /customers/{customer_id}/property-records/batch`).

        `error_processing` says what happens when a record is at fault: all is undone, or the others are written.

        Args:
            property_records: values of the project's own properties.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...


class CustomerInterestRecords(Updating, call="customers.interest_records"):
    """The interest records of one customer."""

    @lists(
        "getSubCustomerInterests",
        "/customers/{customer_id}/interest-records",
        "interest_records",
        key="interest_record_id",
        paged=False,
    )
    def list(self) -> Listing[InterestRecord]:
        """List interest records of the customer (`GET /customers/{customer_id}/interest-records`)."""
        ...

    @posts("postSubCustomerInterest", "/customers/{customer_id}/interest-records", answer="interest_record_id")
    async def create(self, interest_record: InterestRecordInput) -> str:
        """Create an interest record and return its id (`POST /customers/{customer_id}/interest-records`)."""
        ...

    @puts("putSubCustomerInterest", "/customers/{customer_id}/interest-records/{interest_record_id}")
    async def replace(self, interest_record_id: str, interest_record: InterestRecordInput) -> None:
        """Replace an interest record.

        `PUT /customers/{customer_id}/interest-records/{interest_record_id}`: what is left out is deleted.
        """
        ...

    async def update(
        self,
        interest_record_id: str,
        changes: InterestRecordChanges,
        *,
        if_unchanged: InterestRecord | None = None,
        allow_unknown: bool = False,
    ) -> None:
        """Change what is named of an interest record and nothing else.

        `PUT /customers/{customer_id}/interest-records/{interest_record_id}`.

        The record is found in the list, since there is no GET of it.

        The arguments and errors are those of `Customers.update`.
        """
        await self._update(
            interest_record_id,
            changes,
            inside=("customer_id",),
            key="interest_record_id",
            if_unchanged=if_unchanged,
            allow_unknown=allow_unknown,
        )

    @deletes("deleteSubCustomerInterest", "/customers/{customer_id}/interest-records/{interest_record_id}")
    async def delete(self, interest_record_id: str) -> None:
        """Delete the interest record with this id.

        `DELETE /customers/{customer_id}/interest-records/{interest_record_id}`.
        """
        ...


class CustomerPartnerRecords(Resource, call="customers.partner_records"):
    """The partner records of one customer."""

    @lists(
        "getSubCustomerPartners",
        "/customers/{customer_id}/partner-records",
        "partner_records",
        key="partner_record_id",
        interfaces=ENTERPRISE_ONLY,
    )
    def list(self, **paging: Unpack[Paging]) -> Listing[PartnerRecord]:
        """List partner records of the customer.

        `GET /customers/{customer_id}/partner-records`. Enterprise API only.
        """
        ...

    @posts("postSubCustomerPartnerRecord", "/customers/{customer_id}/partner-records", answer="partner_record_id")
    async def create(self, partner_record: PartnerRecordInput) -> str:
        """Create a partner record and return its id (`POST /customers/{customer_id}/partner-records`)."""
        ...

    @deletes(
        "deleteSubCustomerPartner",
        "/customers/{customer_id}/partner-records/{partner_record_id}",
        interfaces=ENTERPRISE_ONLY,
    )
    async def delete(self, partner_record_id: str) -> None:
        """Delete the partner record with this id.

        `DELETE /customers/{customer_id}/partner-records/{partner_record_id}`. Enterprise API only.
        """
        ...
