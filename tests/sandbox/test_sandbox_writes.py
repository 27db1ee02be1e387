"""Writes with rules of their own: cards that are assigned, batches in both modes, second external ids."""

import pytest

from benchmarks.api_rules import broken_rules
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox
from tests.sandbox.contract_shapes import refusals

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=5, records=2)


async def test_a_customer_gets_one_card_of_a_type(sandbox, api):
    """A free card of the type is assigned, then a second one is refused, even if the first one has changed."""
    cards = sandbox.records("cards")
    blocked = cards.insert({"card_type_id": "t", "card_number": "6", "customer_id": None, "state": 0})
    free = cards.insert({"card_type_id": "t", "card_number": "7", "customer_id": None, "state": 1})
    body = {"card_type_id": "t", "customer_id": FIRST_CUSTOMER_ID}
    path = "/cards/actions/assign-free-card"

    async def is_free(number):
        asked = {"card_number": number}
        answer = await api.call("POST", "/cards/actions/validate-free-card", json=asked)
        return answer.json()["data"]["is_free_to_use"]

    assert [await is_free(number) for number in ("6", "7", "8")] == [False, True, False]
    answer = await api.call("POST", path, json={**body, "card_number": "6"})
    assert refusals(answer) == [("card_number", "not_found")]
    answer = await api.call("POST", path, json=body)
    assert answer.json()["data"] == {"card_id": free}
    cards.update(free, {"state": 0})
    assert not await is_free("7")
    answer = await api.call("POST", path, json=body)
    assert refusals(answer) == [("card_type_id", "relation_already_exists")]
    assert cards.get(blocked)["customer_id"] is None


async def test_a_card_is_created_if_none_is_free(sandbox, api):
    """Without a free card of the type a new one is assigned; an unknown customer is refused."""
    body = {"card_type_id": "t", "customer_id": FIRST_CUSTOMER_ID}
    answer = await api.call("POST", "/cards/actions/assign-free-card", json=body)
    assert sandbox.records("cards").get(answer.json()["data"]["card_id"])["card_type_id"] == "t"
    body["customer_id"] = "nobody"
    answer = await api.call("POST", "/cards/actions/assign-free-card", json=body)
    assert refusals(answer) == [("customer_id", "not_found")]


async def test_a_new_card_has_a_number_of_its_own(sandbox, api):
    """The numbers of created cards differ, also if a card was deleted in between."""
    cards = sandbox.records("cards")
    numbers = []
    for customer in range(2):
        body = {"card_type_id": "t", "customer_id": sandbox.customers.id_at(customer)}
        answer = await api.call("POST", "/cards/actions/assign-free-card", json=body)
        numbers.append(cards.get(answer.json()["data"]["card_id"])["card_number"])
        cards.delete(cards.ids()[0])
    assert numbers[0] != numbers[1]


async def test_a_customer_gets_cards_for_itself_only(sandbox, customer):
    """On the customer interface the customer is the logged-in one and need not be named."""
    token = await customer.device_token()
    await customer.customer_login(token)
    path = "/cards/actions/assign-free-card"
    answer = await customer.call("POST", path, token=token, json={"card_type_id": "t"})
    assert sandbox.records("cards").get(answer.json()["data"]["card_id"])["customer_id"] == FIRST_CUSTOMER_ID
    other = {"card_type_id": "t", "customer_id": sandbox.customers.id_at(1)}
    answer = await customer.call("POST", path, token=token, json=other)
    assert refusals(answer) == [("customer_id", "not_belong_to_logged_in_customer")]


@pytest.mark.parametrize(("mode", "kept"), [(None, 0), (1, 0), (2, 2)])
async def test_a_batch_keeps_its_valid_rows_on_request(api, sandbox, mode, kept):
    """One invalid row undoes a batch; with mode 2 the others are kept. The invalid one is named."""
    rows = [{"name": name, "plu_ids": [{"list_code": "G", "code": "1"}]} for name in ("a", "", "b")]
    body = {"products": rows, **({} if mode is None else {"error_processing": mode})}
    answer = await api.call("POST", "/products/batch", json=body)
    assert len(sandbox.records("products")) == 2 + kept
    assert refusals(answer) == [("products.1.name", "empty")]


async def test_a_batch_of_deletions_keeps_its_valid_rows_on_request(api, sandbox):
    """With mode 2 the records of the valid rows are deleted, and the invalid row is named."""
    prices = sandbox.records("product-reservation-prices")
    rows = [{"product_reservation_price_id": value} for value in (prices.ids()[0], 5)]
    body = {"product_reservation_prices": rows, "error_processing": 2}
    answer = await api.call("DELETE", "/product-reservation-prices/batch", json=body)
    name = "product_reservation_prices.1.product_reservation_price_id"
    assert (len(prices), refusals(answer)) == (1, [(name, "invalid_value_format")])


@pytest.mark.parametrize(("rows", "reason"), [(0, "empty"), (1001, "not_allowed_value")])
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/products/batch", "products"),
        ("DELETE", "/product-reservation-prices/batch", "product_reservation_prices"),
    ],
)
async def test_a_batch_has_bounds(api, method, path, name, rows, reason):
    """Batches hold 1 to 1,000 rows."""
    answer = await api.call(method, path, json={name: [{"name": "a"}] * rows})
    assert refusals(answer) == [(name, reason)]


async def test_a_refusal_names_a_thousand_parameters_at_most(api):
    """An answer never names more than 1000 invalid parameters, which is the API's bound."""
    answer = await api.call("POST", "/cards/batch", json={"cards": [{}] * 1000})
    assert len(refusals(answer)) == 1000


async def test_source_records_hold_several_ids(sandbox, api, new_customer):
    """`external_ids[]` matches any id of a record, `external_id` the one that is shown, unless both are given."""
    source = {"customer_source_id": "86e05affc7a7abefcd513ab400", "external_ids": ["A", "B"]}
    answer = await api.call("POST", "/customers", json=new_customer(customer_source=source))
    made = answer.json()["data"]["customer_id"]

    async def found(**query):
        data = (await api.get("/customer-source-records", **query)).json()["data"]
        return [
            (customer_source_record["customer_id"], customer_source_record["external_id"])
            for customer_source_record in data["customer_source_records"]
        ]

    assert await found(**{"external_ids[]": ["B", "C"]}) == [(made, "A")]
    assert await found(external_id="A") == [(made, "A")]
    assert await found(external_id="B") == []
    assert await found(**{"external_ids[]": "B", "external_id": "nothing"}) == [(made, "A")]
    assert not broken_rules(sandbox)


async def test_properties_of_a_customer_show_in_the_list(sandbox, api, new_customer):
    """A new customer has the property records that were sent and no others; a PUT that names some replaces them."""
    records = [{"property_id": "size", "property_value": 40}]
    answer = await api.call("POST", "/customers", json=new_customer(property_records=records))
    made = answer.json()["data"]["customer_id"]

    async def values():
        data = (await api.get(f"/customers/{made}/property-records")).json()["data"]
        return [property_record["property_value"] for property_record in data["property_records"]]

    assert await values() == [40]
    body = {"customer": new_customer()["customer"]}
    await api.call("PUT", f"/customers/{made}", json=body)
    assert await values() == [40]
    records = [{"property_id": "size", "property_value": 42}, {"property_id": "vip", "property_value": True}]
    await api.call("PUT", f"/customers/{made}", json={**body, "property_records": records})
    assert await values() == [42, True]
    interests = await api.get(f"/customers/{made}/interest-records")
    assert interests.json()["data"]["total_items"] == 0


async def test_an_event_is_recorded_once(sandbox, api):
    """Type, customer and both external ids make an event the same; a second one is refused."""
    event = {"event_type_id": "t", "customer_id": FIRST_CUSTOMER_ID, "external_id": "cart 1"}

    async def post(**changes):
        return await api.call("POST", "/events", json={"event": {**event, **changes}})

    assert (await post()).status_code == 201
    assert refusals(await post()) == [("external_id", "relation_already_exists")]
    assert (await post(secondary_external_id="later")).status_code == 201
    assert len(sandbox.records("events")) == 4


async def test_a_payment_uses_what_was_asked_for(sandbox, api):
    """accept-payment answers with the vouchers, points and credits that were asked for, up to the price of the bill."""
    sandbox.records("vouchers").insert({"code": "TWENTY", "value": 20.0})
    item = {"bill_item_id": "1", "plu_ids": [], "plu_name": "x", "vat_rate": 20, "quantity": 1, "paid_amount": 100}
    item |= {"price": 100, "loyalty_off": False, "purchase_item_type_id": "t"}
    bill = {"bill_id": "1", "payment_time": "2026-11-25 10:15:00", "currency_id": "c", "total_price": 100}
    body = {"store_id": "s", "cashdesk_number": 1, "payment_type": "S", "bill": {**bill, "bill_items": [item]}}

    async def accepted(**more):
        path = "/purchases/actions/accept-payment"
        data = (await api.call("POST", path, json={**body, **more})).json()["data"]
        vouchers = [(voucher["code"], voucher["discount_value"]) for voucher in data["vouchers"]]
        return vouchers, data["credit_points"], data["credit"]

    assert await accepted() == ([], 0, 0)
    assert await accepted(benefit_codes=["TWENTY", "other"], max_points=30, max_credit=90) == ([("TWENTY", 20)], 30, 50)
