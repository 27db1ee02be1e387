"""Every operation of the API on the sandbox: success, shape, pages, writes, refusals."""

import json
from datetime import UTC, datetime

import pytest
from every import every

from benchmarks.api_rules import broken_rules
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, OTHER_CUSTOMER_APPLICATION_ID, Sandbox
from carecloud_async.sandbox.api.operations import ACTIONS, HANDLERS
from carecloud_async.sandbox.state.facts import REQUIRED
from tests.sandbox.contract_shapes import FACTS, body_of, path_of, query_of, wrong_in_answer

pytestmark = pytest.mark.anyio
OPERATIONS = list(FACTS.operations.values())
#: Those of the customers' own handlers, which have tests of their own.
OWN = [
    operation.operation_id
    for operation in OPERATIONS
    if f"{operation.verb} {operation.path}" in {*ACTIONS, *HANDLERS} and "/customers" in operation.path
]
ON_BOTH = [operation for operation in OPERATIONS if operation.interface == "both" and operation.verb != "DELETE"]
GETS = {operation.path: operation for operation in OPERATIONS if operation.verb == "GET"}
#: Every PUT that a GET of the same path shows, but the customer's and the booking's, which have rules of their own.
PUTS = [operation for operation in OPERATIONS if operation.verb == "PUT" and operation.path in GETS]
PUTS = [put for put in PUTS if put.operation_id not in ("putBooking", *OWN)]
WRITES = [operation for operation in OPERATIONS if any(value.required for value in operation.body)]
WRITES = [
    write for write in WRITES if not write.path.startswith(("/tokens", "/users")) and write.operation_id not in OWN
]
LISTS = [
    operation
    for operation in OPERATIONS
    if operation.answer.key and not operation.path.startswith(("/customers", "/users"))
]
#: Fields of the quickstart's users that the description lacks.
QUICKSTART = {".user.phone", ".user.user_role_id", ".phone", ".user_role_id"}
by_id = {"ids": lambda record: record.operation_id}


@pytest.fixture
def anyio_backend():
    """One backend: nothing here waits, and the other packages' tests run the same server on both."""
    return "asyncio"


def fresh():
    return Sandbox(customers=20, seed=1, records=30)


READ_ALONE = fresh()


def sandbox_for(operation):
    """A sandbox of its own for what writes; reads share one, whose tables are made once."""
    return READ_ALONE if operation.verb == "GET" else fresh()


@pytest.fixture
def sandbox():
    return fresh()


async def handed_over(sandbox, connect):
    """The proof of an authentication token that the enterprise interface has just issued."""
    async with connect(sandbox, "enterprise") as api:
        issuing = FACTS.operations["postCustomersAuthToken"]
        answer = await api.call("POST", issuing.path, token=await api.user_token(), json=body_of(issuing))
    data = answer.json()["data"]
    proof = {"token": data["authentication_token"], "token_request_id": data["token_request_id"]}
    return {"application_id": OTHER_CUSTOMER_APPLICATION_ID, **proof}


async def called(sandbox, connect, operation, interface):
    """The answer to a call with all that is required."""
    async with connect(sandbox, interface) as api:
        token = None
        if operation.authorized and interface == "customer":
            token = await api.device_token()
            await api.customer_login(token)
        elif operation.authorized:
            token = await api.user_token()
        body, query = body_of(operation), query_of(operation)
        if operation.operation_id == "postUserLogout":
            body["bearer_token"] = token
        if "token_request_id" in body:
            body = await handed_over(sandbox, connect)
        if operation.operation_id == "postAssignCard":  # one card of a type for each customer
            cards = sandbox.records("cards")
            for held in [card["card_id"] for card in cards if card["card_type_id"] == body["card_type_id"]]:
                cards.delete(held)
        if operation.operation_id == "postPurchaseAssignCustomer":
            purchases = sandbox.records("purchases")
            sold = {name: body[name] for name in ("store_id", "external_purchase_id")}
            purchases.update(purchases.ids()[0], sold)
            body["customer_id"] = FIRST_CUSTOMER_ID
        options = {"json": body} if operation.body else {}
        path = path_of(sandbox, operation, token)
        return await api.call(operation.verb, path, token=token, params=query, **options)


def wrong(operation, answer):
    return [item for item in wrong_in_answer(operation, answer) if item.split(" ")[0] not in QUICKSTART]


@every("operation", OPERATIONS, **by_id)
async def test_every_operation_succeeds_in_the_declared_form(connect, operation):
    """Called with what it requires, an operation answers its declared status and shape, and notes no violation."""
    sandbox = sandbox_for(operation)
    customers_alone = operation.interface == "customer" or operation.path.startswith("/tokens")
    answer = await called(sandbox, connect, operation, "customer" if customers_alone else "enterprise")
    assert wrong(operation, answer) == []
    assert broken_rules(sandbox) == []
    assert sandbox.count(f"{operation.verb} {operation.path}") >= 1


@every("operation", ON_BOTH, **by_id)
async def test_operations_of_both_interfaces_succeed_for_a_customer(connect, operation):
    """A logged-in customer gets answers of the declared form."""
    sandbox = sandbox_for(operation)
    answer = await called(sandbox, connect, operation, "customer")
    assert wrong(operation, answer) == []
    assert broken_rules(sandbox) == []


@every("operation", [operation for operation in OPERATIONS if operation.interface != "both"], **by_id)
async def test_the_wrong_interface_is_refused(sandbox, connect, operation):
    """An operation of one interface is a 403 on the other."""
    async with connect(sandbox, "customer" if operation.interface == "enterprise" else "enterprise") as api:
        answer = await api.call(operation.verb, path_of(sandbox, operation, "token"), token="token", json={})
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "interface_not_allowed_exception")


@every("operation", [operation for operation in OPERATIONS if operation.authorized], **by_id)
async def test_a_token_is_asked_for(sandbox, connect, operation):
    """Without a token, an operation that needs one is a 401."""
    async with connect(sandbox, "customer" if operation.interface == "customer" else "enterprise") as api:
        answer = await api.call(operation.verb, path_of(sandbox, operation, "token"), json={})
    on_other_interface = operation.path.endswith("/actions/logout") and operation.path.startswith("/tokens")
    assert answer.status_code == (403 if on_other_interface else 401)


@every(
    "operation",
    [operation for operation in OPERATIONS if operation.path_names and not operation.path.startswith("/tokens")],
    **by_id,
)
async def test_unknown_ids_in_the_path_are_not_found(sandbox, api, operation):
    """An id that no record has is a 404, whichever place of the path it stands in."""
    for name in operation.path_names:
        path = path_of(sandbox, operation)
        place = operation.path.split("/").index("{" + name + "}")
        segments = path.split("/")
        segments[place] = "nobody"
        answer = await api.call(operation.verb, "/".join(segments), json=body_of(operation), params=query_of(operation))
        assert (answer.status_code, answer.json()["error"]["error_data"]["resource_id"]) == (404, "nobody")


@every("operation", WRITES, **by_id)
async def test_missing_fields_of_a_body_are_named(connect, operation):
    """An empty body is a 400, and one that lacks a field of a table's operation names that field."""
    sandbox = fresh()  # the forms of problems take turns
    async with connect(sandbox, "enterprise") as api:
        token = await api.user_token()
        path = path_of(sandbox, operation)
        answer = await api.call(operation.verb, path, token=token, json={})
    params = answer.json()["error"]["error_data"]["invalid_params"]
    asked = {value.name for value in operation.body if value.required and "." not in value.name}
    asked -= {
        name for (operation_id, name), must in REQUIRED.items() if operation_id == operation.operation_id and not must
    }
    assert (answer.status_code, {param["name"] for param in params}) == (400, asked)
    assert {param["reason"] for param in params} == {"required"}


@every("operation", LISTS, **by_id)
async def test_pages_bring_every_record_once(sandbox, api, operation):
    """Paged lists are walked by `offset` to the end, in their order and by each field; unpaged ones come whole."""
    path, body = path_of(sandbox, operation), body_of(operation)
    names = {value.name for value in operation.query}

    async def page(**params):
        options = {"json": body} if operation.verb == "POST" else {}
        params = {**query_of(operation), **params}
        answer = await api.call(operation.verb, path, params=params, **options)
        data = answer.json()["data"]
        return [json.dumps(item, sort_keys=True) for item in data[operation.answer.key]], data["total_items"]

    whole, total = await page(**({"count": 1000} if "count" in names else {}))
    assert len(whole) == total > 0
    if "offset" in names:
        pages = [(await page(count=11, offset=offset))[0] for offset in range(0, total, 11)]
        assert [item for part in pages for item in part] == whole
    if "sort_field" in names:
        field = FACTS.schemas[operation.answer.type].fields[0].name
        rising, _ = await page(count=1000, sort_field=field)
        falling, _ = await page(count=1000, sort_field=field, sort_direction="DESC")
        values = [json.loads(item).get(field) for item in rising]
        assert (sorted(rising), falling) == (sorted(whole), rising[::-1])
        texts = [value for value in values if isinstance(value, str)]
        assert texts == sorted(texts)


@every("operation", PUTS, **by_id)
async def test_put_deletes_what_is_left_out(sandbox, api, operation):
    """A PUT keeps what only the server sets, takes what is sent, and deletes the rest; the next GET shows it."""
    sandbox.clock.set(datetime(2026, 1, 15, 11, tzinfo=UTC))
    wrapper = next(value for value in operation.body if value.required)
    schema = FACTS.schemas[wrapper.item]
    path, body = path_of(sandbox, operation), body_of(operation)
    before = (await api.get(path)).json()["data"]
    answer = await api.call("PUT", path, json=body)
    after = (await api.get(path)).json()["data"]
    kept = {value.name: before[value.name] for value in schema.fields if value.read_only}
    kept |= {"last_change": "2026-01-15 12:00:00"} if "last_change" in kept else {}
    kept |= {name: path.rpartition("/")[2] for name in operation.path_names[-1:] if name in before}
    assert answer.status_code == 204
    assert after == body[wrapper.name] | kept
    assert set(before) - set(after) == {
        field.name for field in schema.fields if not (field.required or field.read_only)
    }
