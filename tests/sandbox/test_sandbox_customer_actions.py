"""Actions on customers: credentials, tokens for other applications, checks of data, the search."""

import pytest

from carecloud_async.sandbox import (
    CUSTOMER_PASSWORD,
    FIRST_CUSTOMER_EMAIL,
    FIRST_CUSTOMER_ID,
    SOCIAL_NETWORK_IDS,
    SOCIAL_TOKEN_PREFIX,
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


async def test_social_networks_are_verified(api):
    """The token of a social network gives the customer's id; an unknown one is refused."""
    social = {"social_network_id": SOCIAL_NETWORK_IDS[0]}
    social["social_network_token"] = SOCIAL_TOKEN_PREFIX + FIRST_CUSTOMER_ID
    action = "verify-social-network-credentials"
    right = await act(api, action, social_network_credentials=social)
    assert right.json()["data"] == {"customer_id": FIRST_CUSTOMER_ID}
    social["social_network_token"] = "unknown"
    assert (await act(api, action, social_network_credentials=social)).status_code == 403


@pytest.mark.parametrize(
    ("kind", "value", "free"),
    [
        ("email", FIRST_CUSTOMER_EMAIL.upper(), False),
        ("email", "new@example.com", True),
        ("phone", "420523828931", False),
        ("phone", "420999999999", True),
    ],
)
async def test_taken_identifiers_cannot_register(api, kind, value, free):
    """An e-mail or phone of a customer cannot be registered again."""
    answer = await act(api, "check-registration-ability", type=kind, value=value)
    assert answer.json()["data"] == {"registration_ability": free}


@pytest.mark.parametrize(
    ("kind", "value", "valid"),
    [
        ("password", CUSTOMER_PASSWORD, True),
        ("password", "weak", False),
        ("referral_code", "FRIEND2024", True),
        ("referral_code", "NOBODY", False),
    ],
)
async def test_passwords_and_referral_codes_are_validated(enterprise, kind, value, valid):
    """Weak passwords and unknown referral codes are not valid; no token is needed to ask."""
    answer = await act(enterprise, "validate-customer-data", type=kind, value=value)
    assert answer.json()["data"] == {"is_valid": valid}


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
