"""The kinds of entries: which calls can be put, how each is found again, and which are refused with a message."""

from datetime import UTC, datetime

import anyio
import pytest
from memory_servers import LoyaltyServer, client_of
from outbox_tools import NEXT_DAY, PLACE, STORE, bill, put_bill, put_points

from carecloud_async import (
    ConfigurationError,
    CustomerInput,
    CustomerSession,
    Device,
    DeviceSetup,
    DeviceToken,
    InterfaceError,
)
from carecloud_async.models import (
    CustomerSourceInput,
    EventInput,
    OrderInput,
    OrderInvoicingInput,
    PersonalInformationInput,
)
from carecloud_async.outbox import NotForOutboxError
from carecloud_async.workflows import canceled_bill

pytestmark = pytest.mark.anyio

SOURCE = CustomerSourceInput(customer_source_id="86e05affc7a7abefcd513ab400")
PERSON = PersonalInformationInput(email="Ann@example.com", first_name="Ann", language_id="en")
ORDER = {
    "customer_id": "c",
    "currency_id": "czk",
    "total_price": 9.0,
    "order_items": [],
    "invoicing_data": OrderInvoicingInput(payment_id="1"),
}
KINDS = {
    "a bill": lambda client: (client.purchases.send_purchase, [bill(1)], PLACE),
    "a bill by name": lambda client: (client.purchases.send_purchase, [], {"bill": bill(1), **PLACE}),
    "points": lambda client: (client.points.assign_points, [], {"customer_id": "c", "amount": 5, "reference": "B1"}),
    "fewer points": lambda client: (
        client.points.reduce_points, [], {"customer_id": "c", "amount": 5.5, "reference": "B1"},
    ),
    "credits": lambda client: (
        client.credits.deposit_credits,
        [],
        {"customer_id": "c", "amount": 5.0, "partner_id": "p", "note": "x", "reference": "B1"},
    ),
    "fewer credits": lambda client: (
        client.credits.reduce_credits, [], {"customer_id": "c", "amount": 5.0, "partner_id": "p", "reference": "B1"},
    ),
    "an event": lambda client: (
        client.events.create, [EventInput(event_type_id="t", external_id="e1", customer_id="c")], {},
    ),
    "an order": lambda client: (client.orders.create, [OrderInput(order_number="7", **ORDER)], {}),
    "reserved points": lambda client: (
        client.point_reservations.reserve_points, [], {"external_id": "r1", "customer_id": "c", "amount": 3.0},
    ),
    "a customer": lambda client: (
        client.customers.create, [CustomerInput(personal_information=PERSON)], {"customer_source": SOURCE},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("fault", ["cut", "before", 20.0])
async def test_each_kind_is_done_once_after_a_lost_answer(client, server, outbox, what, fault):
    """Each kind is found by its key after a lost answer, and not done again if it is there."""
    method, args, named = KINDS[what](client)
    server.faults = [fault]
    await outbox.put(method, *args, **named)
    assert await outbox.flush()
    server.work_late()
    assert len(server.done) == 1


SPELLINGS = {
    "numbers": (lambda key: int(key) if key.isdigit() else key, float),
    "spaces": (lambda key: f" {key} ", lambda amount: f"{amount:.4f}"),
    "commas": (lambda key: key, lambda amount: f"{amount:.2f}".replace(".", ",")),
}


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_each_kind_is_found_as_the_server_spells_it(client, server, clock, outbox, what, spelling):
    """A key that is shown as a number or with spaces is the key, and an amount may be a text with a comma."""
    method, args, named = KINDS[what](client)
    server.faults = ["cut"]
    server.spelled, server.amounts = SPELLINGS[spelling]
    for _ in range(2):
        await outbox.put(method, *args, **named)
        assert await outbox.flush()
        clock.advance(NEXT_DAY)
    assert len(server.done) == 1


async def test_an_amount_that_cannot_be_read_fails_its_entry(client, server, outbox):
    """Points whose amount the history shows in an unknown form fail with a reason, and hold up nothing."""
    server.faults, server.amounts = ["cut"], lambda amount: f"{amount} points"
    points = client.points.assign_points
    await outbox.put(points, customer_id="c", amount=5, reference="B1")
    await outbox.put(points, customer_id="c", amount=5, reference="B2")
    assert not await outbox.flush()
    (failed,) = await outbox.failures()
    assert failed.reasons[0] == "reference: it is taken by another record, which differs in amount"
    assert server.notes() == ["[ref: B1]", "[ref: B2]"]


async def test_a_part_of_a_reference_is_another_operation(client, server, clock, outbox):
    """Points with the reference `B1` are given although `B10` is there."""
    for reference in ("B10", "B1", "B10"):
        await put_points(client, outbox, "c", reference)
        assert await outbox.flush()
        clock.advance(NEXT_DAY)
    assert server.notes() == ["[ref: B10]", "[ref: B1]"]


async def test_an_entry_whose_look_up_fails_alone(client, server, outbox):
    """Points of a customer whose history the server cannot list fail with that reason, and all others are given."""
    server.failing = {"c2": 500}
    for number in range(6):
        await put_points(client, outbox, f"c{number}", f"B{number}")
    assert not await outbox.flush()
    (failed,) = await outbox.failures()
    assert (failed.label, failed.reasons) == (
        "points.assign_points B2",
        ("the server failed 3 times on its look-up: 500",),
    )
    assert sorted(server.notes()) == [f"[ref: B{number}]" for number in (0, 1, 3, 4, 5)]


async def test_points_that_are_taken_from_a_history_without_signs(client, server, outbox):
    """Taken points whose answer is lost are found in a history that shows amounts without signs, and taken once."""
    server.faults, server.amounts = ["cut"], abs
    await outbox.put(client.points.reduce_points, customer_id="c", amount=5, reference="B1")
    assert await outbox.flush()
    assert server.notes() == ["[ref: B1]-"]


async def test_an_outbox_and_a_bulk_write_beside_it_give_points_once(client, server, path, outbox):
    """While an outbox sends points, a bulk write of them waits, whatever the case of the customer's id."""
    arrived, waits = anyio.Event(), anyio.Event()

    async def hold(request):
        if "assign-points" in request.url.path:
            if arrived.is_set():
                waits.set()  # the bulk write does not wait
            arrived.set()
            await waits.wait()

    server.arrived = hold
    await put_points(client, outbox, "8ea", "B1")
    await arrived.wait()
    rows = [{"customer_id": "8EA", "reference": "B1", "amount": 5}]
    report = await client.points.bulk_write(
        rows, match="reference", on_progress=lambda progress: progress.waits_for and waits.set()
    )
    assert report.unchanged == 1
    assert server.notes() == ["[ref: B1]"]


async def test_a_reference_of_another_amount_fails(client, server, clock, outbox):
    """Points whose reference stands with another amount, or was taken and not given, are not taken as done."""
    await outbox.put(client.points.reduce_points, customer_id="c", amount=5.0, reference="B1")
    assert await outbox.flush()
    clock.advance(NEXT_DAY)
    for method, amount in ((client.points.assign_points, 5.0), (client.points.reduce_points, 6.0)):
        await outbox.put(method, customer_id="c", amount=amount, reference="B1")
        assert not await outbox.flush()
        (failed,) = await outbox.failures()
        assert failed.reasons == ("reference: it is taken by another record, which differs in amount",)
        await outbox.drop([failed.id])


async def test_changes_of_a_customer_are_made_in_their_order(client, server, outbox):
    """Updates of one customer are sent one after the other, however its id is spelled; other fields stay."""
    server.customers["c1"] = {"customer_id": "c1", "personal_information": {"first_name": "A", "city": "Brno"}}
    server.faults = ["before", None, 503]
    for customer_id, name in (("c1", "Ann"), ("C1", "Eva"), ("c1", "Ida")):
        await outbox.put(client.customers.update, customer_id, {"personal_information": {"first_name": name}})
    await outbox.put(client.customers.update, "nobody", {"personal_information": {"first_name": "x"}})
    assert not await outbox.flush()
    assert (await outbox.failures())[0].label == "customers.update nobody"
    assert server.customers["c1"]["personal_information"] == {"first_name": "Ida", "city": "Brno"}


async def test_a_customer_that_is_there_with_other_values_fails(client, server, outbox):
    """A new customer whose e-mail another one has is not made, and the reason shows no value."""
    server.customers["c1"] = {
        "customer_id": "c1",
        "personal_information": {"email": "ann@example.com", "first_name": "Eva", "language_id": "en"},
    }
    customer = CustomerInput(personal_information=PERSON)
    await outbox.put(client.customers.create, customer, customer_source=SOURCE)
    assert not await outbox.flush()
    (failed,) = await outbox.failures()
    assert failed.label == "customers.create"
    assert failed.reasons == ("email: it is taken by another record, which differs in personal_information.first_name",)


POINTS = {"customer_id": "c", "amount": 5.0, "reference": "B1"}

REFUSED = [
    (lambda c: (c.customers.get, ["c1"], {}), "customers.get only reads"),
    (lambda c: (c.points.transfer_points, [], {}), "points.transfer_points cannot wait in an outbox: after a lost"),
    (lambda c: (c.bookings.create, [], {}), "bookings.create cannot wait in an outbox"),
    (lambda c: (c.customers.replace, ["c1"], {}), "put update"),
    (lambda c: (print, [], {}), "put takes a method of the client"),
    (lambda c: (c.points.assign_points, [], {"customer_id": "c", "amount": 1.0}), "give reference=, such as"),
    (
        lambda c: (c.points.assign_points, [], {"customer_id": "c", "amount": 1.0, "reference": "a b"}),
        "a reference is 1 to 64",
    ),
    (lambda c: (c.points.assign_points, [], {**POINTS, "amount": "x"}), "^amount: not a number$"),
    (lambda c: (c.purchases.send_purchase, [bill(1)], {**PLACE, "reference": "B1"}), ": leave reference= out$"),
    (lambda c: (c.purchases.send_purchase, [bill("")], PLACE), "needs external_purchase_id"),
    (lambda c: (c.points.assign_points, [], {**POINTS, "amount": "5"}), "^amount: a text"),
    (lambda c: (c.points.assign_points, [], {**POINTS, "amount": None}), "assign_points needs amount: None"),
    (lambda c: (c.points.assign_points, [], {**POINTS, "customer_id": 17}), "^customer_id: not a text"),
    (lambda c: (c.points.assign_points, [], {**POINTS, "customer_id": None}), "assign_points needs customer_id"),
    (lambda c: (c.purchases.send_purchase, [bill(1)], {**PLACE, "store_id": None}), "send_purchase needs store_id"),
    (lambda c: (c.purchases.send_purchase, [bill(1, currency_id=None)], PLACE), "needs bill.currency_id"),
    (lambda c: (c.purchases.send_purchase, [bill(1, bill_items=None)], PLACE), "needs bill.bill_items"),
    (lambda c: (c.purchases.send_purchase, [{"bill_id": "1"}], PLACE), "FinalBillInput"),
    (lambda c: (c.purchases.send_purchase, ["bill"], PLACE), "send_purchase"),
    (lambda c: (c.purchases.send_purchase, [bill(1)], {"store_id": STORE}), "cashdesk_number"),
    (lambda c: (c.orders.create, [OrderInput(**ORDER)], {}), "needs order_number"),
    (
        lambda c: (
            c.customers.create, [CustomerInput(personal_information=PERSON)],
            {"customer_source": SOURCE, "property_records": []},
        ),
        "cannot send property_records",
    ),
    (lambda c: (c.customers.update, ["c1", {"nonsense": 1}], {}), "nonsense"),
    (lambda c: (c.vouchers.update, ["v1", {"value": "1,5"}], {}), "^value: not a number$"),
    (lambda c: (c.customers.update, ["c1", {"personal_information": {"phone": "+420 12"}}], {}), "country has$"),
    (lambda c: (c.customers.update, ["c1"], {}), "takes no other arguments"),
    (lambda c: (c.customers.update, [5, {}], {}), "takes a text and a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
async def test_a_mistake_is_the_callers_error(client, outbox, call, message):
    """`put` refuses a call that no outbox can send or no server would take, and stores nothing."""
    method, args, named = call(client)
    with pytest.raises((ConfigurationError, TypeError), match=message):
        await outbox.put(method, *args, **named)
    assert outbox.waiting == 0


async def test_a_mistyped_field_of_an_update_names_the_right_one(client, outbox):
    """The error is that of a call which cannot be put, and names no setting of bulk writes."""
    with pytest.raises(NotForOutboxError, match=r"first_nam.*did you mean personal_information.first_name\?\)$"):
        await outbox.put(client.customers.update, "c1", {"personal_information": {"first_nam": "Ann"}})


async def test_a_method_of_another_client_is_refused(client, server, clock, path):
    """An outbox sends as the client that it was made with, never as another identity."""
    async with client_of(server, clock, login="other") as other, client.outbox(path) as outbox:
        with pytest.raises(NotForOutboxError, match="of the client"):
            await outbox.put(other.purchases.send_purchase, bill(1), **PLACE)


async def test_an_operation_that_the_interface_lacks_is_refused(client, server, path):
    """A call that the identity may not make is refused at `put`."""
    device = Device(device_id="d", device_system="s", device_name="n", device_type="t")
    setup = DeviceSetup(language_id="cs", allowed_gps=False, allowed_notifications=False)
    token = DeviceToken(external_application_id="89d1a6111b3fb6e74665d948", device=device, setup=setup)
    view = client.acting_as(CustomerSession(token, login_type="email", login_value="a", password="b"))
    async with view.outbox(path) as outbox:
        with pytest.raises(InterfaceError):
            await outbox.put(view.points.assign_points, customer_id="c", amount=1.0, reference="B1")


async def test_aware_times_are_sent_in_the_projects_zone(client, server, outbox):
    """A time with a zone is stored and sent in the project's local time."""
    sold = bill(1, payment_time=datetime(2026, 3, 2, 10, tzinfo=UTC))
    await outbox.put(client.purchases.send_purchase, sold, **PLACE)
    assert await outbox.flush()
    assert server.bills[0]["bill"]["payment_time"] == "2026-03-02 11:00:00"


async def test_a_customer_whose_email_is_not_shown_is_made_once(clock, path):
    """A lost create of a customer whom the server finds by e-mail and shows without it is not sent again."""

    class Shy(LoyaltyServer):
        def on_read(self, path, query):
            shown = super().on_read(path, query)
            return {**shown, "customers": [{**item, "personal_information": {}} for item in shown["customers"]]}

    shy = Shy(clock)
    shy.faults = ["after"]
    async with client_of(shy, clock) as client, client.outbox(path) as outbox:
        await outbox.put(client.customers.create, CustomerInput(personal_information=PERSON), customer_source=SOURCE)
        assert not await outbox.flush()
        (failed,) = await outbox.failures()
    assert failed.outcome == "unknown"
    assert failed.reasons[0] == "email: the server finds a record by it that does not show it"
    assert len(shy.customers) == 1


async def test_a_bill_that_is_there_is_not_sent_again(client, server, clock, outbox):
    """A bill that the server has for days counts as sent; a bill with the same id and another total fails."""
    await put_bill(client, outbox, 1)
    await outbox.flush()
    clock.advance(NEXT_DAY)
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    clock.advance(NEXT_DAY)
    await outbox.put(client.purchases.send_purchase, bill(1, total=77.0), **PLACE)
    assert not await outbox.flush()
    (failed,) = await outbox.failures()
    assert failed.reasons == ("external_purchase_id: it is taken by another record, which differs in total_price",)
    assert server.bill_ids() == ["1"]


OTHERS = {
    "a cent": ({"total": 10.01}, {}, "total_price"),
    "half a unit": ({"total": 10.5}, {}, "total_price"),
    "a day": ({"payment_time": "2026-03-03 10:00:00"}, {}, "payment_time"),
    "a customer": ({}, {"customer_id": "d"}, "customer_id"),
    "a currency": ({"currency_id": "eur"}, {}, "currency_id"),
    "all": (
        {"total": 99.0, "payment_time": "2026-03-03 10:00:00"},
        {"customer_id": "d"},
        "payment_time, total_price, customer_id",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
async def test_another_bill_with_a_used_id_fails(client, server, clock, outbox, what):
    """A till that begins to count again each day loses no sale: another bill fails, with the fields that differ."""
    fields, named, differ = OTHERS[what]
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    clock.advance(NEXT_DAY)
    sale = {"customer_id": "c", **PLACE, **named}
    await outbox.put(client.purchases.send_purchase, bill(1, **fields), **sale)
    assert not await outbox.flush()
    (failed,) = await outbox.failures()
    reason = f"external_purchase_id: it is taken by another record, which differs in {differ}"
    assert failed.reasons == (reason,)
    assert server.bill_ids() == ["1"]


BILL_SPELLINGS = [
    {"payment_time": "2026-03-02T09:00:00Z"},
    {"total_price": "10,125"},
    {"payment_time": "2026-03-02T10:00:00.000+01:00"},
    {"total_price": 10.129, "currency_id": "CZK", "customer_id": "C"},
    {"total_price": 10.12, "payment_time": "", "customer_id": None, "type_id": None},
]


@pytest.mark.parametrize("shown", BILL_SPELLINGS)
@pytest.mark.parametrize("fault", ["cut", None])
async def test_a_bill_is_found_as_the_server_spells_it(client, server, clock, outbox, shown, fault):
    """After a lost answer, and put again a day later, a bill counts as sent though times and totals look otherwise."""
    server.shown, server.faults = shown, [fault]
    for _ in range(2):
        await put_bill(client, outbox, 1, total=10.125)
        assert await outbox.flush()
        clock.advance(NEXT_DAY)
    assert server.bill_ids() == ["1"]


@pytest.mark.parametrize("total", [10.0, -10.0])
async def test_a_cancellation_is_found_with_either_sign(client, server, outbox, total):
    """A cancellation that is there counts as sent, whether its total is shown below zero or not."""
    server.shown, server.faults = {"total_price": total}, ["cut"]
    await outbox.put(client.purchases.send_purchase, canceled_bill(bill(1)), **PLACE)
    assert await outbox.flush()
    assert server.bill_ids() == ["C1"]
