"""Filters that several lists have in common: `**filters: Unpack[PurchaseFilters]`, with the paging of the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from carecloud_async.resources.declare import Paging, UnsortedPaging


class PurchaseFilters(Paging, total=False):
    """Filters of lists of purchases, and their paging."""

    store_id: str | None
    """Id of the store."""
    type_id: str | None
    """Id of the type."""
    payment_time_from: datetime | str | None
    """Payments from this time on."""
    payment_time_to: datetime | str | None
    """Payments until this time."""
    purchase_items_extension: bool | None
    """Whether each purchase comes with its items."""


class RewardFilters(UnsortedPaging, total=False):
    """Filters of lists of rewards, and `count` and `offset`."""

    name: str | None
    """Part of the name."""
    store_id: str | None
    """Id of the store."""
    is_valid: bool | None
    """`True` for valid ones only, `False` for those that are not."""
    valid_from: date | str | None
    """Start of the validity to look for."""
    valid_to: date | str | None
    """End of the validity to look for."""
    code: str | None
    """The exact code."""
    is_automated: bool | None
    """`True` for automated ones only, `False` for those that are not."""
    reward_group: int | None
    """See `RewardGroup`."""
    customer_type_id: Sequence[str] | None
    """Any of these customer types, up to 1,000."""
    without_stores: bool | None
    """`True` (default): without their stores; `False`: with them."""
    tag_ids: Sequence[str] | None
    """Any of these ids, up to 1,000."""


class SortedRewardFilters(RewardFilters, Paging, total=False):
    """Filters of lists of rewards that can be sorted, and their paging."""


class VoucherFilters(Paging, total=False):
    """Filters of lists of vouchers, and their paging."""

    code: str | None
    """The exact code."""
    store_id: str | None
    """Id of the store."""
    is_valid: bool | None
    """`True` for valid ones only, `False` for those that are not."""
    is_applied: bool | None
    """`True` for applied or reserved ones only, `False` for those that are neither."""
    without_stores: bool | None
    """`True` (default): without their stores; `False`: with them."""
    reward_id: str | Sequence[str] | None
    """The reward, or several."""
