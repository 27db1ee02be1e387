"""Segments: read models."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, LocalDatetime, Model


@frozen(kw_only=True, repr=False)
class SegmentRecord(Model):
    """The membership of a customer in a segment."""

    segment_id: str | None = None
    customer_id: str | None = None
    created_at: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the customer was added to the segment, in project-local time."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Segment(Model):
    """A segment of customers."""

    segment_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    segment_group_id: str | None = field(default=None, metadata=READ_ONLY)
    segment_picture_url: str | None = field(default=None, metadata=READ_ONLY)
    """Address of the picture."""
    note: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class SegmentGroup(Model):
    """A group of segments."""

    segment_group_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    parent_group_id: str | None = field(default=None, metadata=READ_ONLY)
    note: str | None = None
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class StamperCondition(Model):
    """What earns a stamp."""

    stamper_condition_id: str | None = field(default=None, metadata=READ_ONLY)
    description: str | None = None


@frozen(kw_only=True, repr=False)
class StamperBonusCheckpoint(Model):
    """A bonus on the way to a full card of stamps."""

    stamper_bonus_checkpoint_id: str | None = field(default=None, metadata=READ_ONLY)
    description: str | None = None
    stamp_number: int | None = None
    """Number of the stamp that unlocks the bonus."""


@frozen(kw_only=True, repr=False)
class StamperCampaign(Model):
    """A campaign in which customers collect stamps."""

    stamper_campaign_id: str = field(metadata=READ_ONLY)
    partner_id: str | None = field(default=None, metadata=READ_ONLY)
    name: str | None = None
    description: str | None = None
    stamp_count: int | None = field(default=None, metadata=READ_ONLY)
    """Stamps on a full card."""
    valid_from: LocalDatetime | None = None
    valid_to: LocalDatetime | None = None
    count_of_campaign_repetitions: int | None = None
    """How many cards of the campaign a customer can fill."""
    stamper_conditions: tuple[StamperCondition, ...] = ()
    """What earns a stamp."""
    stamper_bonus_checkpoints: tuple[StamperBonusCheckpoint, ...] = ()
    """Bonuses on the way to a full card."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = None


@frozen(kw_only=True, repr=False)
class StamperStamp(Model):
    """A stamp that a customer collected."""

    stamp_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    purchase_id: str | None = field(default=None, metadata=READ_ONLY)
    stamper_card_id: str | None = field(default=None, metadata=READ_ONLY)
    stamp_order: int | None = field(default=None, metadata=READ_ONLY)
    """Place on the card; `None` if it is on no card."""
    stamper_condition_id: str | None = field(default=None, metadata=READ_ONLY)
    created_at: LocalDatetime | None = None
    """When the stamp was given, in project-local time."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = None


@frozen(kw_only=True, repr=False)
class StamperCard(Model):
    """A customer's card for stamps."""

    stamper_card_id: str = field(metadata=READ_ONLY)
    stamper_campaign_id: str | None = field(default=None, metadata=READ_ONLY)
    customer_id: str | None = None
    stamper_card_order: int | None = field(default=None, metadata=READ_ONLY)
    """Place among the customer's cards of the campaign."""
    is_filled_up: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether the card has all its stamps."""
    stamps: tuple[StamperStamp, ...] = ()
    """The stamps on the card."""
    created_at: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = None
    """State: 0 blocked, 1 active (`BlockableState`)."""
