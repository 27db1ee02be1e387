"""Families that are odd: lists by POST, answers without a name, a PUT of three fields."""

from contextlib import nullcontext
from datetime import date, datetime

import pytest
from every import every
from kit import connect
from resource_wire import Wire, answer

from carecloud_async import ConfigurationError, ConflictError
from carecloud_async.models import (
    Booking,
    BookingItemInput,
    CustomerInput,
    CustomerSourceInput,
    PersonalInformationInput,
    TimePeriod,
)
from carecloud_async.models.bookings import BookingInput, BookingUpdateInput
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BOOKING = {
    "booking_id": "b",
    "customer_id": "c",
    "booking_status": "open",
    "booking_items": [{"time_slot_id": "t", "valid_from": "2022-01-09 22:00:00", "capacity_taken": "2"}],
    "created_at": "2022-08-11 11:15:33",
    "utm": {"utm_source": "google"},
    "data": {"size": 20},
    "last_change": "2022-08-11 11:15:33",
    "state": 1,
}


async def test_a_booking_is_read_with_its_items():
    """Items, times, campaign and open data arrive; a count that came as text is a number."""
    wire = Wire(answer(BOOKING))
    booking = await wire.client.bookings.get("b")
    assert booking.booking_items[0].capacity_taken == 2
    assert booking.booking_items[0].valid_from == datetime(2022, 1, 9, 22)  # noqa: DTZ001
    assert (booking.utm.utm_source, booking.data) == ("google", {"size": 20})


async def test_a_booking_is_created_under_its_name():
    """The record stands under `booking`, its items inside it, and the id alone comes back."""
    wire = Wire(answer({"booking_id": "new"}))
    item = BookingItemInput(time_slot_id="t", created_at=datetime(2026, 1, 2, 3, 4, 5))  # noqa: DTZ001
    booking = BookingInput(booking_items=[item], created_at="2026-01-02 03:04:05")
    assert await wire.client.bookings.create(booking) == "new"
    assert wire.calls[0][3]["booking"]["booking_items"] == [{"time_slot_id": "t", "created_at": "2026-01-02 03:04:05"}]


async def test_an_update_of_a_booking_sends_its_three_fields():
    """Customer, status, data and unknown fields go back; items, campaign and times, which the PUT lacks, do not."""
    wire = Wire(answer(BOOKING | {"new_field": {"deep": [None]}}), b"")
    await wire.client.bookings.update("b", {"booking_status": "cancelled"})
    sent = {"customer_id": "c", "booking_status": "cancelled", "data": {"size": 20}, "new_field": {"deep": [None]}}
    assert wire.calls[1][3] == {"booking": sent}
    with pytest.raises(ConfigurationError, match="booking_items"):
        await Wire().client.bookings.update("b", {"booking_items": []})


async def test_an_update_of_a_booking_that_changed_is_refused():
    """`if_unchanged` compares the whole record, also what the PUT does not take."""
    before = await Wire(answer(BOOKING)).client.bookings.get("b")
    wire = Wire(answer(BOOKING | {"state": 0}))
    with pytest.raises(ConflictError, match="state"):
        await wire.client.bookings.update("b", {"booking_status": "cancelled"}, if_unchanged=before)
    assert len(wire.calls) == 1


LISTED = [
    ("vouchers", {"voucher_id": "v"}, {"reward": {"reward_id": "r", "store_list": [{"store_id": "s"}]}}),
    ("purchases", {"purchase_id": "p"}, {"purchase_items": [{"purchase_item_id": "i"}]}),
    ("bookings", {"booking_id": "b"}, {"booking_items": [{"booking_item_id": "i"}]}),
]


@every("family, listed, shown", LISTED)
async def test_what_a_list_leaves_out_is_no_change(family, listed, shown):
    """`if_unchanged` of a list's record: stores and items, which lists leave out, are no conflict; an owner is."""
    (record_id,) = listed.values()
    page = answer({family: [listed | {"customer_id": "c"}], "total_items": 1})
    changes = [{"customer_id": "c"}, {"customer_id": "e"}, {"customer_id": "c", "last_change": "2026-01-02 03:04:05"}]
    for change in changes:
        wire = Wire(page, answer(listed | shown | change))
        records = getattr(wire.client, family)
        before = await records.list().first()
        is_same = change == changes[0]
        with nullcontext() if is_same else pytest.raises(ConflictError):
            await records.update(record_id, {"customer_id": "d"}, if_unchanged=before)
        assert [title.split()[0] for title in wire.titles] == ["GET", "GET", *["PUT"][:is_same]]


async def test_a_booking_that_was_read_is_no_input():
    """`replace` takes the three fields and refuses the record as it was read."""
    wire = Wire()
    await wire.client.bookings.replace("b", BookingUpdateInput(booking_status="open", data=["x"]))
    assert wire.calls[0][3] == {"booking": {"booking_status": "open", "data": ["x"]}}
    with pytest.raises(ConfigurationError, match=r"update\(\)"):
        await wire.client.bookings.replace("b", Booking(booking_id="b"))


async def test_busy_times_are_asked_for_by_post():
    """An action's arguments are its body; several fields without a name come back as one value."""
    wire = Wire(answer({"time_unit": "hour", "chart_data": [{"x_axis_value": 7, "y_axis_value": "32"}]}))
    times = await wire.client.bookings.average_booking_busy_times(
        booking_date=date(2023, 1, 15), time_period=TimePeriod.WEEK
    )
    assert (times.time_unit, times.chart_data[0].x_axis_value) == ("hour", "7")
    assert wire.calls[0][3] == {"booking_date": "2023-01-15", "time_period": "week"}


@pytest.mark.parametrize("action", ["eliminate", "order", "combine"])
async def test_recommendations_are_listed_by_post(action):
    """The lists are one POST without paging: `count` is in the body, where it is how many products may come."""
    found = {"recommended_products_list": [{"product_id": "p", "plu_ids": [{"list_code": "SKU"}]}], "total_items": 1}
    wire = Wire(answer(found), answer(found))
    count = {} if action == "eliminate" else {"count": 5}
    product = getattr(wire.client.recommendation_engine.product, action)(
        customer_id="c", product_id_list=["p", "q"], **count
    )
    assert [one.plu_ids[0].list_code async for one in product] == ["SKU"]
    assert await product.total() == 1
    method, path, query, body = wire.calls[0]
    assert (method, path) == ("POST", f"/recommendation-engine/product/actions/{action}")
    assert not query
    assert body == {"customer_id": "c", "product_id_list": ["p", "q"], **count}


async def test_recommendations_for_a_cart():
    """A cart has three lists of its own; the ordering needs no customer."""
    wire = Wire(answer({"recommended_products_list": []}))
    assert await wire.client.recommendation_engine.shopping_cart.order(cart_product_ids=["p"]).first() is None
    assert wire.calls[0][3] == {"cart_product_ids": ["p"]}
    with pytest.raises(TypeError, match="cart_product_ids"):
        wire.client.recommendation_engine.shopping_cart.order()


async def test_a_wallet_answers_with_overviews():
    """Each overview is a value of its own; turnover is one amount for each currency."""
    wallet = Wire(
        answer({"turnover": [{"currency_id": "czk", "value": "1500", "due_date": None}]}),
        answer({"earned_points": 100, "available_points_money_value": [{"value": 5}]}),
        answer({"available_credits": 79.5, "split_by_currency": []}),
        answer({"next_amount": 77.36, "next_date": "2022-01-01"}),
        answer({"next_amount": 1, "next_date": "0000-00-00"}),
    ).client.wallet
    assert (await wallet.sales_turnover(customer_id="c", date_from=date(2020, 5, 7)))[0].value == 1500.0
    assert (await wallet.points_overview(customer_id="c")).available_points_money_value[0].value == 5.0
    assert (await wallet.credits_overview(customer_id="c", credit_type_id=["a"])).available_credits == 79.5
    assert (await wallet.points_expiration_overview(customer_id="c")).next_date == date(2022, 1, 1)
    assert (await wallet.credits_expiration_overview(customer_id="c")).next_date is None
    with pytest.raises(ConfigurationError, match="date_from"):
        await wallet.points_overview(customer_id="c", date_from="7.5.2020")


@pytest.mark.parametrize("action", ["assign_points", "reduce_points"])
async def test_points_move_without_a_partner(action):
    """`partner_id` may be left out, as in the vendor's own samples; the sandbox does without it too."""
    sandbox = Sandbox(customers=5, seed=5)
    async with connect(sandbox) as client:
        assert await getattr(client.points, action)(amount=5, customer_id=sandbox.customers.ids()[0])
    assert "partner_id" not in sandbox.requests[-1].json()


async def test_a_customers_source_takes_several_external_ids():
    """A customer whom another system knows by several ids is created with all of them."""
    source = CustomerSourceInput(customer_source_id="s", external_ids=["a", "b"])
    customer = CustomerInput(personal_information=PersonalInformationInput(language_id="cs"))
    wire = Wire(answer({"customer_id": "c"}))
    await wire.client.customers.create(customer, customer_source=source)
    assert wire.calls[0][3]["customer_source"] == {
        "customer_source_id": "s",
        "external_ids": ["a", "b"],
    }
