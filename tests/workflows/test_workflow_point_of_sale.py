"""A customer at the till, by what was typed."""

import json

import pytest
from kit import connect, through

from benchmarks.api_rules import broken_rules
from carecloud_async import (
    BadRequestError,
    ConfigurationError,
    ConflictError,
    CustomerInput,
    CustomerSourceInput,
    InterfaceError,
    PersonalInformationInput,
)
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.workflows import MatchedBy, find_at_point_of_sale

pytestmark = pytest.mark.anyio

SOURCE = CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0])


@pytest.fixture
def sandbox():
    return Sandbox(customers=20, records=5)


@pytest.fixture
async def client(sandbox):
    async with connect(sandbox) as client:
        yield client


@pytest.fixture
async def jane(client):
    """A customer with an e-mail address and a phone number of her own."""
    person = PersonalInformationInput(language_id="en", email="Jane.Roe@example.com", phone="420777123456")
    return await client.customers.create(CustomerInput(personal_information=person), customer_source=SOURCE)


async def matches(client, typed, **options):
    return [(item.customer_id, item.matched_by) for item in await find_at_point_of_sale(client, typed=typed, **options)]


@pytest.mark.parametrize("typed", ["jane.roe@EXAMPLE.com", "  Jane.Roe@example.com\n"])
async def test_an_email_is_found_as_it_is_typed(client, jane, typed):
    """Case and spaces around an address make no difference, and a part of one finds no customer."""
    assert await matches(client, typed) == [(jane, MatchedBy.EMAIL)]
    assert await matches(client, "roe@example.com") == []


@pytest.mark.parametrize(
    ("typed", "prefix"),
    [
        ("+420 777 123 456", None),
        ("00420 777 123 456", None),
        ("420777123456", None),
        ("+420 (777) 123-456", "421"),
        ("777 123 456", "420"),
        ("0777/123.456", "420"),
        ("420 777 123 456", "420"),
        ("777123456", None),
        ("777 123 456", "421"),
        ("77712345", "420"),
    ],
)
async def test_a_phone_number_is_found_as_it_is_typed(client, jane, typed, prefix):
    """Separators, `+`, `00` and a prefix that is left out make no difference; a missing digit or prefix does."""
    other = ("777123456", None), ("777 123 456", "421"), ("77712345", "420")
    expected = [] if (typed, prefix) in other else [(jane, MatchedBy.PHONE)]
    assert await matches(client, typed, phone_prefix=prefix) == expected


@pytest.mark.parametrize("typed", ["2700000000000", "270 0000 000 000"])
async def test_a_card_is_found_in_strict_mode(client, sandbox, typed):
    """The number of a card leads to its holder, scanned or typed with spaces."""
    assert await matches(client, typed) == [(FIRST_CUSTOMER_ID, MatchedBy.CARD)]
    asked = next(request for request in sandbox.requests if request.path.endswith("/search-customers"))
    assert dict(asked.query) == {"card_number": "2700000000000", "mode": "strict"}
    assert not broken_rules(sandbox)


@pytest.mark.parametrize("reason", ["required", "empty"])
async def test_a_server_whose_strict_mode_wants_names_finds_a_card(client, sandbox, reason):
    """The description has strict mode need all parameters: a refusal that says so is followed by the plain search."""
    missing = [{"name": name, "reason": reason} for name in ("first_name", "last_name", "birthdate")]
    refusal = json.dumps({"error": {"type": "bad_request", "error_data": {"invalid_params": missing}}})
    sandbox.faults.add("GET /customers/actions/search-customers", status=400, body=refusal)
    assert await matches(client, "2700000000000") == [(FIRST_CUSTOMER_ID, MatchedBy.CARD)]
    sandbox.faults.add("GET /customers/actions/search-customers", status=400, body=refusal.replace(reason, "deleted"))
    with pytest.raises(BadRequestError):
        await matches(client, "2700000000000")


async def test_the_longest_phone_number_is_looked_up(client):
    """E.164 allows fifteen digits: a number of fifteen is asked for, one of sixteen is not."""
    person = PersonalInformationInput(language_id="en", phone="420777123456789")
    longest = await client.customers.create(CustomerInput(personal_information=person), customer_source=SOURCE)
    assert await matches(client, "+420 777 123 456 789") == [(longest, MatchedBy.PHONE)]
    assert await matches(client, "+420 777 123 456 7890") == []


async def test_a_number_of_a_card_and_of_a_phone_finds_both(client, sandbox, jane):
    """The holder of the card stands first, and one who has both is named once; a hyphen beside letters is kept."""
    cards = sandbox.records("cards")
    cards.insert({"card_number": "AB-12", "customer_id": FIRST_CUSTOMER_ID, "state": 1})
    assert await matches(client, " AB-12 ") == [(FIRST_CUSTOMER_ID, MatchedBy.CARD)]
    card = cards.insert({"card_number": "420777123456", "customer_id": FIRST_CUSTOMER_ID, "state": 1})
    assert await matches(client, "420777123456") == [(FIRST_CUSTOMER_ID, MatchedBy.CARD), (jane, MatchedBy.PHONE)]
    cards.update(card, {"customer_id": jane})
    assert await matches(client, "420777123456") == [(jane, MatchedBy.CARD)]


async def test_a_card_of_several_customers_is_a_conflict(client, sandbox):
    """A card has one holder: where the server names more, none is chosen."""
    for number in (1, 2):
        holder = sandbox.customers.id_at(number)
        sandbox.records("cards").insert({"card_number": "7", "customer_id": holder, "state": 1})
    with pytest.raises(ConflictError, match="2 customers") as caught:
        await find_at_point_of_sale(client, typed="7")
    assert "'7'" not in repr(caught.value)


@pytest.mark.parametrize("typed", ["jane@example.com", "+420777123456"])
async def test_a_server_that_ignores_a_filter_names_no_stranger(sandbox, typed):
    """Records without this address or number are left out."""

    def drop_filters(request):
        for name in ("email", "phone"):
            request.url = request.url.copy_remove_param(name)

    async with connect(sandbox, transport=through(sandbox, drop_filters)) as client:
        assert await matches(client, typed) == []


@pytest.mark.parametrize(("typed", "prefix"), [("  ", None), ("7", "+420"), ("7", "0420"), ("7", "")])
async def test_text_that_cannot_be_searched_is_refused(client, sandbox, typed, prefix):
    """Empty text, and a prefix that is none, are refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        await find_at_point_of_sale(client, typed=typed, phone_prefix=prefix)
    assert not sandbox.requests


async def test_customers_do_not_search_customers(sandbox):
    """The search is the enterprise interface's."""
    async with connect(sandbox, auth=sandbox.device()) as portal:
        with pytest.raises(InterfaceError):
            await find_at_point_of_sale(portal, typed="2700000000000")


@pytest.mark.parametrize("typed", ["jane@example.com", "+420777000111", "2700000000099"])
async def test_a_found_customer_can_be_greeted(client, sandbox, typed):
    """First and last name come with the id, whichever way the customer was found, and are in no repr."""
    person = {"first_name": "Jane", "last_name": "Roe", "email": "jane@example.com", "phone": "420777000111"}
    jane = await client.customers.create(
        CustomerInput(personal_information=PersonalInformationInput(language_id="en", **person)), customer_source=SOURCE
    )
    sandbox.records("cards").insert({"card_number": "2700000000099", "customer_id": jane, "state": 1})
    (match,) = await find_at_point_of_sale(client, typed=typed)
    assert (match.customer_id, match.first_name, match.last_name) == (jane, "Jane", "Roe")
    assert "Jane" not in repr(match)
