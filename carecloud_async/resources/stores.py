# pyright: reportReturnType=false
"""`client.stores`, `client.store_groups` and 3 more families."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.declare import Paging, Resource, SubResource, deletes, gets, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class StorePropertyRecords(
    Updating["PropertyRecordChanges", "PropertyRecord"], call="stores.property_records", id_field="property_record_id"
):
    """The property records of one store."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="property_record_id", by_id=True), Key(name="property_id")))

    @lists("getSubStoreProperties", "/stores/{store_id}/property-records", id_field="property_record_id", paged=False)
    def list(self) -> Listing[PropertyRecord]:
        """List property records of the store (`GET /stores/{store_id}/property-records`)."""

    @posts("postSubStoreProperties", "/stores/{store_id}/property-records", unwrap="property_record_id")
    async def create(self, property_record: PropertyRecordInput) -> str:
        """Create a property record and return its id (`POST /stores/{store_id}/property-records`)."""

    @puts("putSubStoreProperty", "/stores/{store_id}/property-records/{property_record_id}")
    async def replace(self, property_record_id: str, property_record: PropertyRecordInput) -> None:
        """Replace a property record.

        `PUT /stores/{store_id}/property-records/{property_record_id}`: omitted fields are deleted.
        """

    @deletes("deleteSubStoreProperty", "/stores/{store_id}/property-records/{property_record_id}")
    async def delete(self, property_record_id: str) -> None:
        """Delete the property record (`DELETE /stores/{store_id}/property-records/{property_record_id}`)."""


class StoreGroupRecords(Resource, call="stores.store_group_records"):
    """The store group records of one store."""

    @lists("getSubStoreGroups", "/stores/{store_id}/store-group-records", id_field="store_group_record_id", paged=False)
    def list(self) -> Listing[StoreGroupRecord]:
        """List store group records of the store (`GET /stores/{store_id}/store-group-records`)."""


class Stores(Updating["StoreChanges", "Store"], call="stores"):
    """The stores of the project."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="store_id", by_id=True), Key(name="system_id", filter="system_id"))
    )

    property_records: SubResource[StorePropertyRecords] = SubResource(StorePropertyRecords)
    store_group_records: SubResource[StoreGroupRecords] = SubResource(StoreGroupRecords)

    @lists("getStores", "/stores", id_field="store_id")
    def list(
        self,
        *,
        visible_for_customer: int | None = None,
        property_id: str | None = None,
        property_value: str | None = None,
        system_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Store]:
        """List stores that match all filters (`GET /stores`).

        Args:
            visible_for_customer: see `Visibility`.
            property_id: id of the property.
            property_value: text, number, boolean, list or object, as the property's data type has it; dates are text.
            system_id: id of the store in another system.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts("postStore", "/stores", unwrap="store_id")
    async def create(self, store: StoreInput) -> str:
        """Create a store and return its id (`POST /stores`)."""

    @gets("getStore", "/stores/{store_id}")
    async def get(self, store_id: str) -> Store:
        """Return the store with this id (`GET /stores/{store_id}`)."""

    @puts("putStore", "/stores/{store_id}")
    async def replace(self, store_id: str, store: StoreInput) -> None:
        """Replace a store (`PUT /stores/{store_id}`): omitted fields are deleted."""


class StoreGroups(Resource, call="store_groups"):
    """The groups of stores."""

    @lists("getStoreGroups", "/store-groups", id_field="store_group_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[StoreGroup]:
        """List store groups whose name contains `name` (`GET /store-groups`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getStoreGroup", "/store-groups/{store_group_id}")
    async def get(self, store_group_id: str) -> StoreGroup:
        """Return the store group with this id (`GET /store-groups/{store_group_id}`)."""


class StoreProperties(Resource, call="store_properties"):
    """The properties of stores that the project has defined."""

    @lists("getStoreProperties", "/store-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List store properties whose name contains `name` (`GET /store-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getStoreProperty", "/store-properties/{store_property_id}")
    async def get(self, store_property_id: str) -> Property:
        """Return the store property with this id (`GET /store-properties/{store_property_id}`)."""


class PartnerPropertyRecords(Resource, call="partners.property_records"):
    """The property records of one partner."""

    @lists(
        "getSubPartnerProperties", "/partners/{partner_id}/property-records", id_field="property_record_id", paged=False
    )
    def list(self) -> Listing[PropertyRecord]:
        """List property records of the partner (`GET /partners/{partner_id}/property-records`)."""


class Partners(Resource, call="partners"):
    """The partner companies of the project."""

    property_records: SubResource[PartnerPropertyRecords] = SubResource(PartnerPropertyRecords)

    @lists("getPartners", "/partners", id_field="partner_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[Partner]:
        """List partners (`GET /partners`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getPartner", "/partners/{partner_id}")
    async def get(self, partner_id: str) -> Partner:
        """Return the partner with this id (`GET /partners/{partner_id}`)."""


class PartnerProperties(Resource, call="partner_properties"):
    """The properties of partners that the project has defined."""

    @lists("getPartnerProperties", "/partner-properties", id_field="property_id", interfaces=ENTERPRISE_ONLY)
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List partner properties whose name contains `name` (`GET /partner-properties`). Enterprise API only.

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getPartnerProperty", "/partner-properties/{partner_property_id}")
    async def get(self, partner_property_id: str) -> Property:
        """Return the partner property with this id (`GET /partner-properties/{partner_property_id}`)."""
