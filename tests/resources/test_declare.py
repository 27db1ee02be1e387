"""Methods: where each argument goes, what comes back, and the table of all operations."""

import inspect
import pydoc
from datetime import date

import pytest
from every import every
from kit import connect
from resource_wire import Wire, answer

from carecloud_async import (
    CareCloud,
    ConfigurationError,
    CustomerSourceInput,
    OutcomeUnknownError,
)
from carecloud_async.models import AdditionalAddressInput, AddressInput, ProductReservationPriceIdInput, TimePeriod
from carecloud_async.resources import OPERATIONS
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
ADDRESS = AdditionalAddressInput(address=AddressInput(city="Brno"), address_type="t")
SOURCE = CustomerSourceInput(customer_source_id="s", external_id="e")


#: A call, the answer to it, its verb and path, its query, its body, and what it returns.
CALLS = {
    "the query of a GET": (
        lambda client: client.customers.get("1", customer_short_salutation=True),
        {"customer_id": "1"},
        ("GET /customers/1", [("customer_short_salutation", "true")], None),
        lambda customer: customer.customer_id == "1",
    ),
    "the id of the parent, and one id as its member": (
        lambda client: client.customers.customer_source_records("c").create(SOURCE),
        {"customer_source_record_id": 5},
        ("POST /customers/c/customer-source-records", [], {"customer_source_record": SOURCE.to_dict()}),
        lambda record_id: record_id == "5",
    ),
    "an id that the path calls otherwise": (
        lambda client: client.customers.addresses("c").replace("a", ADDRESS),
        None,
        ("PUT /customers/c/addresses/a", [], {"additional_address": ADDRESS.to_dict()}),
        lambda nothing: nothing is None,
    ),
    "an id of the path that the body repeats": (
        lambda client: client.product_reservations.cancel_reservation("r"),
        None,
        ("POST /product-reservations/r/actions/cancel-reservation", [], {"product_reservation_id": "r"}),
        lambda nothing: nothing is None,
    ),
    "the body of a DELETE": (
        lambda client: client.product_reservation_prices.delete_batch(
            [ProductReservationPriceIdInput(product_reservation_price_id="p")], error_processing=2
        ),
        None,
        (
            "DELETE /product-reservation-prices/batch",
            [],
            {"product_reservation_prices": [{"product_reservation_price_id": "p"}], "error_processing": 2},
        ),
        lambda nothing: nothing is None,
    ),
    "several values of a filter": (
        lambda client: client.product_reservation_prices.list(reservable_product_id=["a", "b"], count=5).page(),
        {"product_reservation_prices": []},
        (
            "GET /product-reservation-prices",
            [("count", "5"), ("offset", "0"), ("reservable_product_id[]", "a"), ("reservable_product_id[]", "b")],
            None,
        ),
        lambda page: page.items == [],
    ),
    "the list of a parent": (
        lambda client: client.booking_tickets.time_slots("k").list(free_only=True, count=5).collect(limit=5),
        {"time_slots": [{"time_slot_id": "t", "free_capacity": "20"}], "total_items": 1},
        ("GET /booking-tickets/k/time-slots", [("count", "5"), ("offset", "0"), ("free_only", "true")], None),
        lambda slots: [slot.free_capacity for slot in slots] == [20],
    ),
    "an action that answers with several fields": (
        lambda client: client.bookings.average_booking_busy_times(
            booking_date=date(2023, 1, 15), time_period=TimePeriod.WEEK
        ),
        {"time_unit": "hour", "chart_data": [{"x_axis_value": 7, "y_axis_value": "32"}]},
        (
            "POST /bookings/actions/average-booking-busy-times",
            [],
            {"booking_date": "2023-01-15", "time_period": "week"},
        ),
        lambda times: (times.time_unit, times.chart_data[0].x_axis_value) == ("hour", "7"),
    ),
    "an action that answers with one amount for each currency": (
        lambda client: client.wallet.sales_turnover(customer_id="c", date_from=date(2020, 5, 7)),
        {"turnover": [{"currency_id": "czk", "value": "1500", "due_date": None}]},
        ("GET /wallet/actions/sales-turnover", [("customer_id", "c"), ("date_from", "2020-05-07")], None),
        lambda turnover: [amount.value for amount in turnover] == [1500.0],
    ),
    "a list by POST without paging, whose count is how many products may come": (
        lambda client: client.recommendation_engine.product.order(customer_id="c", count=5).first(),
        {"recommended_products_list": [{"product_id": "p", "plu_ids": [{"list_code": "SKU"}]}]},
        ("POST /recommendation-engine/product/actions/order", [], {"customer_id": "c", "count": 5}),
        lambda product: product.plu_ids[0].list_code == "SKU",
    ),
    "a cart, which needs no customer": (
        lambda client: client.recommendation_engine.shopping_cart.order(cart_product_ids=["p"]).first(),
        {"recommended_products_list": []},
        ("POST /recommendation-engine/shopping-cart/actions/order", [], {"cart_product_ids": ["p"]}),
        lambda nothing: nothing is None,
    ),
    "points without a partner, as in the vendor's own samples": (
        lambda client: client.points.assign_points(amount=5, customer_id="c"),
        {"point_id": "p"},
        ("POST /points/actions/assign-points", [], {"amount": 5, "customer_id": "c"}),
        lambda point_id: point_id == "p",
    ),
}


@every("name", CALLS)
async def test_each_argument_goes_where_the_signature_says(name):
    """Ids go into the path, the rest into the query or the body; the annotation says what comes back."""
    call, data, (title, query, body), is_right = CALLS[name]
    wire = Wire(b"" if data is None else answer(data))
    assert is_right(await call(wire.client))
    assert wire.titles == [title]
    assert wire.calls[0][2:] == (query, body)


async def test_an_answer_without_its_one_value_is_a_broken_one():
    """A create whose answer lacks the new id is an error that names it."""
    with pytest.raises(OutcomeUnknownError, match="holds no customer_source_record_id"):
        await Wire(answer({})).client.customers.customer_source_records("c").create(SOURCE)


def test_help_shows_the_declared_signature():
    """Editors and `help()` see the arguments and the docstring as they are written."""
    client = connect(Sandbox(customers=0))
    assert "last_name" in inspect.signature(client.customers.list).parameters
    assert inspect.iscoroutinefunction(client.customers.get)
    assert client.customers.get.__doc__.startswith("Return one customer")
    shown = pydoc.render_doc(CareCloud, renderer=pydoc.plaintext)
    for family in ("cards", "currencies"):
        assert type(getattr(client, family)).__doc__ in shown


@every("shown, given", [(2, "2"), ("AB12", "ab12")])
async def test_an_update_without_a_get_finds_the_record_in_its_list(shown, given):
    """The list may write an id as a number or in another case; fields that were not named are kept."""
    record = {"property_record_id": shown, "property_id": "p", "property_value": "old", "new_field": 1}
    page = {"property_records": [{"property_record_id": None}, record], "total_items": 2}
    wire = Wire(answer(page), b"")
    await wire.client.customers.property_records("c").update(given, {"property_value": "new"})
    assert wire.titles == ["GET /customers/c/property-records", f"PUT /customers/c/property-records/{given}"]
    assert wire.sent["property_record"].items() >= {"property_value": "new", "new_field": 1}.items()
    with pytest.raises(ConfigurationError, match="holds no record with this property_record_id"):
        await Wire(answer(page), answer([])).client.customers.property_records("c").update("3", {"property_value": 1})


def test_the_table_and_the_client_have_the_same_families():
    """Each family of the table is an attribute of the client, of the class that its annotation names."""
    client = connect(Sandbox(customers=0))
    (annotated,) = (vars(cls)["__annotations__"] for cls in CareCloud.__mro__ if cls.__name__ == "Families")
    assert {name: f"Family[{type(getattr(client, name)).__name__}]" for name in annotated} == annotated
    assert {operation.call.partition(".")[0] for operation in OPERATIONS.values()} == {*annotated}
