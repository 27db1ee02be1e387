"""Keys that the server spells in its own way, such as e-mail addresses in lower case."""

import json

import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, connect, counts, people

from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio


async def known_emails(client):
    """Four e-mails of the project, spelled otherwise."""
    return [one.personal_information.email.upper() async for one in client.customers.list(count=60)][:4]


async def test_a_key_in_another_spelling_is_no_change(sandbox):
    """A row whose key differs from the record's in spelling alone is unchanged, and sends nothing."""
    async with connect(sandbox) as client:
        rows = [{"email": one} for one in await known_emails(client)]
        report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
        assert counts(report) == {"unchanged": 4}


async def test_a_lost_answer_of_an_update_under_a_key_in_another_spelling(sandbox):
    """An update whose answer was lost is updated, though the record keeps its own spelling of the key."""
    async with connect(sandbox) as client:
        rows = [{"email": one, "last_name": "Ours"} for one in await known_emails(client)]
        sandbox.faults.add("PUT /customers/{customer_id}", status=504, worked=True, times=2)
        report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
        assert counts(report) == {"updated": 4}
        names = [one.personal_information.last_name async for one in client.customers.list(count=60)]
        assert names.count("Ours") == 4


async def test_a_key_that_the_server_refuses_to_look_up(sandbox):
    """A key that is too long for a URL refuses its row alone."""
    async with connect(sandbox) as client:
        rows = [
            {"email": f"{'x' * 9000}@example.com", "language_id": "en"},
            {"email": "a@example.com", "language_id": "en"},
        ]
        report = await client.customers.bulk_write(json.loads(json.dumps(rows)), match="email", defaults=SOURCE)
        assert counts(report) == {"created": 1, "refused": 1}


@pytest.mark.parametrize("given", ["420777123456", "+420777123456", "00420 777-123-456", "+420 777 123 456 !"])
@pytest.mark.parametrize("kept", ["420777123456", "as given"])
async def test_a_phone_number_is_found_in_digits_and_as_given(given, kept):
    """The filter of a server that compares texts gets the API's form of a number, and the row's own spelling."""
    clock = FakeClock()
    server = CustomerServer(clock)
    server.add("a@example.com", phone=given.removesuffix(" !") if kept == "as given" else kept)
    given = given if kept != "as given" else given.removesuffix(" !")
    async with client_of(server, clock) as client:
        report = await client.customers.bulk_write([{**people(1)[0], "phone": given}], match="phone", defaults=SOURCE)
    assert counts(report) == {"updated": 1}
    assert len(server.customers) == 1


async def test_a_number_that_two_customers_have_in_two_spellings():
    """Both spellings are looked up: the row is in conflict and changes neither customer."""
    clock = FakeClock()
    server = CustomerServer(clock)
    server.add("a@example.com", phone="420777123456"), server.add("b@example.com", phone="+420777123456")
    async with client_of(server, clock) as client:
        rows = [{"phone": "+420777123456", "last_name": "Ours"}]
        report = await client.customers.bulk_write(rows, match="phone", defaults=SOURCE)
    assert counts(report) == {"conflict": 1}
