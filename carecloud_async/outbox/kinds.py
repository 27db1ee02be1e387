"""The operations that an outbox sends, and how each is found again: one class each. The others are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._calls.call.caller import Caller
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.compare import drop_if_equal, value_at
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.finding import Finder
from carecloud_async.bulk.pages import PAGE, TakenError, read_records
from carecloud_async.bulk.references import note_with_reference
from carecloud_async.models.ids import same_id, same_key
from carecloud_async.outbox.family import CallKind
from carecloud_async.resources.actions_in_bulk import CREDITS, POINTS, Kind
from carecloud_async.resources.bills import has_bill_id, sale_differences
from carecloud_async.resources.customers import Customers
from carecloud_async.resources.declare import declared
from carecloud_async.resources.events import Events
from carecloud_async.resources.loyalty import CreditHistory, Credits
from carecloud_async.resources.points import PointHistory, PointReservations, Points
from carecloud_async.resources.purchases import Purchases
from carecloud_async.resources.reference import Orders

__all__ = ["KINDS"]


async def _all(listing: Listing[Any], is_it: Callable[[Mapping[str, Any]], bool]) -> list[bytes]:
    """Return the records of a list that are wanted; the list was read exactly."""
    return [line for line in await read_records(listing.fresh()) if is_it(msgspec.json.decode(line))]


def _customer(customer_id: Any) -> str | None:
    return f"customer {customer_id.casefold()}" if isinstance(customer_id, str) and customer_id else None


class Bills(CallKind):
    """Bills and their cancellations, found by the id of the bill in the shop's own system."""

    name = "purchases.send_purchase"
    claimed_as = "purchases"
    key = "external_purchase_id"
    method = Purchases.send_purchase
    id_field: str | None = "purchase_id"

    def key_of(self, body: JsonObject, reference: str | None) -> tuple[str | None, ...]:  # noqa: ARG002
        """See `CallKind.key_of`."""
        return (body["store_id"], body["bill"].get("bill_id"))

    def claimed(self, text: str) -> str:
        """See `CallKind.claimed`: bulk writes know a bill by its own id alone."""
        return text.rpartition("\x1f")[2]

    def lane(self, body: JsonObject) -> str | None:
        """See `CallKind.lane`: a customer without an id is known by the card."""
        card = body.get("card_number")
        return _customer(body.get("customer_id")) or (f"card {card}" if card else None)

    def follows(self, body: JsonObject) -> tuple[str, ...] | None:
        """See `CallKind.follows`: a cancellation comes after its bill."""
        bill = body["bill"]
        return (body["store_id"], bill.get("bill_number") or "") if bill.get("canceled") else None

    async def find(self, caller: Caller, key: tuple[str, ...]) -> Sequence[bytes]:
        """See `CallKind.find`."""
        store_id, bill_id = key
        bills = Purchases(caller).list(store_id=store_id, external_purchase_id=bill_id, count=PAGE)
        return await _all(bills, partial(has_bill_id, store_id=store_id, bill_id=bill_id))

    def differences(self, caller: Caller, found: Mapping[str, Any], body: JsonObject) -> Sequence[str]:
        """See `CallKind.differences`: a shop that begins to count its bills again would lose them."""
        return sale_differences(found, body, timezone=caller.context.project.timezone)


class _Amounts(CallKind):
    """Points or credits that are given or taken, found as bulk writes find them: by a reference in the note.

    Args:
        method: the declared method.
        amounts: how they are found.
        history: the list in which they are found.
        sign: -1 if they are taken.
    """

    key = "reference"
    takes_reference = True

    def __init__(
        self, method: Any, amounts: Kind, history: type[PointHistory | CreditHistory], *, sign: int = 1
    ) -> None:
        self.method = method
        self.name = declared(method).operation.call
        self.claimed_as = self.name.partition(".")[0]
        self._amounts, self._history, self._sign = amounts, history, sign

    def prepare(self, body: dict[str, Any], reference: str | None) -> None:
        """See `CallKind.prepare`."""
        body["note"] = note_with_reference(body.get("note"), reference or "", takes=self._sign < 0)

    def key_of(self, body: JsonObject, reference: str | None) -> tuple[str | None, ...]:
        """See `CallKind.key_of`."""
        return (body["customer_id"], reference)

    def lane(self, body: JsonObject) -> str | None:
        """See `CallKind.lane`."""
        return _customer(body["customer_id"])

    async def find(self, caller: Caller, key: tuple[str, ...]) -> Sequence[bytes]:
        """See `CallKind.find`."""
        lines = await self._amounts.find(self._history(caller).list, [key])
        return [line for _, line in lines]

    def differences(self, caller: Caller, found: Mapping[str, Any], body: JsonObject) -> Sequence[str]:  # noqa: ARG002
        """See `CallKind.differences`."""
        return () if self._amounts.is_amount(found, self._sign * body["amount"]) else ("amount",)


class NewEvents(CallKind):
    """Marketing events, found by type and external id."""

    name = "events.create"
    claimed_as = "events"
    key = "external_id"
    method = Events.create
    id_field: str | None = "event_id"

    def key_of(self, body: JsonObject, reference: str | None) -> tuple[str | None, ...]:  # noqa: ARG002
        """See `CallKind.key_of`."""
        event = body["event"]
        return (event["event_type_id"], event.get("secondary_external_id") or "-", event["external_id"])

    def claimed(self, text: str) -> str:
        """See `CallKind.claimed`: bulk writes know an event by its own id alone."""
        return text.rpartition("\x1f")[2]

    def lane(self, body: JsonObject) -> str | None:
        """See `CallKind.lane`."""
        event = body["event"]
        named = event.get("customer_identifier_value")
        return _customer(event.get("customer_id")) or (
            f"named {msgspec.json.encode(named).decode()}" if named else None
        )

    async def find(self, caller: Caller, key: tuple[str, ...]) -> Sequence[bytes]:
        """See `CallKind.find`."""
        event_type_id, second, external_id = key

        def is_it(found: Mapping[str, Any]) -> bool:
            kind, other = found.get("event_type_id"), found.get("secondary_external_id") or "-"
            is_same = same_key(found.get("external_id"), external_id) and (other == "-" or same_key(other, second))
            return is_same and (not kind or same_id(kind, event_type_id))

        return await _all(Events(caller).list(external_id=external_id, count=PAGE), is_it)


class NewOrders(CallKind):
    """Orders, found by their number among those of the customer."""

    name = "orders.create"
    claimed_as = "orders"
    key = "order_number"
    method = Orders.create
    id_field: str | None = "order_id"

    def key_of(self, body: JsonObject, reference: str | None) -> tuple[str | None, ...]:  # noqa: ARG002
        """See `CallKind.key_of`."""
        return (body["order"]["customer_id"], body["order"].get("order_number"))

    def lane(self, body: JsonObject) -> str | None:
        """See `CallKind.lane`."""
        return _customer(body["order"]["customer_id"])

    async def find(self, caller: Caller, key: tuple[str, ...]) -> Sequence[bytes]:
        """See `CallKind.find`."""
        customer_id, number = key
        orders = Orders(caller).list(customer_id=customer_id, count=PAGE)
        return await _all(orders, lambda found: same_key(found.get("order_number"), number))


class ReservedPoints(CallKind):
    """Points that are set aside, found by external id."""

    name = "point_reservations.reserve_points"
    claimed_as = "point_reservations"
    key = "external_id"
    method = PointReservations.reserve_points
    id_field: str | None = "points_reservation_id"

    def key_of(self, body: JsonObject, reference: str | None) -> tuple[str | None, ...]:  # noqa: ARG002
        """See `CallKind.key_of`."""
        return (body["external_id"],)

    def lane(self, body: JsonObject) -> str | None:
        """See `CallKind.lane`."""
        return _customer(body["customer_id"])

    async def find(self, caller: Caller, key: tuple[str, ...]) -> Sequence[bytes]:
        """See `CallKind.find`."""
        (external_id,) = key
        reservations = PointReservations(caller).list(external_id=external_id, count=PAGE)
        return await _all(reservations, lambda record: same_key(record.get("external_id"), external_id))


class _NewCustomers(CallKind):
    """New customers, found as bulk writes find them.

    Args:
        key: the key of bulk writes: an id in another system, an e-mail address or a phone number.
    """

    claimed_as = "customers"
    unseen = ("property_records", "social_network_credentials", "autologin")
    names_key = False
    method = Customers.create
    id_field: str | None = "customer_id"

    def __init__(self, key: str) -> None:
        self.key = key
        self.name = f"customers.create by {key}"
        self._bulk_key: Key = next(candidate for candidate in Customers._bulk.keys if candidate.name == key)

    def key_of(self, body: JsonObject, reference: str | None) -> tuple[str | None, ...]:  # noqa: ARG002
        """See `CallKind.key_of`."""
        given = {**body["customer_source"], **body["customer"]}
        return tuple(value_at(given, path) for path in self._bulk_key.paths)

    def lane(self, body: JsonObject) -> str | None:  # noqa: ARG002
        """See `CallKind.lane`."""
        return None

    async def find(self, caller: Caller, key: tuple[str, ...]) -> Sequence[bytes]:
        """See `CallKind.find`."""
        own = self._bulk_key
        records = await Finder(Customers(caller)._as_family(), own, concurrency=1).find([key])
        if (error := records.failure(text := own.text(key))) is not None:
            raise error
        reasons = records.refusal(text)
        if reasons:  # such as a record that does not show the key by which the server finds it
            raise TakenError("; ".join(reason.rpartition(": ")[2] for reason in reasons))
        return records.of(text)

    def normal(self, value: str) -> str:
        """See `CallKind.normal`."""
        return self._bulk_key.normal(value)

    def differences(self, caller: Caller, found: Mapping[str, Any], body: JsonObject) -> Sequence[str]:
        """See `CallKind.differences`."""
        family: Family = Customers(caller)._as_family()
        changes = dict(body["customer"])
        for path in self._bulk_key.paths:  # the server may spell an e-mail address in its own way
            drop_if_equal(changes, found, path, lambda value: self.normal(str(value)))
        return family.merge(msgspec.json.encode(found), changes).changed


#: The kinds. Of an operation with several, the first one whose key a call has.
KINDS: Final[tuple[CallKind, ...]] = (
    Bills(),
    _Amounts(Points.assign_points, POINTS, PointHistory),
    _Amounts(Points.reduce_points, POINTS, PointHistory, sign=-1),
    _Amounts(Credits.deposit_credits, CREDITS, CreditHistory),
    _Amounts(Credits.reduce_credits, CREDITS, CreditHistory, sign=-1),
    NewEvents(),
    NewOrders(),
    ReservedPoints(),
    _NewCustomers("external_id"),
    _NewCustomers("email"),
    _NewCustomers("phone"),
)
