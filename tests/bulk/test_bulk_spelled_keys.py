"""Keys that the server spells in its own way, such as e-mail addresses in lower case."""

import json

import httpx
import pytest
from bulk_tools import SOURCE, counts, people, read
from memory_servers import CustomerServer, client_of

from carecloud_async.bulk.compare import is_same_value

pytestmark = pytest.mark.anyio


async def known_emails(client):
    """Four e-mails of the project, spelled otherwise."""
    return [customer.personal_information.email.upper() async for customer in client.customers.list(count=60)][:4]


async def test_a_key_in_another_spelling_is_no_change(client):
    """A row whose key differs from the record's in spelling alone is unchanged, and sends nothing."""
    rows = [{"email": item} for item in await known_emails(client)]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert counts(report) == {"unchanged": 4}


async def test_a_lost_answer_of_an_update_under_a_key_in_another_spelling(sandbox, client):
    """An update whose answer was lost is updated, though the record keeps its own spelling of the key."""
    rows = [{"email": item, "last_name": "Ours"} for item in await known_emails(client)]
    sandbox.faults.add("PUT /customers/{customer_id}", status=504, worked=True, times=2)
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert counts(report) == {"updated": 4}
    names = [customer.personal_information.last_name async for customer in client.customers.list(count=60)]
    assert names.count("Ours") == 4


async def test_ids_of_records_in_another_case(server, write, results):
    """An id that a row writes in capitals finds its record, and is the same key as in small letters."""
    customer_id = [server.add(f"a{number}@example.com") for number in range(11)][-1]
    rows = [{"customer_id": value, "last_name": "Ours"} for value in (customer_id.upper(), customer_id)]
    report = await write(rows, match="customer_id", results=results)
    assert counts(report) == {"updated": 1, "refused": 1}
    assert [row["reasons"] for row in read(results)] == [[], ["customer_id: repeats line 1"]]


async def test_a_key_that_the_server_refuses_to_look_up(client):
    """A key that is too long for a URL refuses its row alone."""
    rows = [
        {"email": f"{'x' * 9000}@example.com", "language_id": "en"},
        {"email": "a@example.com", "language_id": "en"},
    ]
    report = await client.customers.bulk_write(json.loads(json.dumps(rows)), match="email", defaults=SOURCE)
    assert counts(report) == {"created": 1, "refused": 1}


@pytest.mark.parametrize("given", ["420777123456", "+420777123456", "00420 777-123-456", "+420/777.123.456"])
@pytest.mark.parametrize("kept", ["420777123456", "as given"])
async def test_a_phone_number_is_found_in_digits_and_as_given(server, write, given, kept):
    """The filter of a server that compares texts gets the API's form of a number, and the row's own spelling."""
    server.add("a@example.com", phone=given if kept == "as given" else kept)
    report = await write([{**people(1)[0], "phone": given}], match="phone")
    assert counts(report) == {"updated": 1}
    assert len(server.customers) == 1


async def test_a_customer_who_changes_between_the_two_look_ups_of_a_number(clock):
    """If both spellings of a number find one customer in two states, that is one record and no conflict."""

    class AnyForm(CustomerServer):
        """Compares numbers by their digits, and shows a new time in each answer."""

        def on_read(self, path, query):
            for record in self.customers.values():
                record["last_change"] = f"2026-01-01 00:00:{len(self.requests):02}"
            return super().on_read(path, query.set("phone", query.get("phone", "").lstrip("+0")))

    server = AnyForm(clock)
    server.add("a@example.com", phone="420777123456")
    async with client_of(server, clock) as client:
        rows = [{"phone": "+420777123456", "last_name": "Ours"}]
        assert counts(await client.customers.bulk_write(rows, match="phone")) == {"updated": 1}


async def test_a_number_that_two_customers_have_in_two_spellings(server, write):
    """A number that two customers spell differently is in conflict, and changes neither customer."""
    server.add("a@example.com", phone="420777123456"), server.add("b@example.com", phone="+420777123456")
    rows = [{"phone": "+420777123456", "last_name": "Ours"}]
    report = await write(rows, match="phone", defaults=SOURCE)
    assert counts(report) == {"conflict": 1}


class SpellingServer(CustomerServer):
    """Spells one number in its own way, and has no properties."""

    spelled = b""

    async def handle_async_request(self, request):
        if request.url.path.endswith("/customer-properties"):
            return httpx.Response(200, json={"data": {"customer_properties": [], "total_items": 0}})
        answer = await super().handle_async_request(request)
        return httpx.Response(answer.status_code, content=answer.content.replace(b"0.25", self.spelled))


@pytest.mark.parametrize("spelled", [b"0.250", b"0.25000000000000000", b"2.5E-1"])
async def test_numbers_are_found_in_the_spelling_of_a_csv_export(clock, tmp_path, spelled):
    """A CSV export has the server's digits; imported, it changes no text and no field that the SDK does not know."""
    server, path = SpellingServer(clock), tmp_path / "c.csv"
    server.spelled = spelled
    server.add("a@example.com", first_name=0.25, score=0.25)
    async with client_of(server, clock) as client:
        await client.customers.list().export(path)
        assert spelled in path.read_bytes()
        assert counts(await client.customers.bulk_write(path, match="customer_id")) == {"unchanged": 1}
    assert is_same_value(0.25, spelled.decode())
    assert not is_same_value("0.25", "0.250")
    assert not is_same_value(5.0, "05.0")
