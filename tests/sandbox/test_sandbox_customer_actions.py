"""Actions on customers: credentials, tokens for other applications, checks of data, the search."""

import pytest

from carecloud_async.sandbox import (
    CUSTOMER_PASSWORD,
    FIRST_CUSTOMER_EMAIL,
    FIRST_CUSTOMER_ID,
)

pytestmark = pytest.mark.anyio


async def act(api, action, **body):
    return await api.call("POST", f"/customers/actions/{action}", json=body)


@pytest.mark.parametrize(("kind", "value"), [("email", FIRST_CUSTOMER_EMAIL), ("card", "2700000000000")])
async def test_credentials_are_verified(api, kind, value):
    """The right password gives the customer's id; a wrong one and another kind of login are refused."""
    login = {"login_type": kind, "login_value": value}
    right = await act(api, "verify-credentials", **login, password=CUSTOMER_PASSWORD)
    assert right.json()["data"] == {"customer_id": FIRST_CUSTOMER_ID}
    assert (await act(api, "verify-credentials", **login, password="wrong")).status_code == 403
    login["login_type"] = "phone"
    assert (await act(api, "verify-credentials", **login, password="wrong")).status_code == 400


@pytest.mark.parametrize(
    ("action", "kind", "value", "answer"),
    [
        ("check-registration-ability", "email", FIRST_CUSTOMER_EMAIL.upper(), {"registration_ability": False}),
        ("check-registration-ability", "email", "new@example.com", {"registration_ability": True}),
        ("check-registration-ability", "phone", "420523828931", {"registration_ability": False}),
        ("check-registration-ability", "phone", "420999999999", {"registration_ability": True}),
        ("validate-customer-data", "password", CUSTOMER_PASSWORD, {"is_valid": True}),
        ("validate-customer-data", "password", "weak", {"is_valid": False}),
        ("validate-customer-data", "referral_code", "FRIEND2024", {"is_valid": True}),
        ("validate-customer-data", "referral_code", "NOBODY", {"is_valid": False}),
    ],
)
async def test_what_a_sign_up_asks_before(api, action, kind, value, answer):
    """An e-mail or phone of a customer is taken; weak passwords and unknown referral codes are not valid."""
    assert (await act(api, action, type=kind, value=value)).json()["data"] == answer


async def test_the_search_combines_its_parameters(sandbox, api):
    """Name, date of birth and card number narrow the search; without any of them no customer is found."""
    path = "/customers/actions/search-customers"
    smiths = (await api.get(path, last_name="smith")).json()["data"]["strict"]
    expected = [
        customer for customer in sandbox.customers if customer["personal_information"].get("last_name") == "Smith"
    ]
    assert [smith["customer_id"] for smith in smiths] == [item["customer_id"] for item in expected]
    john = (await api.get(path, last_name="smith", card_number="2700000000000")).json()["data"]
    assert john == {"strict": [{"customer_id": FIRST_CUSTOMER_ID, "match": 2}]}
    assert (await api.get(path)).json()["data"] == {"strict": []}
