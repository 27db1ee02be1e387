"""The call centre's lookup, as it stands."""

import json

import httpx
import pytest

from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID


@pytest.fixture
def http(call_centre):
    with httpx.Client(base_url=call_centre) as http:
        yield http


def test_search(http):
    """A search by what the caller says finds the customer, and an unknown name finds none."""
    customers = http.get("/customers", params={"email": FIRST_CUSTOMER_EMAIL}).json()
    assert [customer["customer_id"] for customer in customers] == [FIRST_CUSTOMER_ID]
    assert http.get("/customers", params={"last_name": "Nobody At All"}).json() == []
    assert len(http.get("/customers").json()) == 50


@pytest.mark.parametrize("path", ["/customers", "/exports/customers.ndjson"])
@pytest.mark.parametrize("query", ["last_nam=Smith", "last_name=", "last_name=%20", "email=a@b.cz&count=5"])
def test_a_filter_that_would_be_dropped(http, path, query):
    """An unknown or empty filter is refused: without it the search would return all customers."""
    assert http.get(f"{path}?{query}").status_code == 422


@pytest.mark.parametrize("customer_id", ["%20", "..%2f..%2ftokens", "a%00b", "x" * 65])
def test_text_that_cannot_be_an_id_is_refused(http, customer_id):
    """A text that cannot be an id is refused before it becomes part of a path."""
    assert http.get(f"/customers/{customer_id}").status_code in {404, 422}


def test_show(http):
    """One customer is shown, and an unknown one is 404 with a problem document."""
    assert http.get(f"/customers/{FIRST_CUSTOMER_ID}").json()["personal_information"]["first_name"] == "John"
    answer = http.get("/customers/nobody")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_export(http, sandbox):
    """The export streams every customer once."""
    lines = http.get("/exports/customers.ndjson").text.split("\n")[:-1]
    assert [json.loads(line)["customer_id"] for line in lines] == [sandbox.customers.id_at(i) for i in range(300)]


def test_health(http, sandbox):
    """Ready follows CareCloud, alive does not."""
    assert http.get("/health/ready").json() == {"ready": True}
    fault = sandbox.faults.add("GET /customers", status=403, times=None)
    try:
        assert http.get("/health/ready").status_code == 503
        assert http.get("/health/live").status_code == 200
    finally:
        sandbox.faults.remove(fault)
