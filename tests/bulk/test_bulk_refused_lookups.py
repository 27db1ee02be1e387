"""Look-ups that the server refuses because of one value, or answers with a record that cannot be compared."""

import httpx
import pytest
from bulk_tools import connect, counts, people, read
from kit import data, through
from memory_servers import CustomerServer

from carecloud_async import ResponseError

pytestmark = pytest.mark.anyio


async def test_a_value_that_cannot_be_looked_up_refuses_its_row_alone(server, write, results):
    """Rows whose key makes the server refuse a look-up are refused with column and reason; the others are written."""
    rows = people(40)
    for number in (3, 29):
        rows[number]["email"] = f"!{number}@example.com"
    report = await write(rows, results=results)
    assert counts(report) == {"created": 38, "refused": 2}
    assert read(results)[29]["reasons"] == ["personal_information.email: invalid_value_format"]
    assert len(server.requests) < 1 + 25 + 38


@pytest.mark.parametrize("value", [b"NaN", b'"\\ud800"'])
async def test_a_record_that_is_not_json_is_an_error_of_its_call(sandbox, value):
    """A record with `NaN` or half a surrogate, looked up by its id, raises `ResponseError` with the call's path."""

    def after(request, answer):
        if request.method == "GET" and not request.url.path.endswith("/bookings"):
            body = answer.content.rstrip()
            headers = {"content-type": "application/json"}
            return httpx.Response(200, headers=headers, content=body[:-2] + b',"odd":' + value + b"}}")
        return None

    async with connect(sandbox, transport=through(sandbox, after=after)) as client:
        booking_id = (await client.bookings.list().first()).booking_id
        with pytest.raises(ResponseError, match=r"GET /bookings/\{booking_id\}: the body is not JSON"):
            await client.bookings.bulk_write([{"booking_id": booking_id}], match="booking_id")


@pytest.mark.parametrize("shown", [[], {"total_items": 0}])
async def test_new_rows_are_imported_from_a_server_that_leaves_an_empty_list_out(server, write, shown):
    """Look-ups that find nothing, answered with `"data": []` or with a total of 0 alone, are new rows."""

    def after(request, answer):
        return data(shown) if request.method == "GET" and answer.json()["data"]["total_items"] == 0 else None

    assert counts(await write(people(3), transport=through(server, after=after))) == {"created": 3}
    assert len(server.customers) == 3


def _without_email(record):
    return {**record, "personal_information": None}


def _masked(record):
    return {**record, "personal_information": {**record["personal_information"], "email": "k***@example.com"}}


@pytest.mark.parametrize("shown", [_without_email, _masked, lambda _record: None])
async def test_a_key_that_the_server_finds_and_does_not_show_is_not_created(server, write, results, shown):
    """A record that is found by a row's e-mail and shows none, or another, refuses the row; the others are created."""

    def after(request, answer):
        if request.method == "GET":
            page = answer.json()["data"]
            return data({**page, "customers": [*map(shown, page["customers"])]})
        return None

    server.add("new3@example.com")
    report = await write(people(8), results=results, transport=through(server, after=after))
    assert counts(report) == {"created": 7, "refused": 1}
    assert read(results)[3]["reasons"] == [
        "personal_information.email: the server finds a record by it that does not show it"
    ]
    assert set(server.emails().values()) == {1}


@pytest.mark.parametrize("shown", [None, []])
async def test_a_record_without_its_personal_information_is_not_changed(server, write, shown):
    """A record is found by its id, and the server does not show its names: a PUT would empty them."""
    server.add("old@example.com")
    ((customer_id, record),) = server.customers.items()
    record["personal_information"] = shown
    row = {"customer_id": customer_id, "personal_information": {"last_name": "Noe"}}
    report = await write([row], match="customer_id")
    assert counts(report) == {"refused": 1}
    assert server.customers == {customer_id: record}


async def test_a_server_that_ignores_the_filter_hides_no_key(write, clock):
    """Where look-ups are answered with all customers, those without an e-mail do not keep rows from being created."""

    class Deaf(CustomerServer):
        def on_read(self, path, query):
            return super().on_read(path, query.remove("email_list[]"))

    server = Deaf(clock)
    server.add("new3@example.com")
    server.add("")
    report = await write(people(8), transport=server)
    assert counts(report) == {"created": 7, "updated": 1}
