"""What a customer can use: rewards, vouchers and campaign products together, for a rewards page."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from carecloud_async._base.runtime.task_groups import run_all

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.events import CampaignProduct
    from carecloud_async.models.rewards import Reward
    from carecloud_async.models.vouchers import Voucher

__all__ = ["CustomerOffers", "customer_offers"]

T = TypeVar("T")

#: Records a page: a rewards page shows all of them, so that the fewest requests are the fastest.
_COUNT = 1000


@frozen(kw_only=True)
class CustomerOffers:
    """What a customer can use now."""

    rewards: tuple[Reward, ...]
    """Rewards that the customer can have, for example for points."""
    vouchers: tuple[Voucher, ...]
    """Vouchers that the customer has and has not used."""
    campaign_products: tuple[CampaignProduct, ...]
    """Products at a special price, which are the same for all customers."""


async def customer_offers(client: CareCloud, *, customer_id: str, store_id: str | None = None) -> CustomerOffers:
    """Return all valid rewards, unused vouchers and campaign products of a customer; three lists, read at once.

    Operations: `GET /customers/{customer_id}/rewards`, `GET /customers/{customer_id}/vouchers`,
    `GET /campaign-products`.

    Args:
        client: the client, of an enterprise user or of the customer.
        customer_id: the customer.
        store_id: only what can be used in this store.

    Raises:
        NotFoundError: there is no such customer.
        PermissionDeniedError: this identity may not read one of the lists.
    """
    rewards = client.customers.rewards(customer_id).list(is_valid=True, store_id=store_id, count=_COUNT)
    vouchers = client.customers.vouchers(customer_id).list(
        is_valid=True, is_applied=False, store_id=store_id, count=_COUNT
    )
    products = client.campaign_products.list(is_valid=True, store_id=store_id, count=_COUNT)
    reads: list[Callable[[], Awaitable[tuple[Any, ...]]]]
    reads = [partial(_all, records) for records in (rewards, vouchers, products)]
    answers = await run_all(reads, cancels=True)
    return CustomerOffers(rewards=answers[0], vouchers=answers[1], campaign_products=answers[2])


async def _all(records: AsyncIterable[T]) -> tuple[T, ...]:
    return tuple([record async for record in records])
