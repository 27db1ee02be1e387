# pyright: reportReturnType=false
"""`client.customer_address_types`, `client.customer_engagement_setups` and 6 more families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, gets, lists

if TYPE_CHECKING:
    from carecloud_async.models import *


class CustomerAddressTypes(Resource, call="customer_address_types"):
    """The kinds of customers' additional addresses."""

    @lists("getCustomerAddressTypes", "/customer-address-types", id_field="address_type_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[CustomerAddressType]:
        """List customer address types (`GET /customer-address-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCustomerAddressType", "/customer-address-types/{customer_address_type_id}")
    async def get(self, customer_address_type_id: str) -> CustomerAddressType:
        """Return the customer address type with this id (`GET /customer-address-types/{customer_address_type_id}`)."""


class CustomerEngagementSetups(Resource, call="customer_engagement_setups"):
    """The setups of customer engagement for applications."""

    @lists("getCustomerEngagementSetups", "/customer-engagement-setups", id_field="setup_id", authorized=False)
    def list(self, **paging: Unpack[Paging]) -> Listing[CustomerEngagementSetup]:
        """List customer engagement setups (`GET /customer-engagement-setups`). Needs no token.

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCustomerEngagementSetup", "/customer-engagement-setups/{customer_engagement_setup_id}", authorized=False)
    async def get(self, customer_engagement_setup_id: str) -> CustomerEngagementSetup:
        """Return the customer engagement setup (`GET /customer-engagement-setups/{customer_engagement_setup_id}`).

        Needs no token.
        """


class CustomerExternalApplications(Resource, call="customer_external_applications"):
    """The applications that use the Customer API."""

    @lists(
        "getCustomerExternalApps",
        "/customer-external-applications",
        id_field="external_application_id",
        authorized=False,
    )
    def list(
        self, *, text_id: str | Sequence[str] | None = None, **paging: Unpack[Paging]
    ) -> Listing[ExternalApplication]:
        """List customer external applications by one `text_id` or several (`GET /customer-external-applications`).

        Needs no token.

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets(
        "getCustomerExternalApp", "/customer-external-applications/{customer_external_application_id}", authorized=False
    )
    async def get(self, customer_external_application_id: str) -> ExternalApplication:
        """Return one (`GET /customer-external-applications/{customer_external_application_id}`).

        Needs no token.
        """


class CustomerProperties(Resource, call="customer_properties"):
    """The properties of customers that the project has defined."""

    @lists("getCustomerProperties", "/customer-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List customer properties whose name contains `name` (`GET /customer-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCustomerProperty", "/customer-properties/{customer_property_id}")
    async def get(self, customer_property_id: str) -> Property:
        """Return the customer property with this id (`GET /customer-properties/{customer_property_id}`)."""


class CustomerRelationTypes(Resource, call="customer_relation_types"):
    """The kinds of relations between customers."""

    @lists("getCustomerRelationTypes", "/customer-relation-types", id_field="customer_relation_type_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[CustomerRelationType]:
        """List customer relation types (`GET /customer-relation-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCustomerRelationType", "/customer-relation-types/{customer_relation_type_id}")
    async def get(self, customer_relation_type_id: str) -> CustomerRelationType:
        """Return the customer relation type (`GET /customer-relation-types/{customer_relation_type_id}`)."""


class CustomerSources(Resource, call="customer_sources"):
    """The systems that customers come from, such as a shop."""

    @lists("getCustomerSources", "/customer-sources", id_field="customer_source_id")
    def list(self, *, customer_source_text_id: str | None = None, **paging: Unpack[Paging]) -> Listing[CustomerSource]:
        """List customer sources with the fixed id `customer_source_text_id` (`GET /customer-sources`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCustomerSource", "/customer-sources/{customer_source_id}")
    async def get(self, customer_source_id: str) -> CustomerSource:
        """Return the customer source with this id (`GET /customer-sources/{customer_source_id}`)."""


class CustomerSourceRecords(Resource, call="customer_source_records"):
    """The links between customers and their accounts in other systems."""

    @lists("getCustomerSourceRecords", "/customer-source-records", id_field="customer_source_record_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        external_id: str | None = None,
        customer_source_id: str | None = None,
        external_ids: Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[CustomerSourceRecord]:
        """List customer source records that match all filters (`GET /customer-source-records`).

        Args:
            customer_id: id of the customer.
            external_id: the id in another system.
            customer_source_id: id of the customer source.
            external_ids: any of these ids in other systems, up to 1,000.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """


class CustomerTypes(Resource, call="customer_types"):
    """The kinds of customers."""

    @lists("getCustomerTypes", "/customer-types", id_field="type_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[CustomerType]:
        """List customer types (`GET /customer-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCustomerType", "/customer-types/{customer_type_id}")
    async def get(self, customer_type_id: str) -> CustomerType:
        """Return the customer type with this id (`GET /customer-types/{customer_type_id}`)."""
