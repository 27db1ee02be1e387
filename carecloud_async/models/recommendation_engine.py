"""What the recommendation engine answers."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, Model
from carecloud_async.models.shared import PluId

__all__ = ["RecommendedProduct"]


@frozen(kw_only=True, repr=False)
class RecommendedProduct(Model):
    """A product that the engine recommends."""

    product_id: str = field(metadata=READ_ONLY)
    """Id of the product."""
    plu_ids: tuple[PluId, ...] = field(default=(), metadata=READ_ONLY)
    """The product's codes in the product lists."""
