"""An outbox behind HTTP: the application that `carecloud outbox FILE serve` serves."""

from contextlib import asynccontextmanager

import httpx
import pytest
from bills import FINAL

from carecloud_async.fastapi.outbox_server import MAX_BODY, MAX_RATE, outbox_app

pytestmark = pytest.mark.anyio

SECRET = "a secret of the tills"


@pytest.fixture
def anyio_backend():
    return "asyncio"  # uvicorn serves it on asyncio


@pytest.fixture
def till(make, tmp_path, monkeypatch):
    """Start the application, and give a client of it, whose clock stands still."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    @asynccontextmanager
    async def start(**options):
        async with make(**options) as client, client.outbox(tmp_path / "till.db") as outbox:
            app = outbox_app(client, outbox, token=SECRET, seconds=lambda: http.now)
            transport = httpx.ASGITransport(app)
            headers = {"Authorization": f"Bearer {SECRET}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://till", headers=headers) as http:
                http.client, http.outbox, http.now = client, outbox, 0
                yield http

    return start


async def points(http, *, key="sale-1", amount=5, customer=None):
    customer = customer or (await http.client.customers.list().first()).customer_id
    body = {"customer_id": customer, "amount": amount}
    return await http.post("/outbox/points.assign_points", json=body, headers={"Idempotency-Key": key})


async def test_the_same_request_is_stored_once(till):
    """A repeated request has the entry of the first; another content under its key is refused with 409."""
    async with till() as http:
        first, again = await points(http), await points(http)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["entry"] == again.json()["entry"]
        assert (await points(http, amount=7)).status_code == 409
        ended = await http.get(f"/outbox/{first.json()['entry']}", params={"wait": 30})
        assert ended.json()["state"] == "sent"
        assert (await http.get("/outbox/2")).status_code == 422  # no entry has had this number
        assert await http.outbox.flush(timeout=300)
        customer = await http.client.customers.list().first()
        notes = [
            record.point_operation_note
            async for record in http.client.point_history.list(customer_id=customer.customer_id)
        ]
        assert sum("sale-1" in (note or "") for note in notes) == 1


async def test_a_bill_is_json(till):
    """A bill arrives as the API describes it; its own id is the key, and what is wrong in it is named."""
    async with till() as http:
        client = http.client
        store, currency = await client.stores.list().first(), await client.currencies.list().first()
        kind, goods = await client.purchase_types.list().first(), await client.purchase_item_types.list().first()
        bill = FINAL.to_dict() | {"currency_id": currency.currency_id, "purchase_type_id": kind.type_id}
        bill["bill_items"][0]["purchase_item_type_id"] = goods.type_id
        sale = {"store_id": store.store_id, "cashdesk_number": 1, "bill": bill}
        wrong = {**sale, "bill": {**bill, "total": 120}}
        refused = await http.post("/outbox/purchases.send_purchase", json=wrong)
        assert refused.status_code == 422
        assert "total" in refused.json()["detail"]
        refused = await http.post("/outbox/purchases.send_purchase", json=sale, headers={"Idempotency-Key": "1"})
        assert (refused.status_code, refused.json()["detail"].rpartition(": ")[2]) == (
            422,
            "leave the header Idempotency-Key out",
        )
        assert (await http.post("/outbox/purchases.send_purchase", json=sale)).status_code == 202
        assert await http.outbox.flush(timeout=300)
        assert await client.purchases.list(store_id=store.store_id, external_purchase_id=FINAL.bill_id).total() == 1


async def test_a_record_is_changed(till):
    """An update has the id and the changes."""
    async with till() as http:
        customer = await http.client.customers.list().first()
        body = {"id": customer.customer_id, "changes": {"personal_information": {"first_name": "Ada"}}}
        assert (await http.post("/outbox/customers.update", json=body)).status_code == 202
        assert await http.outbox.flush(timeout=300)
        assert (await http.get("/outbox/1")).json()["state"] == "sent"
        changed = await http.client.customers.get(customer.customer_id)
        assert changed.personal_information.first_name == "Ada"
        assert (await http.post("/outbox/customers.update", json={"id": 1})).status_code == 422


@pytest.mark.parametrize(
    ("operation", "body", "status", "words"),
    [
        ("points.assign_point", "{}", 404, "did you mean points.assign_points"),
        ("customers.list", "{}", 404, "no outbox sends"),
        (
            "points.assign_points",
            '{"customer_id": "8ea2591121e636086a4a9c0992", "amount": 1}',
            422,
            "give the header Idempotency-Key, such as",
        ),
        ("points.assign_points", '{"customer": 1}', 422, "customer_id"),
        ("points.assign_points", "[1]", 422, "JSON object"),
        ("points.assign_points", '{"a":' * 100_000, 422, "JSON object"),
        ("points.assign_points", "x" * (MAX_BODY + 1), 413, "more than"),
    ],
)
async def test_a_mistake_is_refused_with_its_reason(till, operation, body, status, words):
    """Nothing is stored, and the answer names what to change."""
    async with till() as http:
        answer = await http.post(f"/outbox/{operation}", content=body)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
        assert http.outbox.waiting == 0


async def test_without_the_secret_nothing_is_shown_or_taken(till):
    """Only the status page and the description are open, and they have no data of customers."""
    async with till() as http:
        del http.headers["Authorization"]
        for method, path in (
            ("POST", "/outbox/points.assign_points"),
            ("GET", "/outbox"),
            ("GET", "/customers?typed=1"),
        ):
            assert (await http.request(method, path, headers={"Authorization": "Bearer wrong"})).status_code == 401
            assert (await http.request(method, path)).status_code == 401
        assert "Everything has been sent" in (await http.get("/")).text
        assert "/outbox/{operation}" in (await http.get("/openapi.json")).json()["paths"]


async def test_what_waits_is_shown_with_the_reason(till):
    """While the network is away, requests are accepted, and the state and the page for the shop say why they wait."""

    def away(request):
        raise httpx.ConnectError("no network")

    async with till(transport=httpx.MockTransport(away)) as http:
        assert (await points(http, customer="8ea2591121e636086a4a9c0992")).status_code == 202
        await http.outbox.flush(timeout=0.5)
        state = (await http.get("/outbox")).json()
        assert (state["waiting"], state["failed"]) == (1, 0)
        assert (await http.get("/outbox/1")).json()["state"] == "waiting"
        assert (await http.get("/customers", params={"typed": "1234567"})).status_code == 502


async def test_who_stands_at_the_till(till):
    """A customer is found by the e-mail address that was typed."""
    async with till() as http:
        customer = await http.client.customers.list().first()
        customers = (await http.get("/customers", params={"typed": customer.personal_information.email})).json()
        assert customer.customer_id in [record["customer_id"] for record in customers]
        assert (await http.get("/customers", params={"typed": " "})).status_code == 422


async def test_too_many_requests_wait_a_second(till):
    """A program that runs wild gets 429 with Retry-After; a second later requests are served."""
    async with till() as http:
        answers = [await http.get("/outbox") for _ in range(MAX_RATE + 1)]
        assert [answer.status_code for answer in answers[-2:]] == [200, 429]
        assert answers[-1].headers["Retry-After"] == "1"
        http.now += 1
        assert (await http.get("/outbox")).status_code == 200
