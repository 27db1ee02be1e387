"""The customers: untidy, paged, filtered, created, replaced."""

from datetime import UTC, datetime

import pytest

from benchmarks.api_rules import broken_rules
from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID, Sandbox
from tests.sandbox.contract_shapes import refusals

MALE = {"language_id": "cs", "gender": "male"}
AGREED = {"language_id": "cs", "agreement": {"agreement_gtc": "yes"}}
AGREEMENT = "customer.personal_information.agreement.agreement_gtc"

pytestmark = pytest.mark.anyio


async def everyone(api, **params):
    customers = []
    while True:
        data = (await api.get("/customers", offset=len(customers), **params)).json()["data"]
        customers += data["customers"]
        if not data["customers"]:
            return customers


async def test_pages_hold_everyone_once(sandbox, api):
    """Paging to the end gives every customer once, in any order asked for."""
    ids = sandbox.customers.ids()
    assert [item["customer_id"] for item in await everyone(api)] == ids
    by_id = await everyone(api, sort_field="customer_id", count=70)
    assert [item["customer_id"] for item in by_id] == sorted(ids)
    for field in ("last_change", "state"):
        for direction in ("ASC", "DESC"):
            sorted_ids = await everyone(api, sort_field=field, sort_direction=direction, count=77)
            assert sorted(record_id["customer_id"] for record_id in sorted_ids) == sorted(ids)
    newest = await everyone(api, sort_field="last_change", sort_direction="DESC")
    changes = [item["last_change"] or "" for item in newest]
    assert changes == sorted(changes, reverse=True)


async def test_the_records_are_untidy(sandbox):
    """Zero dates, numeric phones, nulls, unknown values and fields, awkward text: all within the first 300."""
    records = list(sandbox.customers)
    people = [record["personal_information"] for record in records]
    assert people[0]["birthdate"] == "985-02-12"
    for field, value in [
        ("birthdate", "0000-00-00"),
        ("birthdate", ""),
        ("gender", None),
        ("gender", 9),
        ("email", ""),
    ]:
        assert any(field in person and person[field] == value for person in people), (field, value)
    assert any(isinstance(person.get("phone"), int) for person in people)
    assert any(person.get("address", 0) is None for person in people)
    assert any(person.get("address") == [] for person in people)
    assert any(person.get("consents", 0) is None for person in people)
    assert any((person.get("agreement") or {}).get("custom_agreements", 0) is None for person in people)
    assert any("address" not in person for person in people)
    assert any('"total_items"' in person.get("salutation", "") for person in people)
    assert any(record.get("state") == 7 for record in records)
    assert any(record.get("last_change") == "0000-00-00 00:00:00" for record in records)
    assert any(record.get("lifetime_value", 0) > 2**64 for record in records)
    assert any("loyalty_tier" in record for record in records)


@pytest.mark.parametrize("customer_id", ["8ea2591121e636086a4a9c0992", "89ac83ca207a820c62c79bf03a"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_customers_of_the_descriptions_examples_exist(connect, seed, customer_id):
    """A customer whom examples of the description name can be read, and logs in at a social network."""
    async with connect(Sandbox(8, seed=seed), "enterprise") as api:
        api.token = await api.user_token()
        read = await api.get(f"/customers/{customer_id}")
        social = {"social_network_id": "facebook", "social_network_token": f"social-token-of-{customer_id}"}
        path, body = "/customers/actions/verify-social-network-credentials", {"social_network_credentials": social}
        known = await api.call("POST", path, json=body)
    assert read.json()["data"]["customer_id"] == known.json()["data"]["customer_id"] == customer_id


def test_the_first_tidy_customer_has_a_date_of_birth():
    """Without untidy records the birth year of the quickstart's customer has four digits."""
    first = Sandbox(1, untidy=False).customers.get(FIRST_CUSTOMER_ID)
    assert first["personal_information"]["birthdate"] == "1985-02-12"


async def test_the_same_seed_gives_the_same_customers():
    """Customers and records depend on the seed alone; ids of customers are 26 hex digits and all different."""
    first, same, other = Sandbox(40, seed=5), Sandbox(40, seed=5), Sandbox(40, seed=6)
    assert list(first.customers) == list(same.customers)
    assert list(first.records("vouchers")) == list(same.records("vouchers")) != list(other.records("vouchers"))
    assert first.customers.ids()[1:] != other.customers.ids()[1:]
    assert len({*first.customers.ids()}) == 40
    assert all(len(record_id) == 26 and int(record_id, 16) for record_id in first.customers.ids())


async def test_a_hundred_thousand_cost_nothing():
    """A large sandbox is there at once, and its last customer is found by id and by e-mail."""
    sandbox = Sandbox(100_000)
    last = sandbox.customers.id_at(99_999)
    assert len(sandbox.customers) == 100_000
    email = sandbox.customers.get(last)["personal_information"]["email"]
    assert (last in sandbox.customers, sandbox.customers.by_email(email)) == (True, [last])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", FIRST_CUSTOMER_EMAIL),
        ("phone", "420523828931"),
        ("birthdate", "985-02-12"),
        ("email_list[]", [FIRST_CUSTOMER_EMAIL, "nobody@example.com"]),
        ("customer_ids[]", [FIRST_CUSTOMER_ID, "nobody"]),
    ],
)
async def test_each_filter_finds_the_first_customer(api, name, value):
    """Each of these filters finds John Smith alone."""
    data = (await api.get("/customers", **{name: value})).json()["data"]
    assert [customer["customer_id"] for customer in data["customers"]] == [FIRST_CUSTOMER_ID]


async def test_filters_combine(sandbox, api):
    """Names and source filter with AND, and paging and total follow the filter."""
    smiths = await everyone(api, last_name="smith", count=10)
    expected = [
        customer for customer in sandbox.customers if customer["personal_information"].get("last_name") == "Smith"
    ]
    assert smiths == expected
    johns = await everyone(api, last_name="Smith", first_name="John")
    assert 0 < len(johns) < len(smiths)
    source = sandbox.customers.account(FIRST_CUSTOMER_ID).customer_source["customer_source_id"]
    assert len(await everyone(api, customer_source_id=source)) == 100


async def test_list_filters_need_brackets(sandbox, api):
    """`email_list=a` without brackets is a 400 and noted as a violation."""
    answer = await api.get("/customers", email_list="a@example.com")
    assert answer.status_code == 400
    assert broken_rules(sandbox) == ["GET /customers: unknown query parameter 'email_list'"]


@pytest.mark.parametrize("params", [{"count[]": 1}, {"last_name[]": "a"}, {"last_name": "a", "last_name[]": "b"}])
async def test_one_value_needs_no_brackets(api, params):
    """`last_name[]=a` is a 400, because the list is filtered by one name."""
    name = next(iter(params)).removesuffix("[]")
    assert refusals(await api.get("/customers", **params)) == [(name, "invalid_value_format")]


@pytest.mark.parametrize(
    "params",
    [{"count": 0}, {"count": "x"}, {"offset": -1}, {"sort_field": "nonsense"}, {"sort_direction": "up"}],
)
async def test_bad_parameters_are_named(api, params):
    """A parameter out of its range is a 400 that names it."""
    answer = await api.get("/customers", **params)
    (param,) = answer.json()["error"]["error_data"]["invalid_params"]
    assert (answer.status_code, [param["name"]]) == (400, list(params))


async def test_create(sandbox, api, new_customer):
    """A new customer gets an id, is found by e-mail, and its e-mail is taken from then on."""
    body = new_customer(password="Correct-Horse-8", referral_code="FRIEND2024", property_records=[{"property_id": "x"}])
    answer = await api.call("POST", "/customers", json=body)
    customer_id = answer.json()["data"]["customer_id"]
    account = sandbox.customers.account(customer_id)
    assert answer.status_code == 201
    assert account.password == "Correct-Horse-8"
    customers = (await api.get("/customers", email="NEW@example.com")).json()["data"]["customers"]
    assert [customer["customer_id"] for customer in customers] == [customer_id]
    again = await api.call("POST", "/customers", json=new_customer())
    (param,) = again.json()["error"]["error_data"]["invalid_params"]
    assert (again.status_code, param["reason"]) == (400, "already_exists")
    assert len(sandbox.customers) == 301


async def test_a_new_customer_is_found_by_its_external_id(api, new_customer):
    """The source that a customer was created with is among the source records from then on."""
    body = new_customer()
    body["customer_source"]["external_id"] = "crm-1"
    created = await api.call("POST", "/customers", json=body)
    answer = await api.get("/customer-source-records", **{"external_ids[]": ["crm-1"]})
    (source,) = answer.json()["data"]["customer_source_records"]
    assert source["customer_id"] == created.json()["data"]["customer_id"]
    assert source["customer_source_id"] == body["customer_source"]["customer_source_id"]


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"autologin": None}, "autologin", "required"),
        ({"autologin": True}, "password", "required"),
        ({"customer": None}, "customer", "required"),
        ({"customer": {"personal_information": {}}}, "customer.personal_information.language_id", "required"),
        ({"customer": {"personal_information": MALE}}, "customer.personal_information.gender", "invalid_value_format"),
        ({"customer": {"personal_information": AGREED}}, AGREEMENT, "invalid_value_format"),
        ({"customer_source": {}}, "customer_source.customer_source_id", "required"),
        ({"password": "weak"}, "password", "invalid_value_format"),
        ({"referral_code": "nobody"}, "referral_code", "not_found"),
        ({"property_records": "x"}, "property_records", "invalid_value_format"),
        (
            {"social_network_credentials": {"social_network_id": "none", "social_network_token": "x"}},
            "social_network_credentials.social_network_id",
            "not_found",
        ),
    ],
)
async def test_create_refuses(sandbox, api, new_customer, changes, name, reason):
    """Missing and malformed fields are named with their reasons, and no customer is created."""
    answer = await api.call("POST", "/customers", json=new_customer(**changes))
    assert refusals(answer) == [(name, reason)]
    assert len(sandbox.customers) == 300


async def test_autologin_logs_the_device_in(customer, new_customer):
    """On the customer interface a device may register a customer and act as this customer at once."""
    device = await customer.device_token()
    body = new_customer(autologin=True, password="Correct-Horse-8")
    created = (await customer.call("POST", "/customers", token=device, json=body)).json()["data"]["customer_id"]
    own = (await customer.get(f"/customers/{created}", token=device)).json()["data"]
    assert own["personal_information"]["email"] == "new@example.com"
    other = await customer.get(f"/customers/{FIRST_CUSTOMER_ID}", token=device)
    assert other.status_code == 403


async def test_replace_deletes_what_is_absent(sandbox, api):
    """A PUT deletes absent fields, keeps what only the server sets, the password and the social network."""
    sandbox.clock.set(datetime(2026, 1, 15, 11, tzinfo=UTC))
    customer_id = sandbox.customers.id_at(2)
    before, account = sandbox.customers.get(customer_id), sandbox.customers.account(customer_id)
    body = {"customer": {"personal_information": {"email": "changed@example.com", "language_id": "cs"}}}
    answer = await api.call("PUT", f"/customers/{customer_id}", json=body)
    after = sandbox.customers.get(customer_id)
    assert (answer.status_code, answer.content) == (204, b"")
    assert after["personal_information"] == {
        **body["customer"]["personal_information"],
        "photo_url": before["personal_information"]["photo_url"],
    }
    assert (after["state"], after["doi_phone"]) == (before["state"], before["doi_phone"])
    assert "loyalty_tier" not in after
    assert after["last_change"].startswith("2026-01-15 12:00")
    assert sandbox.customers.account(customer_id) == account
    assert broken_rules(sandbox) == []


async def test_replace_notes_read_only_fields(sandbox, api):
    """Sending a record back as it was read is answered, and noted as a violation."""
    record = sandbox.customers.get(FIRST_CUSTOMER_ID)
    path = f"/customers/{FIRST_CUSTOMER_ID}"
    assert (await api.call("PUT", path, json={"customer": record})).status_code == 204
    assert "PUT /customers/{customer_id}: read-only field customer.last_change was sent" in broken_rules(sandbox)


async def test_replace_changes_the_password(sandbox, customer):
    """A customer changes the password; the old one is refused afterwards."""
    device = await customer.device_token()
    await customer.customer_login(device)
    body = {
        "customer": {"personal_information": {"email": FIRST_CUSTOMER_EMAIL, "language_id": "en"}},
        "password": "Correct-Horse-9",
    }
    changed = await customer.call("PUT", f"/customers/{FIRST_CUSTOMER_ID}", token=device, json=body)
    assert changed.status_code == 204
    assert (await customer.customer_login(device)).status_code == 401
    assert (await customer.customer_login(device, password="Correct-Horse-9")).status_code == 200


async def test_orders_follow_changes(sandbox, api):
    """Sorted lists are right after inserts, deletes and updates, and remembered searches are forgotten."""
    await everyone(api, sort_field="customer_id", last_name="Smith")
    await everyone(api, sort_field="last_change")
    store = sandbox.customers
    for index in (250, 100, 7, 0):
        store.delete(store.id_at(index))
    added = [store.insert() for _ in range(5)]
    store.update(added[0], {"personal_information": {"last_name": "Smith"}, "last_change": "2001-01-01 00:00:00"})
    by_id = await everyone(api, sort_field="customer_id")
    assert [item["customer_id"] for item in by_id] == sorted(store.ids())
    by_change = await everyone(api, sort_field="last_change")
    changes = [item["last_change"] or "" for item in by_change]
    assert (changes, len(changes)) == (sorted(changes), 301)
    smiths = await everyone(api, sort_field="customer_id", last_name="Smith")
    assert added[0] in [smith["customer_id"] for smith in smiths]
