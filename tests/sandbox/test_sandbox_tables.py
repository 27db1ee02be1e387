"""The sandbox's tables: filters, parents, customers, batches, actions, refusals, and what tests may change."""

import pytest

from benchmarks.api_rules import broken_rules
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.sandbox.state.facts import api_facts
from tests.sandbox.contract_shapes import FACTS, body_of, path_of, record, refusals

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """One backend: nothing here waits, and the other packages' tests run the same server on both."""
    return "asyncio"


@pytest.fixture
def sandbox():
    return Sandbox(customers=20, seed=1, records=30)


def test_the_facts_are_the_manifests():
    """The sandbox has every operation of the manifest with all its parameters and fields, and every schema."""
    facts = api_facts()
    assert [operation.operation_id for operation in facts.operations] == list(FACTS.operations)
    assert {*facts.schemas, *facts.enums} == set(FACTS.schemas)
    for operation in facts.operations:
        known = FACTS.operations[operation.operation_id]
        assert [field.name for field in (*operation.query, *operation.body, *operation.fields)] == [
            value.name for value in (*known.query, *known.body, *known.answer.fields)
        ]
    assert len(FACTS.operations) >= 322


async def test_a_booking_is_changed_in_three_fields(sandbox, api):
    """`PUT /bookings/{booking_id}` replaces customer, status and data, and leaves the items alone."""
    path = path_of(sandbox, FACTS.operations["putBooking"])
    before = (await api.get(path)).json()["data"]
    body = {"booking": {"booking_status": "other", "booking_items": []}}
    assert (await api.call("PUT", path, json=body)).status_code == 204
    after = (await api.get(path)).json()["data"]
    assert after["booking_status"] == "other"
    assert not {"data", "customer_id"} & set(after)
    assert after["booking_items"] == before["booking_items"]


async def test_a_record_lives_from_post_to_delete(sandbox, api):
    """A POST returns an id; GET and the parent's list show the record until it is deleted."""
    booking = record(FACTS.schemas["Booking"]) | {"customer_id": FIRST_CUSTOMER_ID}
    created = await api.call("POST", "/bookings", json={"booking": booking})
    assert (created.status_code, list(created.json()["data"])) == (201, ["booking_id"])
    path = f"/bookings/{created.json()['data']['booking_id']}"
    read = (await api.get(path)).json()["data"]
    assert read.items() >= booking.items()
    assert read["state"] == 1
    mine = await api.get("/bookings", customer_id=FIRST_CUSTOMER_ID)
    assert read in mine.json()["data"]["bookings"]
    assert (await api.call("DELETE", path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.call("DELETE", path)).status_code == 404
    assert len(sandbox.records("bookings")) == 30


async def test_records_below_a_parent_are_its_own(sandbox, api):
    """An address belongs to the customer under whom it was created, and to no other."""
    operation = FACTS.operations["postSubCustomerAddress"]
    path = f"/customers/{FIRST_CUSTOMER_ID}/addresses"
    created = (await api.call("POST", path, json=body_of(operation))).json()["data"]
    address_id = created["additional_address_id"]
    assert (await api.get(path)).json()["data"]["total_items"] == 31
    other = f"/customers/{sandbox.customers.id_at(1)}/addresses"
    assert (await api.get(other)).json()["data"]["total_items"] == 30
    assert (await api.get(f"{path}/{address_id}")).status_code == 200
    assert (await api.get(f"{other}/{address_id}")).status_code == 404
    assert address_id in sandbox.records("customers/addresses", of=FIRST_CUSTOMER_ID)


def has_b(task):
    return "b" in str(task["task_title"]).casefold()


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("/cards", {"state": 0}, lambda item, _: item["state"] == 0),
        ("/cards", {"customer_id": 0}, lambda item, first: item["customer_id"] == first["customer_id"]),
        ("/cards", {"card_number": 0}, lambda item, first: item["card_number"] == first["card_number"]),
        ("/cards", {"is_valid": "true"}, lambda item, _: item["valid_from"] <= "2026" <= item["valid_to"]),
        ("/cards", {"is_valid": "false"}, lambda item, _: not item["valid_from"] <= "2026" <= item["valid_to"]),
        (
            "/purchases",
            {"payment_time_from": "2020-06-01"},
            lambda item, _: item["payment_time"] > "2020-06",
        ),
        ("/purchases", {"payment_time_to": "2020-05-31"}, lambda item, _: item["payment_time"] < "2020-06"),
        ("/events", {"time_from": "2020-06-01 00:00:00"}, lambda item, _: item["created_at"] >= "2020-06"),
        ("/stores", {"system_id": 0}, lambda item, first: item["system_id"] == first["system_id"]),
        ("/products", {"name": "bonus"}, lambda item, _: "Bonus" in str(item.get("name"))),
        ("/countries", {"country_name": "coffee"}, lambda item, _: "Coffee" in str(item.get("name"))),
        ("/tasks", {"priority": 2}, lambda item, _: item["task_priority"] == 2),
        (
            "/tasks",
            {"priority": 2, "task_title": "b"},
            lambda item, _: has_b(item) and item["task_priority"] == 2,
        ),
        ("/stores", {"property_value": "x"}, lambda *_: True),
    ],
    ids=lambda item: None if callable(item) else str(item),
)
async def test_filters_compare_the_field_of_their_name(connect, path, params, expected):
    """A filter finds those records, all of them and no others; a 0 stands for the first record's value."""
    sandbox, key = Sandbox(customers=20, records=200), path.strip("/")
    async with connect(sandbox, "enterprise") as api:
        token = await api.user_token()
        every = (await api.get(path, token=token, count=1000)).json()["data"][key]
        params = {name: every[0][name] if value == 0 and name != "state" else value for name, value in params.items()}
        filtered = (await api.get(path, token=token, count=1000, **params)).json()["data"]
    assert filtered[key] == [item for item in every if expected(item, every[0])]
    assert filtered["total_items"] == len(filtered[key]) > 0


@pytest.mark.parametrize(
    ("path", "key", "parameter", "values"),
    [
        ("/cards", "cards", "card_number_list[]", lambda item: [item["card_number"]]),
        ("/bookings", "bookings", "booking_statuses[]", lambda item: [item["booking_status"]]),
        ("/customer-source-records", "customer_source_records", "external_ids[]", lambda item: [item["external_id"]]),
        ("/products", "products", "tag_ids[]", lambda item: [tag["tag_id"] for tag in item["tags"]]),
        ("/vouchers", "vouchers", "reward_id[]", lambda item: [item["reward"]["reward_id"]]),
    ],
)
async def test_list_filters_take_any_of_their_values(sandbox, api, path, key, parameter, values):
    """A filter in brackets finds the records with one of its values, in the list's order."""
    every = (await api.get(path, count=1000)).json()["data"][key]
    tidy = [item for item in every if all(values(item)) and values(item)]
    wanted = {values(tidy[0])[0], values(tidy[-1])[0]}
    filtered = (await api.get(path, **{parameter: [*wanted, "nobody"]})).json()["data"][key]
    assert filtered == [item for item in every if wanted & {str(value) for value in values(item)}]
    assert len(filtered) >= len(wanted)
    assert broken_rules(sandbox) == []


async def test_filters_follow_changes(sandbox, api):
    """A filter finds records by their values after inserts, updates and deletes, in a table and among customers."""
    cards, customers = sandbox.records("cards"), sandbox.customers

    async def found(path, **params):
        (records, total) = (await api.get(path, **params)).json()["data"].values()
        assert len(records) == total
        return [item.get("card_id") or item["customer_id"] for item in records]

    first, second = cards.ids()[:2]
    email = customers.get(customers.id_at(2))["personal_information"]["email"]
    assert await found("/cards", card_number="77") == []
    assert await found("/customers", email=email) == [customers.id_at(2)]
    for item in (second, first):
        cards.update(item, {"card_number": "77"})
        customers.update(customers.id_at(2), {"personal_information": {"email": "77@example.com"}})
    made = [cards.insert({"card_number": "77"}), customers.insert({"personal_information": {"email": email}})]
    assert await found("/cards", card_number="77") == [first, second, made[0]]
    assert await found("/customers", email="77@EXAMPLE.com") == [customers.id_at(2)]
    assert await found("/customers", email=email) == [made[1]]
    cards.delete(second)
    customers.delete(made[1])
    assert await found("/cards", card_number="77") == [first, made[0]]
    assert await found("/customers", email=email) == []


async def test_lists_below_a_parent_show_the_records_that_name_it(sandbox, api):
    """`/customers/{customer_id}/cards` and `/card-types/{card_type_id}/cards` show parts of the same table."""
    cards = list(sandbox.records("cards"))
    for parent, field in (("customers", "customer_id"), ("card-types", "card_type_id")):
        for value in {card[field] for card in cards}:
            data = (await api.get(f"/{parent}/{value}/cards")).json()["data"]
            assert data["cards"] == [card for card in cards if card[field] == value]


async def test_references_lead_to_records(sandbox, api):
    """The ids in a record are those of records that exist."""
    customers, types = sandbox.customers, sandbox.records("card-types")
    assert all(card["customer_id"] in customers and card["card_type_id"] in types for card in sandbox.records("cards"))
    for voucher in sandbox.records("vouchers"):
        assert voucher["reward"]["reward_id"] in sandbox.records("rewards")
        assert (await api.get(f"/customers/{voucher['customer_id']}")).status_code == 200
    people = [customer["personal_information"] for customer in sandbox.customers]
    assert {person["store_id"] for person in people if person.get("store_id")} <= {*sandbox.records("stores").ids()}


async def test_a_customer_sees_only_own_records(sandbox, customer):
    """A logged-in customer lists the own records; records of others are a 403, writes for them a 400."""
    device = await customer.device_token()
    assert (await customer.get("/cards", token=device)).status_code == 401
    await customer.customer_login(device)
    cards = list(sandbox.records("cards"))
    own = [card for card in cards if card["customer_id"] == FIRST_CUSTOMER_ID]
    other = next(card for card in cards if card["customer_id"] != FIRST_CUSTOMER_ID)
    assert (await customer.get("/cards", token=device)).json()["data"] == {"cards": own, "total_items": len(own)}
    assert (await customer.get(f"/cards/{other['card_id']}", token=device)).status_code == 403
    assert (await customer.get(f"/customers/{other['customer_id']}/cards", token=device)).status_code == 403
    booking = record(FACTS.schemas["Booking"]) | {"customer_id": other["customer_id"]}
    refused = await customer.call("POST", "/bookings", token=device, json={"booking": booking})
    (param,) = refused.json()["error"]["error_data"]["invalid_params"]
    assert (refused.status_code, param["reason"]) == (400, "not_belong_to_logged_in_customer")
    del booking["customer_id"]
    created = (await customer.call("POST", "/bookings", token=device, json={"booking": booking})).json()["data"]
    assert sandbox.records("bookings").get(created["booking_id"])["customer_id"] == FIRST_CUSTOMER_ID


async def test_batches_create_change_and_delete(sandbox, api):
    """A batch adds what is new, changes what its id or external id knows; a DELETE with a body removes its ids."""
    brands = sandbox.records("product-brands")
    known = brands.get(brands.ids()[3])
    rows = [{"name": "Renamed", "external_id": known["external_id"]}, {"name": "New", "external_id": "new"}]
    body = {"product_brands": rows}
    assert (await api.call("POST", "/product-brands/batch", json=body)).status_code == 204
    assert (len(brands), brands.get(brands.ids()[3])["name"]) == (31, "Renamed")
    prices = sandbox.records("product-reservation-prices")
    gone = prices.ids()[:2]
    body = {"product_reservation_prices": [{"product_reservation_price_id": item} for item in gone]}
    path = "/product-reservation-prices/batch"
    assert (await api.call("DELETE", path, json=body)).status_code == 204
    assert (len(prices), [item in prices for item in gone]) == (28, [False, False])


async def test_actions_show_in_the_tables(sandbox, api):
    """Created vouchers show in the lists of their reward and of their customer."""
    reward = f"/rewards/{sandbox.records('rewards').ids()[1]}"
    body = {"customer_id": FIRST_CUSTOMER_ID, "code": "NEW"}
    created = await api.call("POST", f"{reward}/actions/create-voucher", json=body)
    for parent in (reward, f"/customers/{FIRST_CUSTOMER_ID}"):
        listed = (await api.get(f"{parent}/vouchers", count=100)).json()["data"]["vouchers"]
        assert created.json()["data"]["voucher_id"] in [item["voucher_id"] for item in listed]


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"state": 9}, "card.state", "not_allowed_value"),
        ({"card_number": 5}, "card.card_number", "invalid_value_format"),
        ({"card_number": ""}, "card.card_number", "empty"),
        ({"customer_id": "nobody"}, "card.customer_id", "not_found"),
    ],
)
async def test_fields_that_are_not_valid_are_named(sandbox, api, changes, name, reason):
    """A value of the wrong type or out of its values is a 400 with its dotted name, and nothing is created."""
    card = record(FACTS.schemas["Card"]) | changes
    answer = await api.call("POST", "/cards", json={"card": card})
    assert refusals(answer) == [(name, reason)]
    assert len(sandbox.records("cards")) == 30


@pytest.mark.parametrize(
    ("operation", "body", "name"),
    [
        ("putBooking", {"booking": {"customer_id": 5}}, "booking.customer_id"),
        ("putBooking", {"booking": {"data": 5}}, "booking.data"),
        ("putBooking", {"booking": {"data": [{}]}}, "booking.data"),
        (
            "postBulkDeleteProductReservationPrices",
            {"product_reservation_prices": [{"product_reservation_price_id": 5}]},
            "product_reservation_prices.0.product_reservation_price_id",
        ),
        ("postBatchCards", {"error_processing": True}, "error_processing"),
    ],
)
async def test_fields_without_a_schema_of_their_own_are_checked(sandbox, api, operation, body, name):
    """Fields that are declared below another one, with several types or as a named number, have their types checked."""
    known = FACTS.operations[operation]
    answer = await api.call(known.verb, path_of(sandbox, known), json={**body_of(known), **body})
    assert (name, "invalid_value_format") in refusals(answer)


async def test_a_pattern_is_checked(sandbox, api):
    """A text that does not have the form of its field is a 400."""
    store = record(FACTS.schemas["Store"]) | {"phone_number": "+420 777"}
    answer = await api.call("POST", "/stores", json={"store": store})
    assert refusals(answer) == [("store.phone_number", "invalid_value_format")]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/customers/actions/search-customers", {"mode": "loose"}),
        ("/entrances", {"pos_id": 4}),
        ("/bookings", {"add_booking_items": "all"}),
    ],
)
async def test_parameters_with_known_values_take_no_others(api, path, params):
    """A value that a parameter of the query does not know is a 400."""
    assert refusals(await api.get(path, **params)) == [(*params, "not_allowed_value")]


async def test_parameters_of_lists_are_checked(sandbox, api):
    """Unknown parameters are violations; a sort field that no record has and a missing parameter are a 400."""
    assert (await api.get("/cards", colour="red")).status_code == 200
    assert broken_rules(sandbox) == ["GET /cards: unknown query parameter 'colour'"]
    assert (await api.get("/cards", sort_field="colour")).status_code == 400
    missing = await api.get("/point-history")
    assert refusals(missing) == [("customer_id", "required")]


async def test_faults_and_caps_hold_for_tables(sandbox, api):
    """Faults by template and the cap on `count` work as they do for customers."""
    sandbox.faults.add("GET /cards/{card_id}", status=503)
    path = path_of(sandbox, FACTS.operations["getCard"])
    assert [(await api.get(path)).status_code for _ in range(2)] == [503, 200]
    sandbox.max_count = 4
    data = (await api.get("/cards", count=10)).json()["data"]
    assert len(data["cards"]) == 4
    whole = (await api.get(f"/customers/{FIRST_CUSTOMER_ID}/interest-records")).json()["data"]  # has no pages
    assert len(whole["interest_records"]) == whole["total_items"] > 4


def test_the_first_record_is_tidy_and_others_are_not():
    """Zero dates, nulls, numbers for texts, unknown fields and values are all among the first fifty tasks and cards."""
    tidy, *others = Sandbox(20, records=50).records("tasks")
    assert list(tidy) == [value.name for value in FACTS.schemas["Task"].fields]
    assert any(other.get("due_date") == "0000-00-00" for other in others)
    assert any(other.get("task_note", "") is None for other in others)
    assert any("sandbox_extra" in other for other in others)
    assert any("task_note" not in other for other in others)
    cards = list(Sandbox(20, records=50).records("cards"))
    assert any(isinstance(card["secondary_card_number"], int) for card in cards)
    assert any(card["last_change"] == "0000-00-00 00:00:00" for card in cards)
    assert any(item.get("state") == 97 for item in Sandbox(20, records=50).records("points"))


def test_tables_are_changed_from_outside():
    """A test adds, changes and removes records; unknown ids, lists and parents are a KeyError."""
    cards = Sandbox(5, records=3).records("/cards")
    added = cards.insert({"card_number": "7"})
    cards.update(added, {"state": 0})
    assert (cards.get(added), len(cards)) == ({"card_id": added, "card_number": "7", "state": 0}, 4)
    made_up = cards.insert()
    assert set(cards.get(made_up)) >= {"card_id", "card_number"}
    cards.delete(added)
    assert (added in cards, made_up in cards) == (False, True)
    with pytest.raises(KeyError):
        cards.get(added)
    with pytest.raises(KeyError):
        cards.replace(added, {})
    for name, of in (("unknown", None), ("customers", "x"), ("customers/addresses", None), ("cards", "x")):
        with pytest.raises(KeyError):
            Sandbox(5).records(name, of=of)


def test_no_customer_has_more_points_than_were_assigned():
    """The points that are left of a record are at most those that were assigned."""
    points = Sandbox(customers=1).records("points")
    assert all(point["available_points"] <= point["assigned_points"] for point in points)
