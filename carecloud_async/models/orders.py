"""Orders: read models, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.customer import Address, PersonalInformation
from carecloud_async.models.customer_input import AddressInput, PersonalInformationInput
from carecloud_async.models.input_fields import by_digits


@frozen(kw_only=True, repr=False)
class OrderItem(Model):
    """An item of an order."""

    order_item_id: str | None = field(default=None, metadata=READ_ONLY)
    product_variant_id: str | None = None
    customer_id: str | None = None
    amount: float | None = None
    unit_price: float | None = None
    """Price of one."""
    vat_rate: float | None = None


@frozen(kw_only=True, repr=False)
class OrderInvoicing(Model):
    """What the invoice of an order needs."""

    payment_id: str | None = None
    paid_date: LocalDatetime | None = None
    """When it was paid, in project-local time."""
    personal_information: PersonalInformation = PersonalInformation()
    """The person's data."""


@frozen(kw_only=True, repr=False)
class OrderShipping(Model):
    """Where an order is sent."""

    shipping_id: str | None = None
    contact_firstname: str | None = field(default=None, metadata=PERSONAL)
    """First name of the contact."""
    contact_lastname: str | None = field(default=None, metadata=PERSONAL)
    """Last name of the contact."""
    phone: str | None = field(default=None, metadata=PERSONAL)
    """Number with the international prefix, without `+`."""
    address: Address = Address()
    """Postal address."""


@frozen(kw_only=True, repr=False)
class Order(Model):
    """An order."""

    order_id: str = field(metadata=READ_ONLY)
    order_number: str | None = None
    """Number of the order; made by the server if left out."""
    customer_id: str | None = None
    currency_id: str | None = None
    total_price: float | None = None
    """Price of the whole order."""
    discount_codes: tuple[str, ...] = field(default=(), metadata=PERSONAL)
    """Discount codes used."""
    order_items: tuple[OrderItem, ...] = ()
    """The ordered products."""
    invoicing_data: OrderInvoicing = OrderInvoicing()
    """Billing."""
    shipping_data: OrderShipping = OrderShipping()
    """Delivery."""
    customer_note: str | None = field(default=None, metadata=PERSONAL)
    """The customer's note."""
    order_status: str | None = field(default=None, metadata=READ_ONLY)
    """Status of the order as text."""
    shipping_date: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When it is shipped, in project-local time."""
    program_ranking: int | None = field(default=None, metadata=READ_ONLY)
    """Place in a series of orders."""
    payment_status: str | None = field(default=None, metadata=READ_ONLY)
    """Status of the payment as text."""
    invoice_document_url: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """URL of the invoice as PDF."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class OrderItemInput(Input, reads=OrderItem):
    """An order item to be written; the fields are those of `OrderItem`."""

    product_variant_id: str
    amount: float | Decimal = field(eq=by_digits)
    unit_price: float | Decimal = field(eq=by_digits)
    vat_rate: float | Decimal = field(eq=by_digits)
    customer_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class OrderInvoicingInput(Input, reads=OrderInvoicing):
    """What the invoice of an order needs, to be written; the fields are those of `OrderInvoicing`."""

    payment_id: str
    paid_date: datetime | str | Unset | None = UNSET
    personal_information: PersonalInformationInput | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class OrderShippingInput(Input, reads=OrderShipping):
    """Where an order is sent, to be written; the fields are those of `OrderShipping`."""

    shipping_id: str
    contact_firstname: str | Unset | None = UNSET
    contact_lastname: str | Unset | None = UNSET
    phone: str | Unset | None = UNSET
    address: AddressInput | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class OrderInput(Input, reads=Order):
    """An order to be written; the fields are those of `Order`."""

    customer_id: str
    currency_id: str
    total_price: float | Decimal = field(eq=by_digits)
    order_items: Sequence[OrderItemInput]
    invoicing_data: OrderInvoicingInput
    order_number: str | Unset | None = UNSET
    discount_codes: Sequence[str] | Unset | None = UNSET
    shipping_data: OrderShippingInput | Unset | None = UNSET
    customer_note: str | Unset | None = UNSET
