"""Bills in bulk: a purchase that is not there is sent with its items, one that is there is compared and updated."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs
import msgspec
from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async.bulk.compare import changed_fields, is_same_amount
from carecloud_async.bulk.convert import Converter
from carecloud_async.bulk.errors import ConversionError
from carecloud_async.bulk.family import BulkWrites, CreateRecord, FamilyFacts, Merged
from carecloud_async.models.base import API_NAME
from carecloud_async.models.ids import same_id, same_key
from carecloud_async.models.purchases import FinalBillInput, Purchase
from carecloud_async.resources.bulk_target import DeclaredFamily
from carecloud_async.resources.declare import Resource, declared
from carecloud_async.resources.merge import MergeRules

#: The fields that stand beside the bill in the body.
_BESIDE: Final = ("store_id", "cashdesk_number", "card_number", "customer_id")
#: Fields of a bill that its purchase shows and nothing can change, with their names in the purchase.
_FIXED: Final[Mapping[str, str]] = {
    "external_purchase_id": "external_purchase_id",
    "payment_time": "payment_time",
    "total_price": "total_price",
    "currency_id": "currency_id",
    "purchase_type_id": "type_id",
}
_OTHER: Final = "the purchase has another, which the API cannot change"


@frozen(kw_only=True, repr=False)
class SentBill(FinalBillInput, reads=Purchase):
    """A row of bills: the bill, where it was paid and by whom. Its id has the name that the purchase gives it."""

    store_id: str
    cashdesk_number: int
    bill_id: str = field(metadata=API_NAME("external_purchase_id"))
    card_number: str | Unset | None = UNSET
    customer_id: str | Unset | None = UNSET


class Bills(DeclaredFamily):
    """Purchases, which are created by sending bills.

    Args:
        resource, writes, rules: as for the base.
        send: the declared action that sends a bill.
    """

    def __init__(self, resource: Resource, writes: BulkWrites, rules: MergeRules | None, *, send: Any) -> None:
        super().__init__(resource, writes, rules)
        self._send = declared(send)
        self.create: CreateRecord | None = self._send_bill
        self.facts: FamilyFacts = attrs.evolve(self.facts, create_model=SentBill)

    def store_of(self, record: Mapping[str, Any]) -> str:
        """See `Family.store_of`: ids of bills may be unique in a store only."""
        return str(record.get("store_id") or "").casefold()

    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """See `Family.merge`.

        Raises:
            ValueError: the purchase is of another bill.
        """
        base = msgspec.json.decode(record)
        different = bill_differences(base, changes, timezone=self.caller.context.project.timezone)
        if different:
            raise ValueError("; ".join(f"{name}: {_OTHER}" for name in different))
        owner = {name: changes[name] for name in ("customer_id", "card_number") if name in changes}
        if same_id(base.get("customer_id"), owner.get("customer_id")):
            del owner["customer_id"]  # a server may write ids in another case
        if base.get("customer_id") and not base.get("card_number"):
            owner.pop("card_number", None)  # not every server shows the card by which it found the customer
        return super().merge(record, owner)

    async def _send_bill(self, record: JsonObject, _create_fields: JsonObject, within: float) -> str:
        bill = {name: value for name, value in record.items() if name not in _BESIDE}
        bill["bill_id"] = bill.pop("external_purchase_id")
        beside = {name: record[name] for name in _BESIDE if record.get(name) is not None}
        body = {**beside, "bill": bill}
        request = CallRequest(self._send.operation, decode=self._send.decode, json=body, within=within)
        purchase_id: str = await self._resource._call(request)
        return purchase_id


def has_bill_id(purchase: Mapping[str, Any], *, store_id: str, bill_id: str) -> bool:
    """Return whether a purchase has a bill's id in a store; one that names no store may be of any.

    Args:
        purchase: the purchase that was listed.
        store_id: id of the store.
        bill_id: id of the bill in the shop's own system.
    """
    store = purchase.get("store_id")
    return same_key(purchase.get("external_purchase_id"), bill_id) and (not store or same_id(store, store_id))


def sale_differences(purchase: Mapping[str, Any], sale: Mapping[str, Any], *, timezone: ZoneInfo) -> list[str]:
    """Name the fields in which a purchase is of another bill or another customer.

    Args:
        purchase: the purchase that was found.
        sale: the body in which the bill is sent; a customer without an id is known by the card.
        timezone: the project's zone, for times that name another.
    """
    differ = bill_differences(purchase, sale["bill"], timezone=timezone)
    owner = "customer_id" if sale.get("customer_id") else "card_number"
    now, sent = purchase.get(owner), sale.get(owner)
    return [*differ, owner] if now and sent and not same_id(now, sent) else differ


def bill_differences(purchase: Mapping[str, Any], bill: Mapping[str, Any], *, timezone: ZoneInfo) -> list[str]:
    """Name the fields in which a purchase is of another bill; what one of them leaves out does not count.

    Args:
        purchase: the purchase that was found.
        bill: the bill as it is sent.
        timezone: the project's zone, for times that name another.
    """
    shown: dict[str, Any] = {}
    given: dict[str, Any] = {}
    for name, place in _FIXED.items():
        now, value = purchase.get(place), bill.get(name)
        if now is None or now == "" or value is None:
            continue
        # A cancellation may be shown with either sign.
        if name == "total_price" and is_same_amount(now, value, has_sign=not bill.get("canceled")):
            continue
        shown[name], given[name] = _spelled(name, now, timezone), _spelled(name, value, timezone)
    return changed_fields(shown, given, SentBill)


def is_same_but_spelled(name: str, shown: Any, given: Any, *, timezone: ZoneInfo) -> bool:
    """Return whether a field of a purchase has a row's value in another spelling: totals, times and ids.

    Args:
        name: the field.
        shown: its value in the purchase.
        given: its value in the row.
        timezone: the project's zone, for times that name another.
    """
    if name == "total_price":
        return is_same_amount(shown, given)
    return bool(_spelled(name, shown, timezone) == _spelled(name, given, timezone))


def _spelled(name: str, value: Any, timezone: ZoneInfo) -> Any:
    """Return a value as it is compared: ids in any case, times in the project's zone without fractions of a second."""
    if isinstance(value, str):
        if name.endswith("_id") and name != "external_purchase_id":
            return value.casefold()
        if name == "payment_time":
            with suppress(ConversionError):
                return Converter(timezone=timezone, textual=False).convert(value, datetime)
    return value
