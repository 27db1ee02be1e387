# pyright: reportReturnType=false
"""`client.segments`, `client.segment_groups`, `client.stamper_campaigns`, `client.stamper_cards`, `client.stamps`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Unpack

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, SubResource, gets, lists, posts

if TYPE_CHECKING:
    from carecloud_async.bulk.segment_sync import SegmentSyncReport
    from carecloud_async.models import *


class SegmentRecords(Resource, call="segments.segment_records"):
    """The segment records of one segment."""

    @lists("getSubSegmentRecords", "/segments/{segment_id}/segment-records", id_field=None, paged=False)
    def list(self, *, segment_group_ids: Sequence[str] | None = None) -> Listing[SegmentRecord]:
        """List the records of any `segment_group_ids`, up to 1,000 (`GET /segments/{segment_id}/segment-records`)."""


class Segments(Resource, call="segments"):
    """The segments that customers are in."""

    segment_records: SubResource[SegmentRecords] = SubResource(SegmentRecords)

    @lists("getSegments", "/segments", id_field="segment_id")
    def list(self, *, segment_group_ids: Sequence[str] | None = None, **paging: Unpack[Paging]) -> Listing[Segment]:
        """List segments in any of up to 1,000 `segment_group_ids` (`GET /segments`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("PostSegment", "/segments", unwrap="segment_id")
    async def create(self, *, name: str, note: str | None = None, priority: int | None = None) -> str:
        """Create a segment of `priority` 0 to 100 with a free `note` and return its id (`POST /segments`)."""

    @gets("getSegment", "/segments/{segment_id}")
    async def get(self, segment_id: str) -> Segment:
        """Return the segment with this id (`GET /segments/{segment_id}`)."""

    @posts("postSegmentAddCustomer", "/segments/{segment_id}/actions/add-customer")
    async def add_customer(self, segment_id: str, *, customer_id: str) -> None:
        """Add a customer to a segment (`POST /segments/{segment_id}/actions/add-customer`)."""

    @posts("postSegmentRemoveCustomer", "/segments/{segment_id}/actions/remove-customer")
    async def remove_customer(self, segment_id: str, *, customer_id: str) -> None:
        """Take a customer out of a segment (`POST /segments/{segment_id}/actions/remove-customer`)."""

    async def sync(
        self,
        segment_id: str,
        customers: str | os.PathLike[str] | Iterable[Any] | AsyncIterable[Any] | Any,
        *,
        mode: Literal["add", "remove", "mirror"],
        match: str = "customer_id",
        encoding: str | None = None,
        columns: Mapping[str, str] | None = None,
        allow_shrink: bool = False,
        dry_run: bool = False,
        concurrency: int = 8,
    ) -> SegmentSyncReport:
        """Bring the members of a segment in line with a source of customers.

        The members are read, the difference is written, and the members are read again: a call whose answer was lost
        is sent again only for those who are not as they should be.

        Args:
            segment_id: id of the segment.
            customers: ids, or rows as for `bulk_write`; columns other than the key's are passed over.
            mode: `add` adds the source's customers, `remove` removes them, `mirror` leaves exactly them in the segment.
            match: the key that names a customer: `customer_id`, `email`, `phone`, `card_number`, ….
            encoding: as for `bulk_write`.
            columns: column → field, as for `bulk_write`.
            allow_shrink: let a mirror remove members even if that may be a mistake. It may be one if more than half of
                the members would go, if the list of members contradicts its own total, or if rows have no key, or one
                that cannot be looked up: their customers may be members.
            dry_run: read everything and write nothing.
            concurrency: calls under way at once.

        Raises:
            BulkWriteError: the source cannot be read, or the segment would lose too many members.
            NotFoundError: there is no such segment.
            CareCloudError: the server cannot be reached, or refuses the client.
        """
        from carecloud_async.bulk.segment_sync import SegmentSync  # few programs need it
        from carecloud_async.resources.customers.customers import Customers

        sync = SegmentSync(
            members=self.segment_records(segment_id).list,
            add=lambda customer_id: self.add_customer(segment_id, customer_id=customer_id),
            remove=lambda customer_id: self.remove_customer(segment_id, customer_id=customer_id),
            customers=Customers(self._caller, acting=self._acting)._as_family(),
            mode=mode,
            match=match,
            encoding=encoding,
            columns=columns or {},
            allow_shrink=allow_shrink,
            dry_run=dry_run,
            concurrency=concurrency,
        )
        return await sync.run(customers)


class SegmentGroups(Resource, call="segment_groups"):
    """The groups of segments."""

    @lists("getSegmentGroups", "/segment-groups", id_field="segment_group_id")
    def list(
        self, *, name: str | None = None, text_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[SegmentGroup]:
        """List segment groups by part of the `name` and by fixed `text_id` (`GET /segment-groups`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getSegmentGroup", "/segment-groups/{segment_group_id}")
    async def get(self, segment_group_id: str) -> SegmentGroup:
        """Return the segment group with this id (`GET /segment-groups/{segment_group_id}`)."""


class StamperCampaigns(Resource, call="stamper_campaigns"):
    """The campaigns in which customers collect stamps."""

    @lists("getStamperCampaigns", "/stamper-campaigns", id_field="stamper_campaign_id")
    def list(
        self,
        *,
        name: str | None = None,
        valid_from: datetime | str | None = None,
        valid_to: datetime | str | None = None,
        partner_id: str | None = None,
        is_valid: bool | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[StamperCampaign]:
        """List stamper campaigns that match all filters (`GET /stamper-campaigns`).

        Args:
            name: part of the name.
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            partner_id: id of the partner.
            is_valid: `True` for valid ones only, `False` for those that are not.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getStamperCampaign", "/stamper-campaigns/{stamper_campaign_id}")
    async def get(self, stamper_campaign_id: str) -> StamperCampaign:
        """Return the stamper campaign with this id (`GET /stamper-campaigns/{stamper_campaign_id}`)."""


class StamperCards(Resource, call="stamper_cards"):
    """Customers' cards for stamps."""

    @lists("getStamperCards", "/stamper-cards", id_field="stamper_card_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        stamper_campaign_id: str | Sequence[str] | None = None,
        state: int | None = None,
        filled_up: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[StamperCard]:
        """List stamper cards that match all filters (`GET /stamper-cards`).

        Args:
            customer_id: id of the customer.
            stamper_campaign_id: the stamper campaign, or several.
            state: see `BlockableState`.
            filled_up: `true` for cards with all their stamps, `false` for cards with room; all cards if left out.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getStamperCard", "/stamper-cards/{stamper_card_id}")
    async def get(self, stamper_card_id: str) -> StamperCard:
        """Return the stamper card with this id (`GET /stamper-cards/{stamper_card_id}`)."""


class Stamps(Resource, call="stamps"):
    """The stamps that customers collected."""

    @lists("getStamperStamps", "/stamps", "stamper_stamps", id_field="stamp_id")
    def list(
        self,
        *,
        stamper_card_id: str | Sequence[str] | None = None,
        customer_id: str | None = None,
        stamper_condition_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[StamperStamp]:
        """List stamps that match all filters (`GET /stamps`).

        Args:
            stamper_card_id: the stamper card, or several.
            customer_id: id of the customer.
            stamper_condition_id: id of the stamper condition.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getStamperStamp", "/stamps/{stamper_stamp_id}")
    async def get(self, stamper_stamp_id: str) -> StamperStamp:
        """Return the stamp with this id (`GET /stamps/{stamper_stamp_id}`)."""
