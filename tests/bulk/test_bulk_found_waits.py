"""Faults that attacks found in earlier versions: what bulk writes wait for, and for how long."""

import httpx
import pytest
from bulk_tools import SOURCE, connect, counts, people, read
from kit import through
from memory_servers import client_of

from carecloud_async import RateLimit, RetryPolicy
from carecloud_async.bulk import BulkWriteError

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


async def test_a_record_is_read_ten_seconds_before_its_put_at_most(server, clock, threads_at_once):
    """At five calls a second records are read again in time, few of them twice; what never left is not counted."""
    read_at, ages = {}, []
    known = [server.add(f"k{number}@example.com", last_name="Old") for number in range(200)]

    async def arrived(request):
        if request.method == "PUT":
            ages.append(clock.monotonic() - read_at[request.url.path.rpartition("/")[2]])
        for known_id in known:
            if request.method == "GET" and known_id in str(request.url):
                read_at[known_id] = clock.monotonic()

    server.arrived = arrived
    rows = [{"customer_id": known_id, "last_name": "New"} for known_id in known]
    async with client_of(server, clock, rate_limit=RateLimit(requests_per_second=5)) as client:
        report = await client.customers.bulk_write(rows, match="customer_id")
    assert counts(report) == {"updated": 200}
    assert max(ages) <= 10.0
    assert server.sent == ["PUT"] * 200
    logins = 1
    assert report.requests == len(server.requests) - logins < 200 * 1.2


@pytest.mark.parametrize("slow", ["refusal", "login"])
async def test_a_base_is_too_old_after_a_slow_answer_or_a_slow_login(server, clock, slow):
    """A PUT whose token is refused after 20 s, or whose new token takes 20 s, is made again from a new look-up."""
    customer_id = server.add("a@example.com", last_name="Old")
    record = server.customers[customer_id]
    refusal = {"error": {"exception": "unauthorized_exception"}}

    refused = []

    def refuse(request):
        is_login = request.url.path.endswith("/login")
        if (refused and is_login) if slow == "login" else request.method == "PUT" and not refused:
            clock.advance(20.0)
            record["personal_information"]["phone"] = "420111222333"  # another program writes it meanwhile
        if request.method == "PUT" and not refused:
            refused.append(request)
            return httpx.Response(401, json=refusal)
        return None

    async with client_of(through(server, refuse), clock) as client:
        rows = [{"customer_id": customer_id, "last_name": "New"}]
        report = await client.customers.bulk_write(rows, match="customer_id")
    assert counts(report) == {"updated": 1}
    person = server.customers[customer_id]["personal_information"]
    assert (person["last_name"], person["phone"]) == ("New", "420111222333")


async def test_records_that_cannot_be_replaced_in_time(server, clock):
    """If each record is read too long before its PUT could leave, the run ends with the reason and can go on."""
    known = [server.add(f"k{number}@example.com", last_name="Old") for number in range(3)]

    async def arrived(request):
        if request.method == "GET":
            clock.advance(11.0)

    server.arrived = arrived
    rows = [{"customer_id": known_id, "last_name": "New"} for known_id in known]
    async with client_of(server, clock) as client:
        with pytest.raises(BulkWriteError, match="within ten seconds of its look-up"):
            await client.customers.bulk_write(rows, match="customer_id")
    assert server.sent == []


async def test_a_key_that_only_a_slow_list_finds(clock, sandbox):
    """Brands are written though reading their list takes longer than a record may wait for its `PUT`."""
    server = sandbox.transport()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "GET":
                clock.advance(11.0)
            return await server.handle_async_request(request)

    async with connect(sandbox, clock=clock, transport=Slow()) as client:
        for outcome in ("created", "unchanged"):
            report = await client.product_brands.bulk_write([{"external_id": "b1", "name": "One"}], match="external_id")
            assert counts(report) == {outcome: 1}


async def test_one_row_on_which_the_server_fails_holds_up_no_other(server, clock, results):
    """Other rows are done while a row's lost answers settle; the progress says what is waited for."""
    seen = []

    def fail(request):
        return httpx.Response(500) if request.method == "POST" and b'"No 7"' in request.content else None

    def on_progress(progress):
        seen.append((progress.waits_for, progress.done))

    began = clock.monotonic()
    async with client_of(through(server, fail), clock, retry=RetryPolicy(attempts=1)) as client:
        report = await client.customers.bulk_write(people(900), results=results, on_progress=on_progress, **BY_EMAIL)
    assert counts(report) == {"created": 899, "refused": 1}
    assert read(results)[7]["reasons"] == ["the server failed on it 3 times: 500"]
    waiting = [done for why, done in seen if "lost answers" in why]
    assert waiting
    assert set(waiting) == {899}
    assert 100 < clock.monotonic() - began < 120
    assert 100 < report.waited < 120
