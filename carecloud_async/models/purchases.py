"""Purchases: read models, inputs, changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model, Updatable
from carecloud_async.models.input_fields import by_digits
from carecloud_async.models.property_record import PropertyRecord, PropertyRecordInput
from carecloud_async.models.shared import PluIdInput, UtmInput
from carecloud_async.models.vouchers import Voucher


class CheckoutPaymentType(StrEnum):
    """Which benefits a checkout may use."""

    STANDARD = "S"
    ALL_DISCOUNTS = "A"
    CREDITS = "C"
    D = "D"


class RewardListType(StrEnum):
    """Which rewards the checkout proposes."""

    FULL = "F"
    CONDENSED = "C"
    ALL = "A"


@frozen(kw_only=True, repr=False)
class PurchaseItem(Model):
    """An item of a purchase."""

    purchase_item_id: str = field(metadata=READ_ONLY)
    product_id: str | None = None
    product_name: str | None = field(default=None, metadata=READ_ONLY)
    product_group_id: str | None = field(default=None, metadata=READ_ONLY)
    product_group_name: str | None = field(default=None, metadata=READ_ONLY)
    product_brand_id: str | None = field(default=None, metadata=READ_ONLY)
    product_brand_name: str | None = field(default=None, metadata=READ_ONLY)
    external_id: str | None = None
    """Id of the purchase item in another system."""
    purchase_item_type_id: str | None = None
    price: float | None = None
    """Price of the purchase item."""
    amount: float | None = None
    vat_rate: float | None = None
    additional_properties: tuple[PropertyRecord, ...] = ()


@frozen(kw_only=True, repr=False)
class Purchase(Updatable):
    """A purchase."""

    purchase_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    store_id: str | None = field(default=None, metadata=READ_ONLY)
    external_purchase_id: str | None = field(default=None, metadata=READ_ONLY)
    """Id of the purchase in the shop's own system."""
    payment_time: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When it was paid, in project-local time."""
    items_count: int | None = field(default=None, metadata=READ_ONLY)
    """Number of items."""
    purchase_items: tuple[PurchaseItem, ...] = field(default=(), metadata=READ_ONLY)
    """The items, if the list was asked for them with `purchase_items_extension=True`."""
    type_id: str | None = field(default=None, metadata=READ_ONLY)
    total_price: float | None = field(default=None, metadata=READ_ONLY)
    """Price of the whole purchase."""
    currency_id: str | None = field(default=None, metadata=READ_ONLY)
    card_number: str | None = field(default=None, metadata=PERSONAL)
    """Number of the card."""
    cashdesk_number: str | None = field(default=None, metadata=READ_ONLY)
    """Number of the cash desk."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    property_records: tuple[PropertyRecord, ...] = field(default=(), metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class PurchaseType(Model):
    """A kind of purchase."""

    type_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    text_id: str | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class PurchaseItemType(Model):
    """A kind of purchase item."""

    type_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    text_id: str | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class RecommendedRewardProperties(Model):
    """What a recommended reward gives."""

    image: str | None = field(default=None, metadata=READ_ONLY)
    """Image in base64."""
    valid_time_from: time | None = field(default=None, metadata=READ_ONLY)
    """Time of day from which it may be used."""
    valid_time_to: time | None = field(default=None, metadata=READ_ONLY)
    """Time of day until which it may be used."""


@frozen(kw_only=True, repr=False)
class RecommendedReward(Model):
    """A reward or voucher that a bill can use."""

    code: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)
    reward_priority: int | None = field(default=None, metadata=READ_ONLY)
    """1 is the highest, 9 the lowest."""
    max_count: int | None = field(default=None, metadata=READ_ONLY)
    """How often it can be applied at most."""
    description: str | None = field(default=None, metadata=READ_ONLY)
    reward_properties: RecommendedRewardProperties = field(default=RecommendedRewardProperties(), metadata=READ_ONLY)
    """What the reward gives."""


@frozen(kw_only=True, repr=False)
class DiscountItem(Model):
    """A discount on a bill or an item of it."""

    discount_code: str | None = None
    """Code of the discount."""
    discount_value: float | None = None
    """Discount as an amount of money."""
    discount_percent: float | None = None
    """Discount in percent."""
    description: str | None = None
    bill_item_id: str | None = None


@frozen(kw_only=True, repr=False)
class PaymentVoucher(Model):
    """A reward or voucher that a bill used."""

    code: str | None = None
    name: str | None = None
    discount_value: float | None = None
    """Discount as an amount of money."""
    discount_percent: float | None = None
    """Discount in percent."""
    bill_item_id: str | None = None


@frozen(kw_only=True, repr=False)
class CashierMessage(Model):
    """A message for the cashier."""

    text: str | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class AcceptedPayment(Model):
    """What a bill costs after points, credits, vouchers and discounts."""

    recommended_discounts: tuple[DiscountItem, ...] = field(default=(), metadata=READ_ONLY)
    """Discounts on offer, without rewards."""
    credit_points: float | None = field(default=None, metadata=READ_ONLY)
    """Points used."""
    price_of_credit_points: float | None = field(default=None, metadata=READ_ONLY)
    """Money that the used points are worth."""
    credit: float | None = field(default=None, metadata=READ_ONLY)
    """Credits that were used."""
    vouchers: tuple[PaymentVoucher, ...] = field(default=(), metadata=READ_ONLY)
    """The vouchers."""
    credit_points_of_this_transaction: float | None = field(default=None, metadata=READ_ONLY)
    """Points gained by this purchase."""
    total_credit_points: float | None = field(default=None, metadata=READ_ONLY)
    """Points on the account afterwards."""
    total_credit: float | None = field(default=None, metadata=READ_ONLY)
    """Credits on the account afterwards."""
    messages: tuple[CashierMessage, ...] = field(default=(), metadata=READ_ONLY)
    """Messages for the cashier."""


@frozen(kw_only=True, repr=False)
class PaymentSummary(Model):
    """The credits, points and vouchers of a purchase."""

    earned_points: float | None = None
    """Points earned in the interval."""
    used_credits: float | None = None
    """Credits that were used to pay."""
    used_points: float | None = None
    """Points that were used to pay."""
    used_points_total: float | None = None
    """Points that were used to pay and for vouchers."""
    used_vouchers: tuple[Voucher, ...] = ()
    """Vouchers that were used."""


@frozen(kw_only=True, repr=False)
class PurchaseInput(Input, reads=Purchase):
    """A purchase to be written; the fields are those of `Purchase`."""

    customer_id: str
    card_number: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class BillItemInput(Input):
    """An item of a bill."""

    plu_ids: Sequence[PluIdInput]
    plu_name: str
    """Name of the product."""
    vat_rate: float | Decimal = field(eq=by_digits)
    quantity: float | Decimal = field(eq=by_digits)
    """The quantity."""
    paid_amount: float | Decimal = field(eq=by_digits)
    """What the customer paid for it."""
    price: float | Decimal = field(eq=by_digits)
    """Price of the bill item."""
    bill_item_id: str
    loyalty_off: bool
    """Whether the item takes no part in the loyalty programme."""
    purchase_item_type_id: str
    category_plu_id: str | Unset | None = UNSET
    customer_id: str | Unset | None = UNSET
    """Id of the customer; deprecated."""
    purchase_item_property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET
    """Values of the item's properties."""


@frozen(kw_only=True, repr=False)
class BillInput(Input):
    """A bill of a till or shop."""

    bill_id: str
    """Id of the bill in the shop's own system."""
    payment_time: datetime | str
    """When it was paid, in project-local time."""
    currency_id: str
    total_price: float | Decimal = field(eq=by_digits)
    """Price of the whole bill."""
    bill_items: Sequence[BillItemInput]
    """The lines of the bill."""
    bill_number: str | Unset | None = UNSET
    """Another number of the bill."""
    created_by: str | Unset | None = UNSET
    """Who created it."""


@frozen(kw_only=True, repr=False)
class DiscountItemInput(Input, reads=DiscountItem):
    """A discount item to be written; the fields are those of `DiscountItem`."""

    bill_item_id: str
    discount_code: str | Unset | None = UNSET
    discount_value: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    discount_percent: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    description: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class PaymentVoucherInput(Input, reads=PaymentVoucher):
    """A payment voucher to be written; the fields are those of `PaymentVoucher`."""

    code: str | Unset | None = UNSET
    name: str | Unset | None = UNSET
    discount_value: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    discount_percent: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    bill_item_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class PaymentRecapInput(Input):
    """How a bill was paid: points, credits, vouchers, discounts."""

    credit_points: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    """Points used."""
    amount_for_credit: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    """Credits that were used to pay."""
    vouchers: Sequence[PaymentVoucherInput] | Unset | None = UNSET
    """The vouchers."""
    recommended_discounts: Sequence[DiscountItemInput] | Unset | None = UNSET
    """Discounts on offer, without rewards."""


@frozen(kw_only=True, repr=False)
class FinalBillInput(BillInput):
    """A bill that is closed."""

    purchase_type_id: str
    canceled: bool
    """Whether this cancels the purchase."""
    payment_type: str
    """Which benefits the checkout may use: `S` standard, `A` all discounts, `C` credits (`CheckoutPaymentType`)."""
    fiscal: bool | Unset | None = UNSET
    """Whether it is a fiscal bill."""
    payment_recap: PaymentRecapInput | Unset | None = UNSET
    """How it was paid: points, credits, vouchers, discounts."""
    utm: UtmInput | Unset | None = UNSET
    property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET


class PurchaseChanges(TypedDict, total=False):
    """Parts of `Purchase` to change."""

    customer_id: str
    card_number: str | None
