"""The checkout: ask what a bill costs, send the paid bill, cancel it, and never send it twice.

The API has no idempotency key, but each bill has an id of its own in the shop. After a lost answer that id is looked
up; `resend_purchase`, for bills that a breakdown has interrupted, looks it up first. `client.outbox` keeps bills in a
file and does all of that by itself: tills should use it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from attrs import evolve, field, frozen

from carecloud_async._base.codec.fields import UNSET
from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import CareCloudError, ConfigurationError, ConflictError
from carecloud_async.fixes import RESEND_BILL
from carecloud_async.models.purchases import (
    BillInput,
    DiscountItemInput,
    FinalBillInput,
    PaymentRecapInput,
    PaymentVoucherInput,
)
from carecloud_async.resources.bills import has_bill_id, sale_differences
from carecloud_async.workflows.safe_writes import found_after, one_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carecloud_async._base.codec.json_text import JsonObject
    from carecloud_async.client import CareCloud
    from carecloud_async.models.base import Model
    from carecloud_async.models.purchases import AcceptedPayment, Purchase

__all__ = [
    "Checkout",
    "SentPurchase",
    "accept_payment",
    "cancel_purchase",
    "canceled_bill",
    "close_bill",
    "find_purchase",
    "resend_purchase",
    "send_purchase",
]

#: The vendor's rule: a bill that cancels another one has that bill's id with this in front.
_CANCELS = "C"


@frozen(kw_only=True)
class Checkout:
    """The place and the customer of a purchase; without card and customer it is anonymous."""

    store_id: str
    """Id of the store."""
    cashdesk_number: int
    """Number of the cash desk in it."""
    card_number: str | None = field(default=None, repr=False)
    """Number of the customer's card."""
    customer_id: str | None = None
    """The customer, if known without a card."""


@frozen(kw_only=True)
class SentPurchase:
    """A purchase that CareCloud has."""

    purchase_id: str
    """Id of the purchase."""
    bill_id: str
    """Id of the bill in the shop's own system."""
    was_there: bool = False
    """Whether it was found rather than sent now: after a lost answer, or by `resend_purchase`."""


async def accept_payment(
    client: CareCloud,
    *,
    checkout: Checkout,
    bill: BillInput,
    payment_type: str,
    max_points: float | None = None,
    max_credit: float | None = None,
    benefit_codes: Sequence[str] | None = None,
) -> AcceptedPayment:
    """Return what a bill costs with points, credits, vouchers and discounts; nothing is recorded or used up.

    Since it only calculates, the call is repeated after a lost answer, once.

    Operation: `POST /purchases/actions/accept-payment`.

    Args:
        checkout: the place and the customer.
        bill: the bill so far.
        payment_type: which benefits may be used; see `CheckoutPaymentType`.
        max_points: most points to use.
        max_credit: most credits to use.
        benefit_codes: codes of vouchers and rewards to use.

    Raises:
        BadRequestError: for example `has_reason("voucher_expired")`.
        OutcomeUnknownError: no answer came the second time either.
    """

    async def ask() -> AcceptedPayment:
        return await client.purchases.accept_payment(
            **attrs.asdict(checkout),
            payment_type=payment_type,
            bill=bill,
            max_points=max_points,
            max_credit=max_credit,
            benefit_codes=benefit_codes,
        )

    try:
        return await ask()
    except CareCloudError as error:
        if not error.may_have_happened:
            raise
        return await ask()


def close_bill(
    bill: BillInput, *, purchase_type_id: str, payment_type: str, accepted: AcceptedPayment | None = None
) -> FinalBillInput:
    """Make the final bill: the paid bill with the points, credits and vouchers that `accept_payment` accepted.

    Args:
        bill: the bill with the prices that were paid.
        purchase_type_id: id of the kind of purchase (`client.purchase_types.list()`).
        payment_type: the one that `accept_payment` was asked with.
        accepted: what `accept_payment` returned; `None` for a bill without benefits.
    """
    parts: dict[str, Any] = {field.name: getattr(bill, field.name) for field in attrs.fields(BillInput)}
    return FinalBillInput(
        **parts,
        purchase_type_id=purchase_type_id,
        payment_type=payment_type,
        canceled=False,
        payment_recap=UNSET if accepted is None else _recap(accepted),
    )


def _recap(accepted: AcceptedPayment) -> PaymentRecapInput:
    # The API requires a `bill_item_id`, also of a discount on the whole bill.
    discounts = [{"bill_item_id": "", **_shown(discount)} for discount in accepted.recommended_discounts]
    return PaymentRecapInput(
        credit_points=UNSET if accepted.credit_points is None else accepted.credit_points,
        amount_for_credit=UNSET if accepted.credit is None else accepted.credit,
        vouchers=[PaymentVoucherInput.from_dict(_shown(voucher)) for voucher in accepted.vouchers],
        recommended_discounts=[DiscountItemInput.from_dict(discount) for discount in discounts],
    )


def _shown(record: Model) -> JsonObject:
    return {name: value for name, value in record.to_dict().items() if value is not None}


async def send_purchase(client: CareCloud, *, checkout: Checkout, bill: FinalBillInput) -> SentPurchase:
    """Send a bill that is paid: it is recorded, points are counted and vouchers used up.

    If the answer is lost, the bill's id is looked up: if its purchase exists, this call created it. If it does not, the
    server may still be busy with it, and nothing is sent again: call `resend_purchase` some minutes later. If the
    look-up fails, the error is the `OutcomeUnknownError` too, never one that suggests to send the bill again.

    Operations: `POST /purchases/actions/send-purchase`; after a lost answer `GET /purchases`.

    Args:
        checkout: the place and the customer.
        bill: the final bill; its `bill_id` is unique in the shop. See `close_bill`.

    Raises:
        BadRequestError: the server refused the bill, for example because a voucher was used meanwhile.
        OutcomeUnknownError: the answer was lost and the purchase does not show up (yet).
    """
    async with one_write(client, "bill", checkout.store_id.casefold(), bill.bill_id):
        return await _send(client, checkout, bill)


async def _send(client: CareCloud, checkout: Checkout, bill: FinalBillInput) -> SentPurchase:
    try:
        purchase_id = await client.purchases.send_purchase(**attrs.asdict(checkout), bill=bill)
    except CareCloudError as error:
        if error.may_have_happened:
            error.fix = RESEND_BILL
        return await found_after(error, partial(_purchase_of, client, checkout, bill))
    return SentPurchase(purchase_id=purchase_id, bill_id=bill.bill_id)


async def resend_purchase(client: CareCloud, *, checkout: Checkout, bill: FinalBillInput) -> SentPurchase:
    """Send a bill unless CareCloud has it: for bills that may or may not have been recorded.

    Tasks of one client take turns for a bill. Separate processes cannot: two that look at the same moment both send, so
    let one process resend bills. An outbox (`client.outbox`) keeps bills until they are sent, and its processes take
    turns.

    Operations: `GET /purchases`, then as `send_purchase`.

    Args:
        checkout: the place and the customer.
        bill: the final bill, as it was sent or should have been.

    Raises:
        ConflictError: the store has a purchase with this id that differs in total, time, currency, type or customer. It
            is another bill, as in a shop that counts its bills from 1 every day: nothing was sent.
        CareCloudError: as `send_purchase`.
    """
    async with one_write(client, "bill", checkout.store_id.casefold(), bill.bill_id):
        return await _purchase_of(client, checkout, bill) or await _send(client, checkout, bill)


async def _purchase_of(client: CareCloud, checkout: Checkout, bill: FinalBillInput) -> SentPurchase | None:
    """Return the purchase of a bill, or `None` if there is none.

    Raises:
        ConflictError: the id belongs to other bills only.
    """
    sale, zone = {**attrs.asdict(checkout), "bill": bill.to_dict()}, client.project.timezone
    others: list[str] = []
    for purchase in await _purchases(client, store_id=checkout.store_id, bill_id=bill.bill_id):
        differences = sale_differences(purchase.to_dict(), sale, timezone=zone)
        if not differences:
            return SentPurchase(purchase_id=purchase.purchase_id, bill_id=bill.bill_id, was_there=True)
        others = others or differences
    if others:
        raise ConflictError(
            f"the store has another bill with this id, which differs in {', '.join(others)}: nothing was sent. Give "
            "each bill an id of its own, for example with the day in it",
            fields=tuple(others),
        )
    return None


async def cancel_purchase(client: CareCloud, *, checkout: Checkout, bill: FinalBillInput) -> SentPurchase:
    """Cancel a purchase: send the same bill once more as its cancellation.

    The cancellation is a bill of its own, `C` before the id of the first, and names the first as its `bill_number`. No
    price or quantity is inverted. A lost answer is treated as by `send_purchase`.

    Operations: `POST /purchases/actions/send-purchase`; after a lost answer `GET /purchases`.

    Args:
        checkout: as it was for the purchase.
        bill: the final bill as it was sent.

    Raises:
        ConfigurationError: the bill is a cancellation itself; nothing was sent.
        BadRequestError: the server refused the cancellation.
        OutcomeUnknownError: the answer was lost and the cancellation does not show up (yet); call `resend_purchase`
            with `canceled_bill(bill)`.
    """
    return await send_purchase(client, checkout=checkout, bill=canceled_bill(bill))


def canceled_bill(bill: FinalBillInput) -> FinalBillInput:
    """Make the bill that cancels another one, as `cancel_purchase` sends it.

    Args:
        bill: the final bill as it was sent.

    Raises:
        ConfigurationError: the bill is a cancellation itself.
    """
    if bill.canceled:
        raise ConfigurationError("this bill is a cancellation itself: pass the bill that was sent first")
    return evolve(bill, canceled=True, bill_id=_CANCELS + bill.bill_id, bill_number=bill.bill_id)


async def find_purchase(client: CareCloud, *, store_id: str, bill_id: str) -> SentPurchase | None:
    """Return the purchase with this bill id, or `None` if CareCloud has none.

    Operation: `GET /purchases`.

    Args:
        store_id: id of the store.
        bill_id: id of the bill in the shop's own system.
    """
    for purchase in await _purchases(client, store_id=store_id, bill_id=bill_id):
        return SentPurchase(purchase_id=purchase.purchase_id, bill_id=bill_id, was_there=True)
    return None


async def _purchases(client: CareCloud, *, store_id: str, bill_id: str) -> list[Purchase]:
    """Return the purchases of a store with this bill id."""
    listed = await look_up(client.purchases.list(store_id=store_id, external_purchase_id=bill_id))
    return [purchase for purchase in listed if has_bill_id(purchase.to_dict(), store_id=store_id, bill_id=bill_id)]
