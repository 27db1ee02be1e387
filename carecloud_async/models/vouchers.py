"""Vouchers: read models, inputs, changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model, Updatable
from carecloud_async.models.input_fields import by_digits
from carecloud_async.models.rewards import Reward
from carecloud_async.models.shared import TagInput


class SimpleRewardState(IntEnum):
    """Values of `state` of a simple reward."""

    ACTIVE = 1
    INACTIVE = 2


class VoucherValidity(StrEnum):
    """How long vouchers of a simple reward are valid."""

    INTERVAL = "interval"
    END_OF_TIME_UNIT = "end_of_time_unit"
    REWARD_VALIDITY = "reward_validity"


@frozen(kw_only=True, repr=False)
class Voucher(Updatable):
    """A voucher of a customer."""

    voucher_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    store_id: str | None = None
    code: str | None = field(default=None, metadata=PERSONAL)
    value: float | None = None
    """What the voucher is worth."""
    applied_date: LocalDatetime | None = None
    """When the voucher was applied, in project-local time."""
    valid_from: LocalDatetime | None = None
    valid_to: LocalDatetime | None = None
    reward_group: str | None = field(default=None, metadata=READ_ONLY)
    """Group of the reward: 0 party time, 1 catalog, 2 campaign, 4 simple, 5 gift (`RewardGroup`)."""
    note: str | None = field(default=None, metadata=PERSONAL)
    reward: Reward | None = field(default=None, metadata=READ_ONLY)
    """The reward."""
    created_at: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class VoucherGiftCardBalance(Model):
    """What is left on a gift card."""

    voucher_id: str | None = field(default=None, metadata=READ_ONLY)
    current_balance: float | None = None
    """Money left."""
    original_balance: float | None = None
    """Money at the beginning."""


@frozen(kw_only=True, repr=False)
class VoucherInput(Input, reads=Voucher):
    """A voucher to be written; the fields are those of `Voucher`."""

    customer_id: str
    store_id: str | Unset | None = UNSET
    code: str | Unset | None = UNSET
    value: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    applied_date: datetime | str | Unset | None = UNSET
    valid_from: datetime | str | Unset | None = UNSET
    valid_to: datetime | str | Unset | None = UNSET
    note: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class VoucherBatchInput(VoucherInput):
    """A voucher of a batch, and the reward that it is of."""

    reward_id: str


@frozen(kw_only=True, repr=False)
class TextTranslationInput(Input):
    """A text in one language."""

    language_code: str | Unset | None = UNSET
    """ISO 639-1 code of the language."""
    text: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class StoreIdInput(Input):
    """A store, by its id."""

    store_id: str


@frozen(kw_only=True, repr=False)
class SegmentIdInput(Input):
    """A segment, by its id."""

    segment_id: str


@frozen(kw_only=True, repr=False)
class UrlTranslationInput(Input):
    """A URL in one language."""

    language_code: str | Unset | None = UNSET
    """ISO 639-1 code of the language."""
    url: str | Unset | None = UNSET
    """Web address."""


@frozen(kw_only=True, repr=False)
class SimpleRewardInput(Input):
    """A reward with few settings."""

    code: str
    """Code of the simple reward."""
    names: Sequence[TextTranslationInput]
    """Names by language."""
    reward_type_id: str
    reward_type_value: float | Decimal = field(eq=by_digits)
    """Discount: percent, amount or final price, as the reward type says."""
    global_reward: bool
    """Whether all partners have the reward."""
    voucher_validity: str
    """How long the vouchers are valid: `interval`, `end_of_time_unit`, `reward_validity` (`VoucherValidity`)."""
    voucher_code_generation_preference: str
    """Whether codes are made (`A`) or given by the caller."""
    state: int
    """State: 1 active, 2 inactive (`SimpleRewardState`)."""
    notes: Sequence[TextTranslationInput] | Unset | None = UNSET
    """Notes by language."""
    subtitles: Sequence[TextTranslationInput] | Unset | None = UNSET
    """Subtitles by language."""
    points_cost: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    """Price in points."""
    valid_date_from: date | str | Unset | None = UNSET
    """First day of validity."""
    valid_date_to: date | str | Unset | None = UNSET
    """Last day of validity."""
    maximum_discount_value: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    """Highest discount possible."""
    minimum_purchase_value: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    """Lowest total of a purchase that the reward applies to."""
    stores: Sequence[StoreIdInput] | Unset | None = UNSET
    """The stores."""
    segments: Sequence[SegmentIdInput] | Unset | None = UNSET
    """The segments."""
    priority: int | Unset | None = UNSET
    """1 is the highest, 9 the lowest."""
    image_urls: Sequence[UrlTranslationInput] | Unset | None = UNSET
    reward_external_urls: Sequence[UrlTranslationInput] | Unset | None = UNSET
    """URLs with more about the reward, by language."""
    tags: Sequence[TagInput] | Unset | None = UNSET
    partner_id: str | Unset | None = UNSET
    voucher_validity_value: str | Unset | None = UNSET
    """The validity in the terms of `voucher_validity`."""
    is_portable: bool | Unset | None = UNSET
    """Whether it may be handed to another customer."""


class VoucherChanges(TypedDict, total=False):
    """Parts of `Voucher` to change."""

    customer_id: str
    store_id: str | None
    code: str | None
    value: float | Decimal | None
    applied_date: datetime | str | None
    valid_from: datetime | str | None
    valid_to: datetime | str | None
    note: str | None
